//! How flat the minimum is to which training has converged: sharpness as in Keskar et al. (2017), and slices
//! through the loss as in Li et al. (2018).

mod ascent;
mod plot;
mod sharpness;
mod slice;

pub use plot::plot;
pub use sharpness::{Measure, Sharpness, sharpness};
pub use slice::{Slice, Span, slice};

use ternflock_base::error::Result;

/// A loss, as a function of a network's parameters.
pub trait Objective {
    /// The mean loss at `x`, in nats, and its gradient there.
    ///
    /// # Errors
    /// If the loss is not finite or cannot be computed.
    fn value_and_gradient(&mut self, x: &[f32], gradient: &mut [f32]) -> Result<f64>;

    /// The mean loss alone. It is not an error if it is not finite.
    fn value(&mut self, x: &[f32]) -> Result<f64>;
}
