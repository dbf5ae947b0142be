//! The inputs of a step's compression other than the values.

use ternflock_base::rng::{Purpose, Stream};

/// The step and the rank of a compression.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The seed of the run.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// This rank.
    pub rank: usize,
    /// The number of ranks.
    pub world: usize,
}

impl Key {
    /// This rank's random numbers of tensor `number` for `purpose`.
    pub fn stream(&self, purpose: Purpose, number: u16) -> Stream {
        self.shared_stream(purpose, self.rank as u32, number)
    }

    /// The random numbers of tensor `number` for `purpose`, equal on all ranks: `subject` takes the place of the rank.
    pub fn shared_stream(&self, purpose: Purpose, subject: u32, number: u16) -> Stream {
        Stream { seed: self.seed, purpose, step: self.step, subject, tensor: number }
    }
}
