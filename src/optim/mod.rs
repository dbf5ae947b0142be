//! How an averaged gradient becomes a step: update rules and learning-rate schedules.
//!
//! Both are applied after the exchange, identically on every rank, so that parameters stay equal to the bit.

mod schedule;
mod sgd;

pub use schedule::learning_rate;
pub use sgd::Sgd;
