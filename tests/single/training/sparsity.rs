//! Structures that a run has pushed to zero: the same on however many ranks hold them, and surgery takes them out of what it leaves.

use ternflock::compress::surgery::shrink;
use ternflock::job::Shrink;
use ternflock::nn::Network;
use ternflock::nn::layer::Mode;
use ternflock::train::restore_network;

use crate::digits::{assert_same_state, at_step, load};
use crate::runs::{resume, short, train, train_until};

const BATCH: usize = 10;

/// Some of the hidden layer's neurons are gone after 20 steps, and not all of them.
const SETS: [&str; 3] = ["sparsity.method=proximal", "sparsity.neurons=5", "sparsity.filters=2"];

fn output(network: &mut Network, input: &[f32]) -> Vec<f32> {
    network.input_mut(BATCH).copy_from_slice(input);
    network.forward(BATCH, Mode::Evaluate).to_vec()
}

/// Ranks compare all parameters after every step; what is zero goes, and the network computes what it did.
#[test]
fn what_a_run_leaves_shrinks() {
    for ranks in [1, 4] {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &short(&SETS), directory.path());
        ended.iter().for_each(|rank| _ = rank.summary());
        let path = at_step(directory.path(), 20);
        let mut whole = restore_network(&path, &load(directory.path(), 20), BATCH).unwrap();
        let shrunk = shrink(whole.graph(), &whole.parameters, &Shrink::default()).unwrap();
        assert!(shrunk.emptied.is_empty(), "{:?}", shrunk.emptied);
        let (kept, all) = (shrunk.surgery.parameters.len(), whole.parameters.values.len());
        assert!(kept < all * 9 / 10, "{kept} of {all} parameters are left");
        let mut smaller = Network::new(shrunk.surgery.graph.clone(), BATCH).unwrap();
        smaller.parameters = shrunk.surgery.apply(&whole.parameters).unwrap();
        let elements = BATCH * whole.graph().input().elements();
        let input: Vec<f32> = (0..elements).map(|at| (at as f32 * 0.37).sin()).collect();
        let (before, after) = (output(&mut whole, &input), output(&mut smaller, &input));
        let largest = before.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
        for (before, after) in before.iter().zip(&after) {
            assert!((before - after).abs() <= 1e-5 * largest, "{before} {after}");
        }
    }
}

/// The penalty is a function of the parameters, so nothing of it needs to be kept.
#[test]
fn a_resumed_run_makes_the_same_zeros() {
    for method in ["sparsity.method=proximal", "sparsity.method=group_lasso"] {
        let job = short(&[&SETS[..], &[method, "sparsity.threshold=0.001"]].concat());
        let (quiet, cut) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        train(2, &job, quiet.path()).iter().for_each(|rank| _ = rank.summary());
        train_until(9, 2, &job, cut.path());
        resume(2, &job, cut.path()).iter().for_each(|rank| _ = rank.summary());
        assert_same_state(&load(quiet.path(), 20), &load(cut.path(), 20));
    }
}
