//! Reads a job file, independent of its sections: the places of its values, the definition of a key, the
//! values that a key accepts, and the problems that are reported. `sections` defines the keys; nothing here
//! knows any of them.

mod choice;
mod default;
mod key;
mod kinds;
mod names;
mod overrides;
mod parse;
mod places;
mod problems;
mod range;
mod reading;
mod section;
mod section_reader;
mod size;
mod source;
mod values;

pub(crate) use choice::{Choice, choices, one_of, word, words};
pub(crate) use default::{Absent, Default, Given, Reported, Required};
pub(crate) use key::{Definition, Key, Of};
pub(crate) use names::path;
pub(crate) use overrides::{apply, drop_other_kind};
pub(crate) use parse::{Lines, parse};
pub(crate) use problems::Problems;
pub(crate) use range::{Range, Rule, above, at_least, at_most};
pub(crate) use reading::{Reader, read_empty};
pub(crate) use section::{Section, Selector};
pub(crate) use section_reader::SectionReader;
pub(crate) use size::{MOST_STAGES, check as check_size};
pub use source::Source;
pub(crate) use values::{FromValue, describe, is_default};
