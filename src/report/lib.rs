//! The events of a run, for the terminal and for `metrics.jsonl`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod event;
pub mod json;
mod metrics;
mod phases;
pub mod plot;
mod score;
mod task;

pub use event::{Chosen, Ending, Event, Status, Summary, Test, Traffic};
pub use metrics::{Last, Metrics, last, last_event};
pub use phases::Phases;
pub use score::{Count, Score, Scores, Speed};
pub use task::Task;
