//! The TernGrad codec: gradients to ternaries on bit planes, and sums of ternaries back to gradients (Wen et al.,
//! "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep Learning", NIPS 2017).
//!
//! The order of one exchange, a tensor `g` on each of `P` ranks:
//!
//! 1. [`Moments::of`] each tensor; [`Moments::clip`] gives its threshold and [`Moments::scale`] this rank's scale.
//! 2. The scale of the tensor is the maximum over ranks ([`control::max`](crate::control::max) on the floats' bits).
//! 3. [`encode`] each tensor into its place in one payload ([`Layout`]).
//! 4. Sum the payloads of all ranks ([`Algorithm::sum`](crate::all_reduce::Algorithm::sum)).
//! 5. [`decode`] each tensor with `factor = scale / P`: the mean over ranks, unbiased if nothing was clipped.
//!
//! The inner loops are those of [`kernels`](crate::kernels), whose portable set defines the result.

mod layout;
mod moments;
mod ternary;

pub use layout::Layout;
pub use moments::Moments;
pub use ternary::{Rounding, decode, encode};
