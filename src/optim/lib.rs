//! How an averaged gradient becomes a step: update rules and learning-rate schedules.
//!
//! Both are applied after the exchange, identically on every rank, so that parameters stay equal to the bit.
//! Sums therefore have a fixed order, and no product is fused with an addition, because machines could round
//! these differently.

mod adam;
mod lars;
mod norm;
mod optimizer;
mod plateau;
mod schedule;
mod sgd;
mod update;

pub use optimizer::{Optimizer, STATE_NAMES, State, check_decay_layers, state_names};
pub use plateau::Plateau;
pub use schedule::{Moment, learning_rate};
