//! Whole networks: every preset takes a step, and steps on several threads are those on one.
//!
//! Sample runs:
//! - `cargo test --release --test networks`
//! - `cargo test --release --test networks threads`
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod presets;
mod threads;

use std::sync::{Mutex, MutexGuard, PoisonError};

use ternflock::nn::layer::{Draw, Mode};
use ternflock::nn::{Execution, Graph, Network, softmax_cross_entropy};
use ternflock::tensor::within;

/// The compute threads belong to the process: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A network of `graph` with its first parameters, for batches of `batch`.
fn begin(graph: Graph, batch: usize) -> Network {
    let mut network = Network::new(graph, Execution::float32(batch)).unwrap();
    network.parameters.initialise(1);
    network
}

/// Runs the forward pass, mean loss and backward pass on `input`, like the phases of a step; returns the
/// loss.
fn pass(network: &mut Network, batch: usize, input: &[f32], labels: &[usize]) -> f64 {
    within(|| {
        network.input_mut(batch).copy_from_slice(input);
        network.forward(batch, Mode::Train(Draw { seed: 1, step: 0, first_sample: 0 }));
        let (logits, gradient) = network.output_and_gradient();
        let tally = softmax_cross_entropy(logits, labels, 1.0 / labels.len() as f32, Some(gradient));
        network.backward(batch);
        tally.mean_loss()
    })
}
