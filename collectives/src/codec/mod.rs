//! The TernGrad codec: gradients to ternaries on bit planes, and sums of ternaries back to gradients (Wen et al.,
//! "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep Learning", NIPS 2017).
//!
//! The steps of one exchange of a tensor `g` on each of `P` ranks:
//!
//! 1. [`Moments::of`] each tensor; [`Moments::clip`] gives its threshold and [`Moments::scale`] this rank's scale.
//! 2. The scale of the tensor is the maximum over ranks ([`control::max`](crate::control::max) on the floats' bits).
//! 3. [`encode`] each tensor into its place in one payload ([`Layout`]).
//! 4. Sum the payloads of all ranks ([`Algorithm::sum`](crate::all_reduce::Algorithm::sum)).
//! 5. [`decode`] each tensor with `factor = scale / P`: the mean over ranks, unbiased if nothing was clipped.
//!
//! The inner loops are those of [`kernels`](crate::kernels), whose portable set defines the result.
//! [`average`](crate::average) does all five steps.
//!
//! # Examples
//!
//! Round one tensor to ternaries and back, without other ranks:
//!
//! ```
//! use ternflock_collectives::codec::{Layout, Moments, Rounding, decode, encode};
//! use ternflock_collectives::planes::{self, TERNARY};
//!
//! let gradient = [0.5, -2.0, 0.9, 1.1];
//! let moments = Moments::of(&gradient);
//! let clip = moments.clip(0.0); // no clipping
//! let scale = moments.scale(clip);
//! assert_eq!(scale, 2.0);
//!
//! let layout = Layout::new([gradient.len()]);
//! let mut payload = vec![0; layout.words(TERNARY)];
//! encode(&gradient, clip, scale, Rounding::Nearest, layout.first_word(0), &mut payload);
//! let ternaries: Vec<i32> = (0..4).map(|element| planes::get(&payload, TERNARY, element)).collect();
//! assert_eq!(ternaries, [0, -1, 0, 1]);
//!
//! let mut decoded = [0.0; 4];
//! decode(&payload, TERNARY, layout.first_word(0), scale, &mut decoded);
//! assert_eq!(decoded, [0.0, -2.0, 0.0, 2.0]);
//! ```

mod layout;
mod moments;
mod parts;
mod rows;
mod ternary;

pub use layout::Layout;
pub use moments::Moments;
pub use parts::{decode_part, encode_part};
pub use rows::{Rows, decode_rows, encode_rows};
pub use ternary::{Rounding, decode, encode};
