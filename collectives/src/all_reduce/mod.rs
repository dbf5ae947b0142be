//! All-reduces: every rank ends with the sum over all ranks.

pub mod ring;
pub mod ring_f32;
pub mod ring_ternary;
