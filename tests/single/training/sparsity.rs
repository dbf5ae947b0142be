//! Structures that a run has driven to zero: the same on any number of ranks, and surgery removes them.

use support::digits::{assert_same_state, at_step, load};
use support::ranks::on_ranks;
use ternflock::compress::surgery::shrink;
use ternflock::job::Shrink;
use ternflock::nn::layer::Mode;
use ternflock::nn::{Execution, Network, Parameters};
use ternflock::train::{prepare, restore_network};

use crate::runs::{resume, short, train, train_until};

const BATCH: usize = 10;

/// Some of the hidden layer's neurons are gone after 20 steps, and not all of them.
const SETS: [&str; 3] = ["sparsity.method=proximal", "sparsity.neurons=5", "sparsity.filters=2"];

fn output(network: &mut Network, input: &[f32]) -> Vec<f32> {
    network.input_mut(BATCH).copy_from_slice(input);
    network.forward(BATCH, Mode::Evaluate).to_vec()
}

/// Ranks compare all parameters after every step. Zero structures are removed, and the network computes the
/// same output.
#[test]
fn what_a_run_leaves_shrinks() {
    for ranks in [1, 4] {
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &short(&SETS), directory.path());
        ended.iter().for_each(|rank| _ = rank.summary());
        let path = at_step(directory.path(), 20);
        let mut whole =
            restore_network(&path, &load(directory.path(), 20), Execution::float32(BATCH)).unwrap();
        let shrunk = shrink(whole.graph(), &whole.parameters, &Shrink::default()).unwrap();
        assert!(shrunk.emptied.is_empty(), "{:?}", shrunk.emptied);
        let (kept, all) = (shrunk.surgery.parameters.len(), whole.parameters.values.len());
        assert!(kept < all * 9 / 10, "{kept} of {all} parameters are left");
        let mut smaller = Network::new(shrunk.surgery.graph.clone(), Execution::float32(BATCH)).unwrap();
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

/// The penalty is a function of the parameters, so it needs no state in the checkpoint.
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

/// One step from rest, by tensor: the values before, the averaged gradient, and the values after.
struct Moved {
    name: String,
    rows: usize,
    decays: bool,
    before: Vec<f64>,
    gradient: Vec<f64>,
    after: Vec<f64>,
}

fn one_step(sets: &[&str]) -> Vec<Moved> {
    let loaded = short(&[&["exchange.gradients=float32", "optimizer.weight_decay=0.01"], sets].concat());
    let mut moved = on_ranks(1, |mut world| {
        let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
        let before = trainer.network.parameters.values.clone();
        trainer.step(&mut world, false).unwrap();
        let Parameters { table, values, gradients, .. } = &trainer.network.parameters;
        let tensor = |tensor: &ternflock::nn::Parameter| {
            let of =
                |all: &[f32]| all[tensor.range.clone()].iter().copied().map(f64::from).collect::<Vec<_>>();
            Moved {
                name: tensor.name.clone(),
                rows: tensor.spec.shape[0],
                decays: tensor.spec.role.decays(),
                before: of(&before),
                gradient: of(gradients),
                after: of(values),
            }
        };
        table.iter().map(tensor).collect::<Vec<_>>()
    });
    moved.remove(0)
}

fn norm(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The loss does not move a layer whose gradient is zero, here because the last layer's weights begin at zero. LARS has no
/// ratio for it, and the penalty waits. The network survives this strength; a thousand times as strong, as at a ratio of 1,
/// it would empty both layers at once.
#[test]
fn lars_does_not_shrink_what_has_no_gradient() {
    for decay in ["optimizer.weight_decay=0", "optimizer.weight_decay=0.0005"] {
        let mut loaded = short(&[
            "exchange.gradients=float32",
            "optimizer.kind=lars",
            "optimizer.learning_rate=1.0",
            "schedule.kind=fixed",
            "sparsity.method=proximal",
            "sparsity.filters=2",
            decay,
        ]);
        let layers = serde_json::json!([
            {"type": "conv2d", "filters": 8, "kernel": 3},
            {"type": "relu"},
            {"type": "conv2d", "filters": 8, "kernel": 3},
            {"type": "relu"},
            {"type": "flatten"},
            {"type": "linear", "units": 10, "init": "zero"},
        ]);
        loaded.job.model.preset = None;
        loaded.job.model.layers = serde_json::from_value(layers).unwrap();
        on_ranks(1, |mut world| {
            let (mut trainer, _) = prepare(&loaded, &mut world).unwrap();
            for step in 1..=2 {
                let before = trainer.network.parameters.values.clone();
                trainer.step(&mut world, false).unwrap();
                let Parameters { table, values, gradients, .. } = &trainer.network.parameters;
                for tensor in
                    table.iter().filter(|tensor| tensor.spec.role.decays() && tensor.spec.shape.len() > 2)
                {
                    let range = tensor.range.clone();
                    let has_gradient = gradients[range.clone()].iter().any(|gradient| *gradient != 0.0);
                    assert_eq!(has_gradient, step == 2, "{}, step {step}", tensor.name);
                    let filters = values[range.clone()].chunks_exact(range.len() / 8);
                    let alive = filters.filter(|filter| filter.iter().any(|value| *value != 0.0)).count();
                    assert_eq!(alive, 8, "{}, step {step}, {decay}", tensor.name);
                    if step == 1 && decay.ends_with("=0") {
                        assert_eq!(values[range.clone()], before[range], "{}", tensor.name);
                    }
                }
            }
        });
    }
}

/// Under LARS each tensor of a group shrinks at the rate at which LARS moved it, including its ratio. The reference
/// writes out the step, then finds the remaining norm s of a filter and its bias by bisection.
#[test]
fn lars_shrinks_at_the_rates_that_it_moves_at() {
    let (rate, trust, decay, strength) = (0.05, 0.02, 0.01, 60.0);
    let sets = [
        "optimizer.kind=lars",
        "optimizer.learning_rate=0.05",
        "optimizer.trust=0.02",
        "schedule.kind=fixed",
        "sparsity.method=proximal",
        "sparsity.filters=60",
    ];
    let moved = one_step(&sets);
    let mut counts = [0; 2];
    for pair in moved.chunks_exact(2).filter(|pair| pair[0].name.starts_with("conv")) {
        let stepped = pair.iter().map(|tensor| {
            let weights = norm(&tensor.before);
            let ratio = match tensor.decays {
                true => trust * weights / (norm(&tensor.gradient) + decay * weights),
                false => 1.0,
            };
            let decay = if tensor.decays { decay } else { 0.0 };
            let step = |(w, g): (&f64, &f64)| w - rate * ratio * (g + decay * w);
            let values: Vec<f64> = tensor.before.iter().zip(&tensor.gradient).map(step).collect();
            (rate * ratio, values)
        });
        let stepped: Vec<(f64, Vec<f64>)> = stepped.collect();
        let rows = pair[0].rows;
        for row in 0..rows {
            let own =
                |values: &[f64]| values[row * values.len() / rows..(row + 1) * values.len() / rows].to_vec();
            let parts: Vec<(f64, Vec<f64>)> =
                stepped.iter().map(|(rate, values)| (*rate, own(values))).collect();
            let sum =
                |s: f64| parts.iter().map(|(rate, v)| (norm(v) / (s + rate * strength)).powi(2)).sum::<f64>();
            let (mut low, mut high) = (0.0, 1e3);
            for _ in 0..200 {
                let middle = (low + high) / 2.0;
                *(if sum(middle) > 1.0 { &mut low } else { &mut high }) = middle;
            }
            counts[usize::from(low > 0.0)] += 1;
            for ((rate, v), tensor) in parts.iter().zip(pair) {
                for (expected, found) in
                    v.iter().map(|v| v * low / (low + rate * strength)).zip(own(&tensor.after))
                {
                    let error = (found - expected).abs();
                    assert!(
                        error <= 2e-5 * norm(v) + 1e-9,
                        "{} row {row}: {found}, not {expected}",
                        tensor.name
                    );
                }
            }
        }
    }
    assert!(counts[0] > 0 && counts[1] > 0, "groups that are gone and left: {counts:?}");
}
