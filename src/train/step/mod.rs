//! One training step on this rank, and the passes over data that evaluation makes.

pub mod batch;
pub mod compute;
pub mod evaluate;
pub mod objective;
pub mod recurrent_state;
pub mod statistics;
pub mod trainer;
