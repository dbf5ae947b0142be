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
    /// The random numbers of tensor `number`.
    pub fn stream(&self, number: u16) -> Stream {
        let Key { seed, step, rank, .. } = *self;
        Stream { seed, purpose: Purpose::Ternary, step, subject: rank as u32, tensor: number }
    }
}
