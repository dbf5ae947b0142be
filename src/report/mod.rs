//! What a run says: events, for the terminal and for `metrics.jsonl` alike.

mod event;
mod metrics;
mod phases;
mod score;

pub use event::{Ending, Event, Status, Summary, Traffic};
pub use metrics::{Last, Metrics, last, write_whole};
pub use phases::Phases;
pub use score::{Count, Score, Speed, Task};
