//! A network with inputs that are made: the same for every network of one input and batch.

use super::Verdict;
use ternflock_base::rng::{Purpose, Stream};
use ternflock_nn::layer::Mode;
use ternflock_nn::{Network, Shape};

/// A network that is timed.
pub struct Contestant {
    /// What it is called: its file, mostly.
    pub name: String,
    /// The network, with its input filled in.
    pub network: Network,
    /// Samples of a pass.
    pub batch: usize,
    /// What [`super::verify::compare`] has found.
    pub verified: Option<Verdict>,
}

impl Contestant {
    /// `network`, which is to run as many samples at a time as it was built for.
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

    /// A forward pass as evaluation makes it; the output. Recurrent layers go on from where the pass before has left them.
    pub fn pass(&mut self) -> &[f32] {
        self.network.forward(self.batch, Mode::Evaluate)
    }

    /// A forward pass from the beginning.
    pub fn first_pass(&mut self) -> &[f32] {
        self.network.recurrent_state().into_iter().for_each(|(_, state)| state.values.fill(0.0));
        self.pass()
    }
}
