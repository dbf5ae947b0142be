//! A language model for sequences of one token, whose layers carry their state from token to token.

use std::path::PathBuf;

use ternflock_base::error::{Error, Result};
use ternflock_nn::layer::Mode;
use ternflock_nn::{Execution, Graph, Network, Shape};
use ternflock_tensor::Precision;
use ternflock_train::restore_network;

use crate::Trained;

/// The tokens of the sequence on which the networks for one token and for several are compared.
const COMPARED: usize = 8;

/// The network of a checkpoint, one token at a time.
pub struct Stepper {
    network: Network,
    path: PathBuf,
}

impl Stepper {
    /// The language model of `trained`, which has read nothing: all states are zero.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the network does not read tokens, or if it cannot read them one at a time, because a layer
    /// looks at several tokens at once; those of [`Network::new`](ternflock_nn::Network::new).
    pub fn new(mut trained: Trained, precision: Precision) -> Result<Stepper> {
        let Shape::Tokens { steps, vocabulary } = trained.graph.input() else {
            let input = trained.graph.input().described();
            return Err(trained.refuse(format!("its network takes {input}: it is not a language model")));
        };
        let several = steps.min(COMPARED);
        let tokens: Vec<f32> = (0..several).map(|step| (step * 7919 % vocabulary) as f32).collect();
        // One network after the other: the logits are small, the networks may be large.
        let expected = match several {
            0 | 1 => Vec::new(),
            _ => {
                let mut network = build(&mut trained, several, vocabulary, precision)?;
                network.input_mut(1).copy_from_slice(&tokens);
                network.forward(1, Mode::Evaluate).to_vec()
            }
        };
        let mut network = build(&mut trained, 1, vocabulary, precision)?;
        check(&mut network, &tokens, &expected).map_err(|reason| refuse(&trained, &reason))?;
        Ok(Stepper { network, path: trained.path })
    }

    /// Reads `token` and returns the logits of the next one, `[V]`.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if a logit is NaN or infinite, with the tensor that is the cause.
    pub fn read(&mut self, token: u32) -> Result<&[f32]> {
        self.network.input_mut(1)[0] = token as f32;
        if !self.network.forward(1, Mode::Evaluate).iter().all(|logit| logit.is_finite()) {
            let cause = self.network.first_non_finite().unwrap_or_default();
            return Err(Error::checkpoint(
                &self.path,
                format!("its network computes no finite logits: {cause}"),
            ));
        }
        Ok(self.logits())
    }

    /// The logits of the token after the last one that was read, `[V]`.
    pub fn logits(&self) -> &[f32] {
        self.network.output()
    }
}

/// The network of `trained` for sequences of `steps` tokens.
fn build(trained: &mut Trained, steps: usize, vocabulary: usize, precision: Precision) -> Result<Network> {
    let (input, output) =
        (Shape::Tokens { steps, vocabulary }, Shape::Sequence { steps, features: vocabulary });
    let graph = Graph::new(input, trained.graph.layers().to_vec());
    let graph = graph.map_err(|error| refuse(trained, &error.to_string()))?;
    if graph.output() != output {
        let ends = graph.output().described();
        return Err(refuse(trained, &format!("it ends in {ends}, not in {}", output.described())));
    }
    trained.snapshot.network = graph.to_json();
    restore_network(&trained.path, &trained.snapshot, Execution { batch: 1, precision })
}

fn refuse(trained: &Trained, reason: &str) -> Error {
    trained.refuse(format!("its network cannot read a text token by token: {reason}"))
}

/// Compares the logits of `network`, which reads one token at a time, with those `expected` for all `tokens` at once. They
/// agree if every layer looks at one token and at its own state. The state is afterwards zero.
fn check(network: &mut Network, tokens: &[f32], expected: &[f32]) -> std::result::Result<(), String> {
    let largest = expected.iter().fold(0.0_f32, |largest, logit| largest.max(logit.abs()));
    let tolerance = match network.precision() {
        Precision::Float32 => 1e-3,
        // States that differ in the last bit may be rounded to neighbouring bf16 numbers.
        Precision::Bf16 => 3e-2,
    } * largest;
    let classes = network.graph().output().units();
    for (step, (token, expected)) in tokens.iter().zip(expected.chunks_exact(classes)).enumerate() {
        network.input_mut(1)[0] = *token;
        let found = network.forward(1, Mode::Evaluate);
        let difference = found.iter().zip(expected).fold(0.0_f32, |most, (a, b)| most.max((a - b).abs()));
        // NaN is not hidden: the first token that is read finds it.
        if difference > tolerance {
            return Err(format!(
                "its logits for token {} of {} differ by up to {difference} from those for all of them at once, so a \
                 layer looks at several tokens",
                step + 1,
                tokens.len()
            ));
        }
    }
    network.recurrent_state().into_iter().for_each(|(_, state)| state.values.fill(0.0));
    Ok(())
}
