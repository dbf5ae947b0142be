//! Passes over complete networks: branches, tied weights, parts, smaller batches.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::Shape;
use crate::buffer_plan::BufferPlan;
use crate::layer::Draw;
use ternflock_tensor::bf16::{round, widen};

fn network(layers: Value, capacity: usize) -> Network {
    network_with(layers, Execution::float32(capacity))
}

fn network_with(layers: Value, execution: Execution) -> Network {
    let input = Shape::Vector { features: 3 };
    let tables: Vec<serde_json::Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let mut network = Network::new(Graph::from_tables(input, tables).unwrap(), execution).unwrap();
    let count = network.parameters.values.len();
    network.parameters.values = (0..count).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
    network
}

/// The network of [`network_with`] in which each value has a buffer of its own.
fn separate(layers: Value, execution: Execution) -> Network {
    let mut network = network_with(layers, execution);
    let elements = |source| network.graph.shape(source).elements() * execution.batch;
    let elements: Vec<usize> = (0..network.elements.len()).map(elements).collect();
    network.values.separate(&elements);
    network
}

/// Three layers read `a`: its gradient, seen in the gradient of its parameters, is the sum of all paths. All values
/// are small integers and the network is linear in each of them, so central differences are exact.
#[test]
fn gradients_of_branches_add_up() {
    let layers = json!([
        {"name": "a", "type": "linear", "units": 4},
        {"name": "b", "type": "linear", "units": 4},
        {"name": "c", "type": "linear", "units": 4, "inputs": ["a"]},
        {"name": "sum", "type": "add", "inputs": ["a", "b", "c"]},
        {"name": "d", "type": "linear", "units": 2},
    ]);
    let mut network = network(layers, 2);
    let mut loss = |values: &[f32]| -> f64 {
        network.parameters.values.copy_from_slice(values);
        network.input_mut(2).copy_from_slice(&[1.0, -2.0, 3.0, 0.0, 2.0, -1.0]);
        let y = network.forward(2, Mode::Train(Draw::default()));
        y.iter().zip([1.0, -2.0, 3.0, 2.0]).map(|(&y, r)| f64::from(y) * r).sum()
    };
    let count = 4 * 4 + 4 * 5 + 4 * 5 + 2 * 5;
    let values: Vec<f32> = (0..count).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
    let differences: Vec<f64> = (0..count)
        .map(|i| {
            let at =
                |by: f32| (0..count).map(|j| values[j] + if i == j { by } else { 0.0 }).collect::<Vec<_>>();
            (loss(&at(1.0)) - loss(&at(-1.0))) / 2.0
        })
        .collect();
    loss(&values);
    for _ in 0..2 {
        network.output_and_gradient().1.copy_from_slice(&[1.0, -2.0, 3.0, 2.0]);
        network.backward(2);
        let gradients: Vec<f64> = network.parameters.gradients.iter().map(|&g| f64::from(g)).collect();
        assert_eq!(gradients, differences);
    }
}

/// Parallel branches of different widths, one of which is the input itself and another is read twice. The
/// network is linear in each value, and all values are small integers, so central differences are exact.
#[test]
fn gradients_pass_through_channels_side_by_side() {
    let layers: Vec<serde_json::Map<String, Value>> = serde_json::from_value(json!([
        {"name": "a", "type": "conv2d", "filters": 2, "kernel": 3, "padding": 1},
        {"name": "b", "type": "conv2d", "filters": 3, "kernel": 1, "inputs": ["a"]},
        {"name": "both", "type": "concat", "inputs": ["b", "input", "a"]},
        {"name": "c", "type": "conv2d", "filters": 2, "kernel": 1},
        {"name": "flatten", "type": "flatten"},
    ]))
    .unwrap();
    let graph = Graph::from_tables(Shape::Image { channels: 1, height: 2, width: 3 }, layers).unwrap();
    assert_eq!(graph.shape(3), Shape::Image { channels: 6, height: 2, width: 3 });
    let (mut network, batch) = (Network::new(graph, Execution::float32(2)).unwrap(), 2);
    let count = network.parameters.values.len();
    let values: Vec<f32> = (0..count).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
    let r: Vec<f32> = (0..batch * 2 * 6).map(|i| ((i * 3) % 5) as f32 - 2.0).collect();
    let mut loss = |values: &[f32]| -> f64 {
        network.parameters.values.copy_from_slice(values);
        network.input_mut(batch).iter_mut().enumerate().for_each(|(i, x)| *x = ((i * 3) % 7) as f32 - 3.0);
        let y = network.forward(batch, Mode::Train(Draw::default()));
        y.iter().zip(&r).map(|(&y, &r)| f64::from(y * r)).sum()
    };
    let mut moved = |i: usize, by: f32| {
        let mut values = values.clone();
        values[i] += by;
        loss(&values)
    };
    let differences: Vec<f32> = (0..count).map(|i| ((moved(i, 1.0) - moved(i, -1.0)) / 2.0) as f32).collect();
    assert!(differences.iter().filter(|&&difference| difference != 0.0).count() > count / 2);
    loss(&values);
    network.output_and_gradient().1.copy_from_slice(&r);
    network.backward(batch);
    assert_eq!(network.parameters.gradients, differences);
}

/// Two linear layers share the embedding's weight; its gradient is the sum of three uses. The output has at
/// most degree 2 in each element of the weight, so central differences are exact; so are all sums of small
/// integers.
#[test]
fn a_tied_weight_has_one_gradient_in_whatever_parts() {
    let layers: Vec<serde_json::Map<String, Value>> = serde_json::from_value(json!([
        {"name": "words", "type": "embedding", "features": 3},
        {"name": "middle", "type": "linear", "units": 3},
        {"name": "one", "type": "linear", "units": 4, "tied": "words", "bias": false},
        {"name": "two", "type": "linear", "units": 4, "tied": "words", "inputs": ["middle"]},
        {"name": "sum", "type": "add", "inputs": ["one", "two"]},
    ]))
    .unwrap();
    let graph = Graph::from_tables(Shape::Tokens { steps: 2, vocabulary: 4 }, layers).unwrap();
    let mut network = Network::new(graph, Execution::float32(3)).unwrap();
    let names: Vec<&str> = network.parameters.table.iter().map(|p| &p.name[..]).collect();
    assert_eq!(names, ["words/weight", "middle/weight", "middle/bias", "two/bias"]);
    let values: Vec<f32> = (0..12 + 12 + 4).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
    assert_eq!(network.parameters.values.len(), values.len());
    let r: Vec<f32> = (0..2 * 3 * 4).map(|i| ((i * 3) % 5) as f32 - 2.0).collect();
    let mut loss = |values: &[f32]| -> f64 {
        network.parameters.values.copy_from_slice(values);
        network.input_mut(3).copy_from_slice(&[1.0, 3.0, 1.0, 2.0, 0.0, 3.0]);
        network.forward(3, Mode::Train(Draw::default())).iter().zip(&r).map(|(&y, &r)| f64::from(y * r)).sum()
    };
    let mut moved = |i: usize, by: f32| {
        let mut values = values.clone();
        values[i] += by;
        loss(&values)
    };
    let differences = (0..values.len()).map(|i| ((moved(i, 1.0) - moved(i, -1.0)) / 2.0) as f32);
    let differences: Vec<f32> = differences.collect();
    loss(&values);
    for parts in [&[0][..], &[4, 3, 2, 1, 0], &[2, 0]] {
        network.parameters.gradients.fill(f32::NAN);
        network.output_and_gradient().1.copy_from_slice(&r);
        let mut whole = Vec::new();
        network
            .backward_in_parts(3, parts, &mut |part| whole.splice(..0, part.iter().copied()).for_each(drop));
        assert_eq!(whole, differences, "parts {parts:?}");
    }
}

#[test]
fn parts_of_the_gradients_leave_in_backward_order() {
    let layers = json!([
        {"type": "linear", "units": 4}, {"type": "relu"}, {"type": "linear", "units": 3},
        {"type": "relu"}, {"type": "linear", "units": 2},
    ]);
    let mut network = network(layers, 1);
    network.input_mut(1).copy_from_slice(&[1.0, -2.0, 3.0]);
    network.forward(1, Mode::Train(Draw::default()));
    network.output_and_gradient().1.copy_from_slice(&[1.0, 2.0]);
    network.backward(1);
    let whole = network.parameters.gradients.clone();
    for (parts, cuts) in [(&[0][..], &[0][..]), (&[3, 1, 0], &[31, 16, 0]), (&[4, 2, 0], &[31, 16, 0])] {
        network.parameters.gradients.fill(f32::NAN);
        network.output_and_gradient().1.copy_from_slice(&[1.0, 2.0]);
        let (mut end, mut cuts) = (whole.len(), cuts.iter());
        network.backward_in_parts(1, parts, &mut |part| {
            let start = *cuts.next().expect("as many parts as were asked for");
            assert_eq!(part, &whole[start..end], "parts {parts:?}");
            end = start;
        });
        assert_eq!((end, cuts.next()), (0, None));
    }
}

#[test]
fn a_smaller_batch_computes_the_same_rows() {
    let layers = json!([{"type": "linear", "units": 4}, {"type": "relu"}, {"type": "linear", "units": 2}]);
    let mut network = network(layers, 3);
    let x = [1.0, -2.0, 3.0, 0.5, 4.0, -1.0, 2.0, 2.0, 2.0];
    network.input_mut(3).copy_from_slice(&x);
    let all = network.forward(3, Mode::Evaluate).to_vec();
    network.input_mut(2).copy_from_slice(&x[..6]);
    assert_eq!(network.forward(2, Mode::Evaluate), &all[..4]);
}

#[test]
fn the_first_bad_tensor_is_named() {
    let layers = json!([{"name": "a", "type": "linear", "units": 4}, {"name": "b", "type": "relu"}]);
    let mut network = network(layers, 1);
    network.input_mut(1).fill(1.0);
    network.forward(1, Mode::Train(Draw::default()));
    assert_eq!(network.first_non_finite(), None);
    network.parameters.values[5] = f32::NAN;
    network.forward(1, Mode::Train(Draw::default()));
    assert_eq!(network.first_non_finite().unwrap(), "parameter `a/weight` holds NaN at element 5");
    network.parameters.values.fill(3e38);
    network.input_mut(1).fill(3e38);
    network.forward(1, Mode::Train(Draw::default()));
    assert_eq!(network.first_non_finite().unwrap(), "the output of layer `a` holds inf at element 0");
}

/// The output of the recurrent layer is in a shared buffer, which `drop` reuses, and depends on the state before the batch;
/// that of `bn` is in one that `relu` reuses.
#[test]
fn the_search_for_a_bad_tensor_changes_no_state() {
    for kind in ["lstm", "gru", "rnn", "rhn"] {
        for reverse in [false, true] {
            no_state_changes(kind, reverse);
        }
    }
}

fn no_state_changes(kind: &str, reverse: bool) {
    let mut recurrent = json!({"name": "recurrent", "type": kind, "hidden": 3, "reverse": reverse});
    if kind == "rhn" {
        recurrent["depth"] = json!(2);
    }
    let layers = json!([
        recurrent,
        {"name": "drop", "type": "dropout", "rate": 0.5},
        {"name": "last", "type": "last_step"},
        {"name": "fc", "type": "linear", "units": 4},
        {"name": "bn", "type": "batch_norm"},
        {"name": "relu", "type": "relu"},
        {"name": "scores", "type": "linear", "units": 2},
    ]);
    let tables: Vec<serde_json::Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(Shape::Sequence { steps: 2, features: 3 }, tables).unwrap();
    let mut network = Network::new(graph, Execution::float32(4)).unwrap();
    assert_eq!(network.first_non_finite(), None);
    network.parameters.values.iter_mut().enumerate().for_each(|(i, value)| *value = (i as f32).sin());
    let bits = |network: &mut Network| {
        let states: Vec<Vec<f32>> =
            network.recurrent_state().into_iter().map(|(_, state)| state.values.to_vec()).collect();
        let statistics = &network.parameters.statistics.values;
        let values = states.iter().flatten().chain(statistics).chain(network.output());
        values.map(|value| value.to_bits()).collect::<Vec<_>>()
    };
    for batch in [4, 3] {
        network.input_mut(batch).fill(0.5);
        network.forward(batch, Mode::Train(Draw { seed: 1, step: 2, first_sample: 0 }));
        let before = bits(&mut network);
        assert_eq!(network.first_non_finite(), None);
        assert_eq!(bits(&mut network), before);
    }
    if reverse {
        assert!(network.recurrent_state().is_empty());
        return;
    }
    // A NaN in the state before the batch reaches the first output.
    network.recurrent_state()[0].1.values[0] = f32::NAN;
    network.forward(4, Mode::Evaluate);
    let found = network.first_non_finite().unwrap();
    assert!(found.starts_with("the output of layer `recurrent` holds NaN"), "{found}");
}

/// Values that are needed at the same time have different buffers; other values share buffers.
#[test]
fn values_share_buffers_only_in_turn() {
    let layers = json!([
        {"name": "a", "type": "linear", "units": 4},
        {"name": "b", "type": "linear", "units": 4},
        {"name": "c", "type": "linear", "units": 4, "inputs": ["a"]},
        {"name": "sum", "type": "add", "inputs": ["a", "b", "c"]},
        {"name": "d", "type": "relu"},
        {"name": "e", "type": "linear", "units": 2},
    ]);
    let tables: Vec<serde_json::Map<String, Value>> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(Shape::Vector { features: 3 }, tables).unwrap();
    let plan = BufferPlan::new(&graph, &[false, true, true, true, true, true, true], Precision::Float32);
    // Layers read `a` and the output of `d` in the backward pass, and the caller reads the last output. `b` and `c`
    // are needed until the sum is computed, and the sum needs a third buffer.
    assert_eq!(plan.outputs, [None, None, Some(0), Some(1), Some(2), None, None]);
    // Gradients needed at the same time in the backward pass: `e` and `d`; then `d` and the sum; then the sum and its
    // three inputs; then `a`, while `b` and `c` add to it.
    assert_eq!(plan.shared.len(), 4);
    let gradients: Vec<usize> = plan.gradients[1..].iter().map(|buffer| buffer.unwrap()).collect();
    let [a, b, c, sum, d, e] = gradients[..] else { panic!("{gradients:?}") };
    assert!(e != d && d != sum && [a, b, c].iter().all(|input| *input != sum));
    assert!(a != b && b != c && a != c);
    let summand = plan.summands[1].unwrap();
    assert!(summand != a && summand != b, "{plan:?}");
    assert_eq!(plan.summands.iter().flatten().count(), 1);
}

/// In bf16, outputs that only layers with bf16 operands read again are kept as bf16: they have a float32 buffer until the
/// last forward pass that reads them, and from the first to the last such backward pass.
#[test]
fn outputs_are_kept_as_bf16() {
    let layers = json!([
        {"name": "a", "type": "linear", "units": 4},
        {"name": "b", "type": "relu"},
        {"name": "c", "type": "linear", "units": 4},
        {"name": "d", "type": "tanh"},
        {"name": "e", "type": "linear", "units": 4, "inputs": ["d"]},
        {"name": "sum", "type": "add", "inputs": ["b", "e"]},
    ]);
    let tables: Vec<serde_json::Map<String, Value>> = serde_json::from_value(layers.clone()).unwrap();
    let graph = Graph::from_tables(Shape::Vector { features: 3 }, tables).unwrap();
    let wanted = [false, true, true, true, true, true, true];
    let plan = BufferPlan::new(&graph, &wanted, Precision::Bf16);
    // The backward passes of `c` and `b` read the output of `b`. That of `tanh` needs more precision than bf16 has.
    let kept: Vec<_> = plan.rounded.iter().map(|kept| kept.map(|kept| (kept.first, kept.last))).collect();
    assert_eq!(kept, [None, None, Some((2, 1)), None, None, None, None]);
    let own_buffer: Vec<bool> = plan.outputs.iter().map(Option::is_none).collect();
    assert_eq!(own_buffer, [true, false, false, false, true, false, true]);
    // While the gradients of `b` and `c` are computed, `b` is widened; `a` gets its gradient from `b`.
    let buffer = plan.rounded[2].unwrap().buffer;
    assert!([1, 2, 3].iter().all(|&source| plan.gradients[source] != Some(buffer)));

    let mut network = network_with(layers, Execution { batch: 1, precision: Precision::Bf16 });
    network.parameters.values.iter_mut().enumerate().for_each(|(i, w)| *w = (i as f32 + 0.3).sin());
    network.input_mut(1).copy_from_slice(&[1.0, -0.7, 0.3]);
    network.forward(1, Mode::Train(Draw::default()));
    let [a, c]: [Vec<f32>; 2] = ["a", "c"].map(|name| {
        let of = |tensor: &str| {
            let find = |p: &&crate::Parameter| p.name == format!("{name}/{tensor}");
            let found = network.parameters.table.iter().find(find).unwrap();
            &network.parameters.values[found.range.clone()]
        };
        of("weight").iter().chain(of("bias")).copied().collect()
    });
    let rounded = |x: f32| widen(round(x));
    let linear = |wb: &[f32], x: &[f32]| -> Vec<f32> {
        let (w, b) = wb.split_at(4 * x.len());
        let row = |w: &[f32]| w.iter().zip(x).map(|(w, x)| rounded(*w) * rounded(*x)).sum::<f32>();
        w.chunks(x.len()).zip(b).map(|(w, b)| row(w) + b).collect()
    };
    let b: Vec<f32> = linear(&a, &[1.0, -0.7, 0.3]).iter().map(|&y| rounded(y.max(0.0))).collect();
    let (e, c) =
        (network.parameters.table.iter().find(|p| p.name == "e/weight").unwrap().range.start, linear(&c, &b));
    let d: Vec<f32> = c.iter().map(|c| c.tanh()).collect();
    let e = linear(&network.parameters.values[e..], &d);
    for ((y, b), e) in network.output().iter().zip(&b).zip(&e) {
        // The sum adds the rounded output of `b`; the rest differs by the order of sums alone.
        assert!((y - (b + e)).abs() < 1e-5, "{y} {b} {e}");
    }
    assert!(b.iter().any(|&b| b > 0.0));
}

/// Random layers that read random earlier outputs of the same width.
fn random_layers() -> impl Strategy<Value = Vec<Value>> {
    let layer = (0usize..6, any::<[prop::sample::Index; 2]>());
    prop::collection::vec(layer, 1..12).prop_map(|layers| {
        let mut unread = vec![];
        let mut tables = vec![json!({"name": "l0", "type": "linear", "units": 3})];
        for (kind, inputs) in layers {
            let number = tables.len();
            unread.push(format!("l{}", number - 1));
            let mut own: Vec<String> =
                inputs.iter().map(|input| format!("l{}", input.index(number))).collect();
            own.dedup();
            let kind = ["linear", "relu", "tanh", "leaky_relu", "add", "dropout"][kind];
            let mut table = json!({"name": format!("l{number}"), "type": kind});
            if kind == "linear" {
                table["units"] = json!(3);
            }
            if kind == "dropout" {
                table["rate"] = json!(0.5);
            }
            if kind == "add" && own.len() < 2 {
                table["type"] = json!("sigmoid");
            }
            own.truncate(if kind == "add" { 2 } else { 1 });
            unread.retain(|name| !own.contains(name));
            table["inputs"] = json!(own);
            tables.push(table);
        }
        // All outputs are read.
        unread.push(format!("l{}", tables.len() - 1));
        if unread.len() > 1 {
            tables.push(json!({"name": "all", "type": "add", "inputs": unread}));
        }
        tables
    })
}

proptest! {
    /// Two steps of different batches, after the buffers have held NaN.
    #[test]
    fn shared_buffers_change_no_bit(layers in random_layers(), is_bf16 in any::<bool>()) {
        let precision = if is_bf16 { Precision::Bf16 } else { Precision::Float32 };
        let execution = Execution { precision, batch: 3 };
        let steps = |mut network: Network| {
            let mut bits = Vec::new();
            network.values.fill(f32::NAN);
            for (step, batch) in [(1, 3), (2, 2)] {
                network.input_mut(batch).iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.7).sin());
                let y = network.forward(batch, Mode::Train(Draw { seed: 1, step, first_sample: 0 })).to_vec();
                network.output_and_gradient().1.iter_mut().zip(&y).for_each(|(dy, y)| *dy = y - 0.5);
                network.backward(batch);
                bits.extend(y.iter().chain(&network.parameters.gradients).map(|value| value.to_bits()));
            }
            bits
        };
        let (shared, separate) = (steps(network_with(json!(layers), execution)), steps(separate(json!(layers), execution)));
        prop_assert!(shared.iter().all(|&bits| f32::from_bits(bits).is_finite()));
        prop_assert_eq!(shared, separate);
    }
}

proptest! {
    /// The layer that is named does not depend on which buffers are shared, before and after a backward pass.
    #[test]
    fn the_first_bad_layer_is_named_with_shared_buffers(
        layers in random_layers(), large in any::<prop::sample::Index>(), is_bf16 in any::<bool>()
    ) {
        let precision = if is_bf16 { Precision::Bf16 } else { Precision::Float32 };
        let execution = Execution { precision, batch: 2 };
        let names = |mut network: Network| {
            let count = network.parameters.values.len();
            network.parameters.values.iter_mut().enumerate().for_each(|(i, w)| *w = (i as f32 + 0.3).sin());
            network.parameters.values[large.index(count)] = 3e38;
            network.input_mut(2).fill(-30.0);
            network.forward(2, Mode::Train(Draw { seed: 1, step: 1, first_sample: 0 }));
            let forward = network.first_non_finite();
            network.output_and_gradient().1.fill(1.0);
            network.backward(2);
            (forward, network.first_non_finite())
        };
        let (shared, separate) = (names(network_with(json!(layers), execution)), names(separate(json!(layers), execution)));
        prop_assert_eq!(&shared.0, &shared.1);
        prop_assert_eq!(shared, separate);
    }
}
