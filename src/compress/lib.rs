//! What makes networks small: whole structures that are pushed to zero and removed.
//!
//! - [`units`]: the units of a network, joined where they can only be removed together.
//! - [`groups`]: the parameters that a regulariser takes as one.
//! - [`group_lasso`]: the regulariser that pushes them to zero.
//! - [`force`]: filters that attract each other, so that fewer directions do.
//! - [`low_rank`]: the rank of each weight, and two thin layers in its place.
//! - [`mod@sparsity_report`]: how much is left, layer by layer.
//! - [`surgery`]: takes what does nothing out of a network, which computes the same.
//! - [`operation`]: both kinds of surgery in a row, with whatever goes along with the parameters.
//! - [`zeros`]: zeros that stay, while what is left is tuned.

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
