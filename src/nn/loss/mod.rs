//! Losses: what a network is trained to make small. A new loss is a type that implements [`Loss`].

mod absolute_error;
mod binary_cross_entropy;
mod blocks;
mod cross_entropy;
mod huber;
mod soft_labels;
mod squared_error;
mod tally;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

pub use absolute_error::AbsoluteError;
pub use binary_cross_entropy::BinaryCrossEntropy;
pub use blocks::of_differences;
pub use cross_entropy::{CrossEntropy, softmax_cross_entropy};
pub use huber::Huber;
pub use squared_error::SquaredError;
pub use tally::Tally;

use crate::targets::{TargetKind, Targets};

/// A loss: a number per sample that says how far a network's outputs are from their target.
pub trait Loss: Debug + Send + Sync {
    /// Its name in job files and messages.
    fn name(&self) -> &'static str;

    /// The tally of `outputs` `[N, K]` against `targets`. With `gradient`, also writes `[N, K]`: the gradient of `weight`
    /// times the sum of losses. The result does not depend on the number of threads.
    ///
    /// # Panics
    /// If the targets do not fit the outputs.
    fn compute(&self, outputs: &[f32], targets: &Targets, weight: f32, gradient: Option<&mut [f32]>)
    -> Tally;
}

/// The usual loss for targets of `kind`.
pub fn usual_loss(kind: TargetKind) -> Arc<dyn Loss> {
    match kind {
        TargetKind::Class(_) => Arc::new(CrossEntropy::default()),
        TargetKind::Values(_) => Arc::new(SquaredError),
    }
}
