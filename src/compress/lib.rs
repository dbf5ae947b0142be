//! Methods that make networks small: structures that are pushed to zero and removed, and low rank.
//!
//! - [`units`]: the units of a network, joined where they can only be removed together.
//! - [`groups`]: the groups of parameters for a regulariser.
//! - [`group_lasso`]: the regulariser that pushes them to zero.
//! - [`force`]: filters that attract each other, so that fewer directions are needed.
//! - [`low_rank`]: the rank of each weight, and two thin layers instead of one layer.
//! - [`mod@sparsity_report`]: the structures that are left, layer by layer.
//! - [`surgery`]: removes dead structures from a network, which computes the same afterwards.
//! - [`operation`]: both kinds of surgery in sequence, also for data in the layout of the parameters.
//! - [`zeros`]: zeros that stay zero while the other weights are fine-tuned.

pub mod force;
pub mod group_lasso;
pub mod groups;
pub mod low_rank;
pub mod operation;
pub mod sparsity_report;
pub mod surgery;
pub mod units;
pub mod zeros;

#[cfg(test)]
mod declared;
