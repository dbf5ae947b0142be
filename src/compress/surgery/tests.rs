//! On random networks: a network with zeros and the smaller network after surgery compute the same.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::units::{CoupledUnits, Role};
use super::*;
use ternflock_nn::layer::Mode;
use ternflock_nn::{Execution, Network, Shape};

/// Half a vector of AVX-512, so that the kernels are used, and not a multiple of any vector length.
const BATCH: usize = 9;

const UNITS: Shrink = Shrink { round_to: 1, columns: false };

mod columns;

fn graph(input: Shape, layers: Vec<Value>) -> Graph {
    let tables = layers.into_iter().map(|layer| serde_json::from_value(layer).unwrap());
    Graph::from_tables(input, tables).unwrap_or_else(|(error, _)| panic!("{error}"))
}

/// Pseudo-random numbers from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn chance(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Between -1 and 1, but never zero.
    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.below(2000) as f32 / 1000.0 - 0.9995).collect()
    }
}

/// A stem, residual and plain blocks in some order, and a head.
fn image_network(draws: &mut Draws) -> Graph {
    let conv = |name: &str, from: &str, filters: usize, kernel: usize, bias: bool| {
        json!({"name": name, "type": "conv2d", "filters": filters, "kernel": kernel, "padding": kernel / 2,
            "bias": bias, "inputs": [from]})
    };
    let norm = |name: &str, from: &str| json!({"name": name, "type": "batch_norm", "inputs": [from]});
    let relu = |name: &str, from: &str| json!({"name": name, "type": "relu", "inputs": [from]});
    let mut width = 2 + draws.below(4);
    let mut layers = vec![conv("stem", "input", width, 3, true), relu("stem_relu", "stem")];
    let mut last = "stem_relu".to_string();
    for block in 0..1 + draws.below(3) {
        let name = |part: &str| format!("b{block}_{part}");
        if draws.chance() {
            let more = draws.below(3);
            let shortcut = match more {
                0 => last.clone(),
                _ => {
                    layers.push(json!({"name": name("skip"), "type": "shortcut", "channels": width + more,
                        "inputs": [last]}));
                    name("skip")
                }
            };
            layers.push(conv(&name("conv1"), &last, 2 + draws.below(4), 3, false));
            layers.push(norm(&name("norm1"), &name("conv1")));
            layers.push(relu(&name("relu1"), &name("norm1")));
            width += more;
            layers.push(conv(&name("conv2"), &name("relu1"), width, 3, draws.chance()));
            layers.push(norm(&name("norm2"), &name("conv2")));
            layers.push(json!({"name": name("sum"), "type": "add", "inputs": [shortcut, name("norm2")]}));
            layers.push(relu(&name("relu2"), &name("sum")));
            last = name("relu2");
        } else if draws.chance() {
            let (one, other) = (1 + draws.below(3), 1 + draws.below(3));
            layers.push(conv(&name("one"), &last, one, 1, true));
            layers.push(relu(&name("one_relu"), &name("one")));
            layers.push(conv(&name("other"), &last, other, 3, true));
            let both = match draws.chance() {
                true => vec![name("one_relu"), name("other")],
                false => vec![name("other"), last.clone(), name("one_relu")],
            };
            width = one + other + if both.len() == 3 { width } else { 0 };
            layers.push(json!({"name": name("concat"), "type": "concat", "inputs": both}));
            last = name("concat");
        } else {
            width = 2 + draws.below(4);
            layers.push(conv(&name("conv"), &last, width, [1, 3][draws.below(2)], true));
            let mut made = name("conv");
            if width.is_multiple_of(2) && draws.chance() {
                let mut grouped = conv(&name("grouped"), &made, width, 3, draws.chance());
                grouped["groups"] = json!(2);
                layers.push(grouped);
                made = name("grouped");
            }
            layers.push(relu(&name("relu"), &made));
            let pool = ["max_pool2d", "avg_pool2d"][draws.below(2)];
            layers.push(json!({"name": name("pool"), "type": pool, "kernel": 2, "stride": 1, "inputs": [name("relu")]}));
            layers.push(
                json!({"name": name("drop"), "type": "dropout", "rate": 0.5, "inputs": [name("pool")]}),
            );
            last = name("drop");
        }
    }
    let head = if draws.chance() { "flatten" } else { "global_avg_pool2d" };
    layers.push(json!({"type": head, "inputs": [last]}));
    layers.push(json!({"type": "linear", "units": 1 + draws.below(6)}));
    layers.push(json!({"type": "relu"}));
    layers.push(json!({"type": "linear", "units": 3}));
    graph(Shape::Image { channels: 2, height: 6, width: 6 }, layers)
}

/// Words, some recurrent levels, and logits that may be tied.
fn language_network(draws: &mut Draws) -> Graph {
    let features = 2 + draws.below(4);
    let mut layers = vec![json!({"name": "words", "type": "embedding", "features": features})];
    let mut width = features;
    for level in 0..1 + draws.below(3) {
        width = if draws.chance() { features } else { 2 + draws.below(4) };
        let mut layer = match draws.below(4) {
            0 => json!({"type": "lstm", "forget_bias": 1.0}),
            1 => json!({"type": "gru"}),
            2 => json!({"type": "rnn"}),
            _ => json!({"type": "rhn", "depth": 1 + draws.below(3)}),
        };
        layer["hidden"] = json!(width);
        if draws.chance() {
            layer["recurrent_rank"] = json!(1 + draws.below(4));
        }
        layer["name"] = json!(format!("level{level}"));
        layers.push(layer);
    }
    let mut logits = json!({"type": "linear", "units": 7});
    if width == features && draws.chance() {
        logits["tied"] = json!("words");
    }
    layers.push(logits);
    graph(Shape::Tokens { steps: 4, vocabulary: 7 }, layers)
}

/// Convolutions over time, pooling and recurrent layers in some order, and a head.
fn sequence_network(draws: &mut Draws) -> Graph {
    let mut layers = Vec::new();
    let mut width = 3;
    for block in 0..1 + draws.below(4) {
        let mut layer = match draws.below(5) {
            0 | 1 => {
                let padding = [json!("same"), json!("causal")][draws.below(2)].clone();
                let groups = if width % 2 == 0 && draws.chance() { 2 } else { 1 };
                width = 2 * (1 + draws.below(3));
                json!({"type": "conv1d", "filters": width, "kernel": 1 + draws.below(3), "padding": padding,
                    "dilation": 1 + draws.below(2), "groups": groups, "bias": draws.chance()})
            }
            2 => {
                let pool = ["max_pool1d", "avg_pool1d"][draws.below(2)];
                json!({"type": pool, "kernel": 2, "stride": 1, "padding": 1})
            }
            3 => json!({"type": "batch_norm"}),
            _ => {
                let kind = ["lstm", "gru", "rnn"][draws.below(3)];
                let (hidden, is_bidirectional) = (2 + draws.below(3), draws.chance());
                width = if is_bidirectional { 2 * hidden } else { hidden };
                json!({"type": kind, "hidden": hidden, "bidirectional": is_bidirectional})
            }
        };
        layer["name"] = json!(format!("block{block}"));
        layers.push(layer);
    }
    let head = ["flatten", "last_step", "global_avg_pool1d"][draws.below(3)];
    layers.push(json!({"type": head}));
    layers.push(json!({"name": "logits", "type": "linear", "units": 3}));
    graph(Shape::Sequence { steps: 5, features: 3 }, layers)
}

/// Sets all weights that produce a unit, or all that read it, to zero, for some of the units that can be
/// removed. Returns their number.
fn kill_units(graph: &Graph, parameters: &mut Parameters, draws: &mut Draws) -> usize {
    let units = CoupledUnits::new(graph, &parameters.table, &parameters.statistics.table).unwrap();
    let mut killed = 0;
    for unit in 0..units.count() {
        if units.pinned[unit].is_some() || draws.chance() {
            continue;
        }
        let role = [Role::Makes, Role::Reads][draws.below(2)];
        killed += 1;
        for axis in units.parameters.iter().filter(|axis| axis.role == role) {
            let tensor = &parameters.table[axis.tensor];
            let inner: usize = tensor.spec.shape[axis.axis + 1..].iter().product();
            let places = axis.units.iter().cycle();
            for (run, _) in parameters.values[tensor.range.clone()]
                .chunks_exact_mut(inner)
                .zip(places)
                .filter(|(_, of)| **of == unit)
            {
                run.fill(0.0);
            }
        }
    }
    killed
}

fn output(graph: &Graph, parameters: &Parameters, input: &[f32]) -> Vec<f32> {
    let mut network = Network::new(graph.clone(), Execution::float32(BATCH)).unwrap();
    network.parameters.values.copy_from_slice(&parameters.values);
    network.parameters.statistics.values.copy_from_slice(&parameters.statistics.values);
    network.input_mut(BATCH).copy_from_slice(input);
    network.forward(BATCH, Mode::Evaluate).to_vec()
}

/// Random parameters and statistics; variances are positive.
fn parameters(graph: &Graph, draws: &mut Draws) -> Parameters {
    let mut parameters = Parameters::new(graph).unwrap();
    parameters.values = draws.values(parameters.values.len());
    parameters.statistics.values = draws.values(parameters.statistics.values.len());
    parameters.statistics.values.iter_mut().for_each(|value| *value = value.abs() + 0.5);
    parameters
}

fn input(graph: &Graph, draws: &mut Draws) -> Vec<f32> {
    let count = BATCH * graph.input().elements();
    match graph.input() {
        Shape::Tokens { vocabulary, .. } => (0..count).map(|_| draws.below(vocabulary) as f32).collect(),
        _ => draws.values(count),
    }
}

/// Runs surgery on units and columns, and compares outputs. Sums are the same except for zeros, so only the
/// order of a sum can differ.
fn check(graph: &Graph, parameters: &Parameters, draws: &mut Draws) -> Shrunk {
    check_with(&Shrink::default(), graph, parameters, draws)
}

fn check_with(options: &Shrink, graph: &Graph, parameters: &Parameters, draws: &mut Draws) -> Shrunk {
    let shrunk = shrink(graph, parameters, options).unwrap();
    let smaller = shrunk.surgery.apply(parameters).unwrap();
    // Each element comes from a different place.
    let mut places = shrunk.surgery.parameters.clone();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), smaller.values.len());
    let input = input(graph, draws);
    let (before, after) =
        (output(graph, parameters, &input), output(&shrunk.surgery.graph, &smaller, &input));
    let largest = before.iter().fold(1.0f32, |largest, value| largest.max(value.abs()));
    for (before, after) in before.iter().zip(&after) {
        assert!((before - after).abs() <= 2e-5 * largest, "{before} {after}\n{}", graph.to_json());
    }
    // There is nothing left to remove.
    assert_eq!(shrink(&shrunk.surgery.graph, &smaller, options).unwrap().surgery.graph, shrunk.surgery.graph);
    shrunk
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn zeros_and_their_absence_compute_the_same(seed: u64, kind in 0..3) {
        let mut draws = Draws(seed);
        let graph = match kind {
            0 => language_network(&mut draws),
            1 => sequence_network(&mut draws),
            _ => image_network(&mut draws),
        };
        let mut parameters = parameters(&graph, &mut draws);
        // Without dead structures nothing changes.
        let whole = check(&graph, &parameters, &mut draws);
        prop_assert_eq!(&whole.surgery, &Surgery::none(&graph, &parameters));
        let killed = kill_units(&graph, &mut parameters, &mut draws);
        let shrunk = check_with(&UNITS, &graph, &parameters, &mut draws);
        check(&graph, &parameters, &mut draws);
        prop_assert!(killed == 0 || shrunk.surgery.parameters.len() < parameters.values.len()
            || !shrunk.emptied.is_empty());
    }
}

/// A branch whose last convolution and norm are zero is removed, with all its layers and the sum.
#[test]
fn a_zero_branch_leaves_through_its_shortcut() {
    let conv = |name: &str, from: &str| {
        json!({"name": name, "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1,
        "bias": false, "inputs": [from]})
    };
    let graph = graph(
        Shape::Image { channels: 2, height: 5, width: 5 },
        vec![
            conv("stem", "input"),
            conv("conv1", "stem"),
            json!({"name": "relu", "type": "relu"}),
            conv("conv2", "relu"),
            json!({"name": "norm", "type": "batch_norm"}),
            json!({"name": "sum", "type": "add", "inputs": ["stem", "norm"]}),
            json!({"name": "flatten", "type": "flatten"}),
            json!({"name": "logits", "type": "linear", "units": 3}),
        ],
    );
    let mut draws = Draws(1);
    let mut parameters = parameters(&graph, &mut draws);
    let zero = |parameters: &mut Parameters, layer: &str| {
        let table = parameters.table.clone();
        for tensor in table.iter().filter(|tensor| tensor.name.split('/').next() == Some(layer)) {
            parameters.values[tensor.range.clone()].fill(0.0);
        }
    };
    zero(&mut parameters, "conv2");
    // The norm still adds a constant.
    let kept = check(&graph, &parameters, &mut draws).surgery.graph;
    assert!(kept.layers().iter().any(|node| node.name == "sum"));
    zero(&mut parameters, "norm");
    let smaller = check(&graph, &parameters, &mut draws).surgery;
    let names: Vec<&str> = smaller.graph.layers().iter().map(|node| node.name.as_str()).collect();
    assert_eq!(names, ["stem", "flatten", "logits"]);
    assert_eq!(smaller.units["stem"], [0, 1, 2, 3]);
    assert_eq!(smaller.parameters.len(), 4 * 2 * 9 + 3 * 100 + 3);
}

#[test]
fn the_strongest_unit_of_a_dead_layer_is_kept() {
    let layers = vec![
        json!({"name": "ip1", "type": "linear", "units": 5}),
        json!({"type": "relu"}),
        json!({"name": "ip2", "type": "linear", "units": 2}),
    ];
    let graph = graph(Shape::Vector { features: 3 }, layers);
    let mut draws = Draws(2);
    let mut parameters = parameters(&graph, &mut draws);
    let [ip1, _, ip2, _] = [0, 1, 2, 3].map(|tensor: usize| parameters.table[tensor].range.clone());
    parameters.values[ip2].fill(0.0);
    parameters.values[ip1.start + 3 * 3] = 9.0;
    let shrunk = shrink(&graph, &parameters, &UNITS).unwrap();
    assert_eq!((&shrunk.emptied[..], &shrunk.surgery.units["ip1"][..]), (&["ip1".to_string()][..], &[3][..]));
    // Rounded up to the vector length of the machine, if there are that many units.
    let eight = Shrink { round_to: 8, ..UNITS };
    let rounded = shrink(&graph, &parameters, &Shrink { round_to: 4, ..UNITS }).unwrap();
    assert_eq!(rounded.surgery.units["ip1"].len(), 4);
    assert_eq!(shrink(&graph, &parameters, &eight).unwrap().surgery.units["ip1"].len(), 5);
}

/// Pinned units stay, even if they are zero: the input, the output, groups, and neighbours in a response
/// norm.
#[test]
fn what_must_stay_stays() {
    let conv = |name: &str, groups: usize| json!({"name": name, "type": "conv2d", "filters": 4, "kernel": 1, "groups": groups});
    let layers = vec![
        conv("conv1", 1),
        json!({"type": "local_response_norm", "size": 3}),
        conv("conv2", 1),
        conv("conv3", 2),
        json!({"type": "flatten"}),
        json!({"name": "logits", "type": "linear", "units": 3}),
    ];
    let graph = graph(Shape::Image { channels: 2, height: 2, width: 2 }, layers);
    let zeros = Parameters::new(&graph).unwrap();
    let units = CoupledUnits::new(&graph, &zeros.table, &zeros.statistics.table).unwrap();
    assert!(units.pinned.iter().all(Option::is_some));
    assert_eq!(shrink(&graph, &zeros, &UNITS).unwrap().surgery.graph, graph);
}
