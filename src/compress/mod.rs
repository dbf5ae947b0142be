//! What makes networks small: whole structures that are pushed to zero and removed.
//!
//! - [`units`]: the units of a network, joined where they can only be removed together.
//! - [`surgery`]: takes what does nothing out of a network, which computes the same.

pub mod surgery;
pub mod units;
