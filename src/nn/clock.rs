//! The time of a step, layer by layer.

use std::time::{Duration, Instant};

/// The time that the layers of a network have taken since the last [`Clock::reset`].
#[derive(Clone, Debug, Default)]
pub struct Clock {
    forward: Vec<Duration>,
    backward: Vec<Duration>,
}

impl Clock {
    /// A clock for a network of `layers` layers.
    pub(super) fn new(layers: usize) -> Clock {
        Clock { forward: vec![Duration::ZERO; layers], backward: vec![Duration::ZERO; layers] }
    }

    /// Resets all times to zero.
    pub fn reset(&mut self) {
        self.forward.fill(Duration::ZERO);
        self.backward.fill(Duration::ZERO);
    }

    /// By layer: the times of the forward and the backward pass.
    pub fn times(&self) -> impl Iterator<Item = (Duration, Duration)> + '_ {
        self.forward.iter().copied().zip(self.backward.iter().copied())
    }

    pub(super) fn forward(&mut self, layer: usize, since: Instant) {
        self.forward[layer] += since.elapsed();
    }

    pub(super) fn backward(&mut self, layer: usize, since: Instant) {
        self.backward[layer] += since.elapsed();
    }
}
