//! Losses: what a network is trained to make small. A new loss is a type that implements [`Loss`].

mod cross_entropy;
mod squared_error;
mod tally;

use std::fmt::Debug;
use std::sync::Arc;

pub use cross_entropy::{CrossEntropy, softmax_cross_entropy};
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
        TargetKind::Class(_) => Arc::new(CrossEntropy),
        TargetKind::Values(_) => Arc::new(SquaredError),
    }
}
