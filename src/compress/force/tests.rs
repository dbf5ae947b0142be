//! Compares the kernels with the definition in double precision, and checks the effect of forces on filters.

use serde_json::{Map, Value, json};

use super::*;
use crate::low_rank::{Matrix, Spectrum};
use proptest::prelude::*;
use ternflock_models::preset;
use ternflock_nn::{Parameters, Shape};
use ternflock_tensor::set_threads;

const U: f64 = f32::EPSILON as f64 / 2.0;
const KINDS: [ForceKind; 2] = [ForceKind::L1, ForceKind::L2];

fn alone(kind: ForceKind, strength: f32, filters: usize, width: usize) -> Force {
    Force {
        kind,
        strength,
        groups: vec![Group { start: 0, filters, width }],
        directions: vec![0.0; filters * width],
        lengths: vec![0.0; filters],
        forces: vec![0.0; filters * width],
        sum: vec![0.0; width],
    }
}

/// Filters with different lengths and random directions.
fn filters(count: usize, width: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 40) as f32) / (1u64 << 23) as f32 - 1.0
    };
    (0..count * width).map(|i| next() * (1.0 + (i / width % 5) as f32)).collect()
}

/// dW by its definition, pair by pair in double precision, and the maximum error of float32: u times the sum
/// of all magnitudes that contribute to an element, times the number of roundings.
fn reference(kind: ForceKind, weights: &[f32], d: usize) -> (Vec<f64>, Vec<f64>) {
    let wide: Vec<Vec<f64>> =
        weights.chunks_exact(d).map(|row| row.iter().copied().map(f64::from).collect()).collect();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let length = |a: &[f64]| dot(a, a).sqrt();
    let unit = |row: &Vec<f64>| -> Option<Vec<f64>> {
        let length = length(row);
        (length > 1e-4).then(|| row.iter().map(|x| x / length).collect())
    };
    let w: Vec<Option<Vec<f64>>> = wide.iter().map(unit).collect();
    let (mut forces, mut bounds) = (Vec::new(), Vec::new());
    for (weights, own) in wide.iter().zip(&w) {
        let Some(own) = own else {
            forces.extend(vec![0.0; d]);
            bounds.extend(vec![0.0; d]);
            continue;
        };
        let (mut f, mut size) = (vec![0.0; d], vec![0.0; d]);
        for other in w.iter().flatten() {
            let difference: Vec<f64> = other.iter().zip(own).map(|(a, b)| a - b).collect();
            let distance = length(&difference);
            let (scale, off) = match kind {
                ForceKind::L2 => (1.0, 0.0),
                ForceKind::L1 if distance <= 1e-4 => continue,
                // Both directions are rounded, and so is each square of the distance.
                ForceKind::L1 => (1.0 / distance, 4.0 / distance + d as f64),
            };
            for k in 0..d {
                f[k] += scale * difference[k];
                size[k] += scale * (2.0 * (other[k].abs() + own[k].abs()) + off * difference[k].abs());
            }
        }
        let along = dot(&f, own);
        let off = dot(&size, &own.iter().map(|w| w.abs()).collect::<Vec<_>>());
        let roundings = (w.len() + 10) as f64;
        for k in 0..d {
            forces.push(length(weights) * (f[k] - along * own[k]));
            let size = size[k] + own[k].abs() * (off + 4.0 * along.abs());
            bounds.push(length(weights) * roundings * U * size);
        }
    }
    (forces, bounds)
}

fn run(kind: ForceKind, strength: f32, weights: &[f32], d: usize) -> Vec<f32> {
    let mut gradients = vec![0.0; weights.len()];
    alone(kind, strength, weights.len() / d, d).add(weights, &mut gradients);
    gradients
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any number of filters of any width, one of which has the length 0.
    #[test]
    fn kernels_equal_the_definition(n in 2usize..30, d in 1usize..90, seed in 0u64..1000) {
        let mut weights = filters(n, d, seed);
        if seed % 2 == 0 {
            weights[..d].fill(0.5e-4 / (d as f32).sqrt());
        }
        for kind in KINDS {
            let (forces, bounds) = reference(kind, &weights, d);
            for (at, g) in run(kind, 1.0, &weights, d).iter().enumerate() {
                prop_assert!((f64::from(-g) - forces[at]).abs() <= bounds[at],
                    "{:?} {}: {} {} {}", kind, at, g, forces[at], bounds[at]);
            }
        }
    }

    /// There is no force along a filter, so its length does not change: |dW . W| is only the rounding error
    /// of |dW| |W|.
    #[test]
    fn forces_are_across_filters(n in 2usize..30, d in 2usize..90, seed in 0u64..1000) {
        let weights = filters(n, d, seed);
        for kind in KINDS {
            let forces = run(kind, -1.0, &weights, d);
            let (_, bounds) = reference(kind, &weights, d);
            let each = forces.chunks_exact(d).zip(weights.chunks_exact(d)).zip(bounds.chunks_exact(d));
            for ((force, w), bound) in each {
                let along: f64 = force.iter().zip(w).map(|(f, w)| f64::from(*f) * f64::from(*w)).sum();
                let bound: f64 = bound.iter().zip(w).map(|(b, w)| b * f64::from(w.abs())).sum();
                prop_assert!(along.abs() <= bound, "{:?}: {} {}", kind, along, bound);
            }
        }
    }
}

/// Two orthogonal filters with the lengths 3 and 4, in numbers that float32 represents exactly: w_j - w_i is
/// (-1, 1), and its component orthogonal to the first filter is (0, 1). With l1, it is shorter by a factor of
/// sqrt(2).
#[test]
fn two_filters_by_hand() {
    let weights = [3.0, 0.0, 0.0, 4.0];
    let mut gradients = [10.0, 20.0, 30.0, 40.0];
    alone(ForceKind::L2, 0.5, 2, 2).add(&weights, &mut gradients);
    assert_eq!(gradients, [10.0, 20.0 - 0.5 * 3.0, 30.0 - 0.5 * 4.0, 40.0]);
    let apart = run(ForceKind::L2, -1.0, &weights, 2);
    assert_eq!(apart, [0.0, 3.0, 4.0, 0.0], "what drives apart is added to the gradient");
    let l1 = run(ForceKind::L1, -1.0, &weights, 2);
    assert!(l1.iter().zip(apart).all(|(l1, l2)| (l1 * 2f32.sqrt() - l2).abs() < 1e-6));
}

/// As in the published code, there is no force on or from filters that are too short, and none between
/// filters that are too close.
#[test]
fn short_and_close_filters_are_skipped() {
    let weights = [1.0, 0.0, 0.9e-4, 0.0, 0.0, 0.0, 1.0, 0.9e-4];
    assert_eq!(run(ForceKind::L1, 1.0, &weights, 2), [0.0; 8]);
    let l2 = run(ForceKind::L2, 1.0, &weights, 2);
    assert!(l2[1] < 0.0 && l2[7] > 0.0 && l2[2..6] == [0.0; 4], "{l2:?}");
    let opposite = run(ForceKind::L1, 1.0, &[1.0, 0.0, 1.0, 2e-4], 2);
    assert!(opposite[1] < -0.99 && opposite[3] > 0.99, "{opposite:?}");
}

#[test]
fn threads_do_not_change_a_bit() {
    let (n, d) = (37, 613);
    let weights = filters(n, d, 5);
    for kind in KINDS {
        let mut results = Vec::new();
        for threads in [1, 2, 3] {
            set_threads(threads).unwrap();
            results.push(run(kind, 0.01, &weights, d));
        }
        set_threads(1).unwrap();
        assert_eq!(results[0], results[1], "{kind:?}");
        assert_eq!(results[0], results[2], "{kind:?}");
    }
}

/// Without a loss, random filters move together: their strongest directions hold more and more of the energy,
/// and their lengths do not change. A negative strength reduces the energy in those directions.
#[test]
fn forces_lower_the_rank_and_discrimination_raises_it() {
    let (n, d) = (16, 25);
    let share = |weights: &[f32]| {
        let matrix = Matrix { name: "w", values: weights, filters: n, width: d };
        Spectrum::of(matrix).unwrap().kept(2)
    };
    let length = |w: &[f32]| w.iter().map(|w| w * w).sum::<f32>().sqrt();
    let rate = 0.01;
    for kind in KINDS {
        for sign in [1.0, -1.0] {
            let mut weights = filters(n, d, 11);
            // All filters are in one half of the space, so that they have a common direction.
            weights.iter_mut().step_by(d).for_each(|w| *w = w.abs() + 1.0);
            let (mut force, start) = (alone(kind, sign, n, d), weights.clone());
            let mut shares = vec![share(&weights)];
            for _ in 0..5 {
                for _ in 0..4 {
                    let mut gradients = vec![0.0; n * d];
                    force.add(&weights, &mut gradients);
                    weights.iter_mut().zip(&gradients).for_each(|(w, g)| *w -= rate * g);
                }
                shares.push(share(&weights));
            }
            // With l2, only the sum of all directions drives filters apart; when it is zero, nothing moves.
            let comes_to = |first: f64, last: f64| f64::from(sign) * (last - first) > 0.0;
            assert!(comes_to(shares[0], shares[5]), "{kind:?} {sign}: {shares:?}");
            let all = sign < 0.0 || shares.is_sorted_by(|before, after| before < after);
            assert!(all, "{kind:?}: {shares:?}");
            // A rotation by t increases the length by a factor of 1 / cos t. 20 rotations of at most rate x N
            // = 0.16 increase it by less than 20 x 0.013.
            for (now, before) in weights.chunks_exact(d).zip(start.chunks_exact(d)) {
                let grown = length(now) / length(before);
                assert!((0.9999..1.3).contains(&grown), "{kind:?}: {grown}");
            }
        }
    }
}

fn graph(layers: Value) -> Graph {
    let tables: Vec<Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let image = Shape::Image { channels: 4, height: 5, width: 5 };
    Graph::from_tables(image, tables).map_err(|(error, _)| error).unwrap()
}

/// Groups of a convolution are independent, and biases and other layers do not change.
#[test]
fn forces_act_within_groups_of_the_chosen_layers() {
    let graph = graph(json!([
        {"name": "a", "type": "conv2d", "filters": 6, "kernel": 3, "groups": 2},
        {"name": "one", "type": "conv2d", "filters": 1, "kernel": 1},
        {"type": "flatten"},
        {"name": "b", "type": "linear", "units": 5},
        {"name": "out", "type": "linear", "units": 2},
    ]));
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(3);
    let table = parameters.table.clone();
    let options = |layers: Option<&[&str]>| job::Force {
        kind: ForceKind::L2,
        strength: 1.0,
        layers: layers.map(|names| names.iter().map(|name| name.to_string()).collect()),
    };
    let touched = |layers: Option<&[&str]>| -> Vec<&str> {
        let mut gradients = vec![0.0; parameters.values.len()];
        Force::new(&options(layers), &graph, &table)
            .unwrap()
            .unwrap()
            .add(&parameters.values, &mut gradients);
        let moved = |p: &&Parameter| gradients[p.range.clone()].iter().any(|&g| g != 0.0);
        table.iter().filter(moved).map(|p| &p.name[..]).collect()
    };
    assert_eq!(touched(None), ["a/weight"]);
    assert_eq!(touched(Some(&["b", "out"])), ["b/weight", "out/weight"]);
    assert_eq!(touched(Some(&["one"])), [] as [&str; 0]);

    let mut gradients = vec![0.0; parameters.values.len()];
    Force::new(&options(None), &graph, &table).unwrap().unwrap().add(&parameters.values, &mut gradients);
    let a = table[0].range.clone();
    let halves =
        parameters.values[a.clone()].chunks_exact(3 * 18).flat_map(|half| run(ForceKind::L2, 1.0, half, 18));
    assert_eq!(gradients[a], halves.collect::<Vec<f32>>());

    for (layers, part) in [(&["B"][..], "`B`; did you mean `b`?"), (&["flatten_3"], "`flatten_3`")] {
        let message = Force::new(&options(Some(layers)), &graph, &table).err().unwrap().to_string();
        assert!(message.contains(part), "{message}");
    }
    let none = job::Force { strength: 0.0, ..options(None) };
    assert!(Force::new(&none, &graph, &table).unwrap().is_none());
}

/// Each layer of a network has the same forces as if it were alone, in buffers that fit the largest layer.
#[test]
fn layers_do_not_mix() {
    let graph = preset("lenet", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
    let mut parameters = Parameters::new(&graph).unwrap();
    parameters.initialise(3);
    for kind in KINDS {
        let options = job::Force { kind, strength: 0.25, layers: None };
        let mut force = Force::new(&options, &graph, &parameters.table).unwrap().unwrap();
        for _ in 0..2 {
            let mut gradients = vec![0.0; parameters.values.len()];
            force.add(&parameters.values, &mut gradients);
            for (name, d) in [("conv1/weight", 25), ("conv2/weight", 500)] {
                let range = parameters.table.iter().find(|p| p.name == name).unwrap().range.clone();
                assert_eq!(gradients[range.clone()], run(kind, 0.25, &parameters.values[range], d), "{name}");
            }
        }
    }
}
