//! A network with generated inputs, which are the same for all networks with the same input shape and batch.

use super::Verdict;
use ternflock_base::rng::{Purpose, Stream};
use ternflock_nn::layer::Mode;
use ternflock_nn::{Network, Shape};

/// A network that is timed.
pub struct Contestant {
    /// Its name, usually that of its file.
    pub name: String,
    /// The network, with its input filled in.
    pub network: Network,
    /// Samples per pass.
    pub batch: usize,
    /// The result of [`super::verify::compare`].
    pub verified: Option<Verdict>,
}

impl Contestant {
    /// A contestant for `network`, with the batch size that it was built for.
    pub fn new(name: String, mut network: Network) -> Contestant {
        let (batch, input) = (network.capacity(), network.graph().input());
        let word = |at: usize| {
            Stream { seed: 1, purpose: Purpose::Benchmark, step: 0, subject: 0, tensor: 0 }.word(at as u64)
        };
        for (at, value) in network.input_mut(batch).iter_mut().enumerate() {
            *value = match input {
                Shape::Tokens { vocabulary, .. } => (word(at) as usize % vocabulary) as f32,
                _ => word(at) as f32 / 2f32.powi(32),
            };
        }
        Contestant { name, network, batch, verified: None }
    }

    /// Runs a forward pass as in evaluation, and returns the output. Recurrent layers continue from the state
    /// of the pass before.
    pub fn pass(&mut self) -> &[f32] {
        self.network.forward(self.batch, Mode::Evaluate)
    }

    /// Runs a forward pass from a zero state.
    pub fn first_pass(&mut self) -> &[f32] {
        self.network.recurrent_state().into_iter().for_each(|(_, state)| state.values.fill(0.0));
        self.pass()
    }
}
