//! One training step on this rank, and evaluation.

pub mod batch;
pub mod compute;
pub mod criterion;
pub mod evaluate;
pub mod objective;
pub mod recurrent_state;
pub mod registered_loss;
pub mod statistics;
pub mod trainer;
