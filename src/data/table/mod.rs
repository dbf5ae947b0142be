//! Tables: columns of CSV files by name, numbers and categories, as samples; and windows over rows for forecasts.

mod cell;
mod column;
mod diabetes;
mod encoder;
mod encoding;
mod inputs;
mod look;
mod open;
mod parts;
mod places;
mod plan;
mod read;
mod samples;
mod targets;
mod windows;

pub use cell::LARGEST_EXACT;
pub use diabetes::{OF_DIABETES, diabetes};
pub use encoding::{Encoding, InputColumn};
pub use inputs::{TableInputs, TableReading};
pub use look::{ColumnFacts, TableFacts, guess_delimiter, look};
pub use open::open;

#[cfg(test)]
mod tests;
