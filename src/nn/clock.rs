//! Where a step's time goes, layer by layer.

use std::time::{Duration, Instant};

/// What the layers of a network have taken since the last [`Clock::reset`].
#[derive(Clone, Debug, Default)]
pub struct Clock {
    forward: Vec<Duration>,
    backward: Vec<Duration>,
}

impl Clock {
    /// For a network of `layers` layers.
    pub(super) fn new(layers: usize) -> Clock {
        Clock { forward: vec![Duration::ZERO; layers], backward: vec![Duration::ZERO; layers] }
    }

    /// Begins again.
    pub fn reset(&mut self) {
        self.forward.fill(Duration::ZERO);
        self.backward.fill(Duration::ZERO);
    }

    /// By layer: forward and backward.
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
