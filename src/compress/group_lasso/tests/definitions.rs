//! The groups of each kind by definition: plain loops over the axes of each tensor, independent of the code that
//! computes them.

use serde_json::{Value, json};

use super::*;

/// The elements of a group, by their place in the flat vector. An element listed twice counts twice in the norm of the
/// published code.
pub type Members = Vec<usize>;

/// A network with groups of some kinds.
pub struct Case {
    pub kind: StructureKind,
    pub graph: Graph,
    pub parameters: Parameters,
    pub groups: Vec<Members>,
}

impl Case {
    fn new(
        kind: StructureKind,
        (input, layers): (Shape, Value),
        groups: impl Fn(&dyn Fn(&str) -> Axes) -> Vec<Members>,
    ) -> Case {
        let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
        let graph = Graph::from_tables(input, layers).unwrap_or_else(|(error, _)| panic!("{error}"));
        let mut parameters = Parameters::new(&graph).unwrap();
        let value = |at: usize| (at as f32 * 0.7).sin();
        parameters.values.iter_mut().enumerate().for_each(|(at, to)| *to = value(at));
        let table = &parameters.table;
        let tensor = |name: &str| {
            let tensor = table.iter().find(|tensor| tensor.name == name).unwrap_or_else(|| panic!("{name}"));
            Axes { start: tensor.range.start, shape: tensor.spec.shape.clone() }
        };
        let groups = groups(&tensor);
        Case { kind, graph, parameters, groups }
    }

    /// A job in which only this kind has a strength.
    pub fn job(&self, method: SparsityMethod, strength: f64) -> Sparsity {
        let mut strengths = Strengths::default();
        let own = match self.kind {
            StructureKind::Filters => &mut strengths.filters,
            StructureKind::Channels => &mut strengths.channels,
            StructureKind::Shapes => &mut strengths.shapes,
            StructureKind::Filters2d => &mut strengths.filters_2d,
            StructureKind::Layers => &mut strengths.layers,
            StructureKind::Neurons => &mut strengths.neurons,
            StructureKind::Inputs => &mut strengths.inputs,
            StructureKind::HiddenUnits => &mut strengths.hidden_units,
        };
        *own = strength;
        Sparsity { method, strengths, ..Sparsity::default() }
    }
}

/// The place and axes of a tensor.
struct Axes {
    start: usize,
    shape: Vec<usize>,
}

impl Axes {
    /// The elements for whose index along each axis `is_in` returns true.
    fn all(&self, is_in: impl Fn(&[usize]) -> bool) -> Members {
        let count = self.shape.iter().product();
        let index = |at: usize| -> Vec<usize> {
            let inner = |axis: usize| self.shape[axis + 1..].iter().product::<usize>();
            (0..self.shape.len()).map(|axis| at / inner(axis) % self.shape[axis]).collect()
        };
        (0..count).filter(|&at| is_in(&index(at))).map(|at| self.start + at).collect()
    }
}

/// Three convolutions, the second in a branch that a shortcut bypasses, and two linear layers: `[F, C, R, S]`
/// are `[4, 2, 3, 3]`, `[4, 4, 3, 3]` and `[5, 4, 2, 3]`, `[U, D]` `[6, 5 6 5]` and `[3, 6]`.
fn images() -> (Shape, Value) {
    let layers = json!([
        {"name": "conv1", "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1},
        {"name": "relu1", "type": "relu"},
        {"name": "conv2", "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1, "bias": false},
        {"name": "bn2", "type": "batch_norm"},
        {"name": "sum", "type": "add", "inputs": ["relu1", "bn2"]},
        {"name": "conv3", "type": "conv2d", "filters": 5, "kernel": [2, 3]},
        {"type": "flatten"},
        {"name": "ip1", "type": "linear", "units": 6},
        {"type": "relu"},
        {"name": "ip2", "type": "linear", "units": 3},
    ]);
    (Shape::Image { channels: 2, height: 7, width: 7 }, layers)
}

/// Two groups of 3 filters on 2 channels each: `[6, 2, 2, 3]`.
fn grouped() -> (Shape, Value) {
    let layers = json!([
        {"name": "conv", "type": "conv2d", "filters": 6, "kernel": [2, 3], "groups": 2},
        {"type": "flatten"},
        {"name": "ip", "type": "linear", "units": 3},
    ]);
    (Shape::Image { channels: 4, height: 4, width: 4 }, layers)
}

/// 4 hidden units of an LSTM, then 3 of a recurrent highway network of 2 levels.
fn words() -> (Shape, Value) {
    let layers = json!([
        {"name": "words", "type": "embedding", "features": 3},
        {"name": "lstm", "type": "lstm", "hidden": 4},
        {"name": "rhn", "type": "rhn", "hidden": 3, "depth": 2},
        {"name": "logits", "type": "linear", "units": 7},
    ]);
    (Shape::Tokens { steps: 2, vocabulary: 7 }, layers)
}

/// Each of the eight kinds, shapes twice: on filters in one group and in two.
pub fn cases() -> Vec<Case> {
    let filters = Case::new(StructureKind::Filters, images(), |of| {
        let mut groups = Vec::new();
        for (layer, filters, bias) in [("conv1", 4, true), ("conv2", 4, false), ("conv3", 5, true)] {
            for f in 0..filters {
                let mut members = of(&format!("{layer}/weight")).all(|i| i[0] == f);
                if bias {
                    members.extend(of(&format!("{layer}/bias")).all(|i| i[0] == f));
                }
                groups.push(members);
            }
        }
        groups
    });
    // The channels of the network's input cannot be removed.
    let channels = Case::new(StructureKind::Channels, images(), |of| {
        let channel = |layer, c: usize| of(layer).all(|i| i[1] == c);
        ["conv2/weight", "conv3/weight"]
            .iter()
            .flat_map(|&layer| (0..4).map(move |c| channel(layer, c)))
            .collect()
    });
    let shapes = Case::new(StructureKind::Shapes, images(), |of| {
        let mut groups = Vec::new();
        for (layer, c, r, s) in [("conv1", 2, 3, 3), ("conv2", 4, 3, 3), ("conv3", 4, 2, 3)] {
            let column = |n: usize| [n / (r * s), n / s % r, n % s];
            groups
                .extend((0..c * r * s).map(|n| of(&format!("{layer}/weight")).all(|i| i[1..] == column(n))));
        }
        groups
    });
    let shapes_of_groups = Case::new(StructureKind::Shapes, grouped(), |of| {
        let column = |n: usize| [n / 6, n / 3 % 2, n % 3];
        let of_group = |group, n| of("conv/weight").all(|i| i[0] / 3 == group && i[1..] == column(n));
        (0..24).map(|at| of_group(at / 12, at % 12)).collect()
    });
    let filters_2d = Case::new(StructureKind::Filters2d, images(), |of| {
        let mut groups = Vec::new();
        for (layer, f, c) in [("conv1", 4, 2), ("conv2", 4, 4), ("conv3", 5, 4)] {
            let both = |n: usize| [n / c, n % c];
            groups.extend((0..f * c).map(|n| of(&format!("{layer}/weight")).all(|i| i[..2] == both(n))));
        }
        groups
    });
    let layers = Case::new(StructureKind::Layers, images(), |of| {
        vec![
            ["conv2/weight", "bn2/weight", "bn2/bias"]
                .iter()
                .flat_map(|&name| of(name).all(|_| true))
                .collect(),
        ]
    });
    // The neurons of the logits cannot be removed.
    let neurons = Case::new(StructureKind::Neurons, images(), |of| {
        let all =
            |unit| ["ip1/weight", "ip1/bias"].iter().flat_map(move |&name| of(name).all(|i| i[0] == unit));
        (0..6).map(|unit| all(unit).collect()).collect()
    });
    // For the first layer, all 30 pixels of a channel.
    let inputs = Case::new(StructureKind::Inputs, images(), |of| {
        let first = (0..5).map(|channel| of("ip1/weight").all(|i| i[1] / 30 == channel));
        first.chain((0..6).map(|unit| of("ip2/weight").all(|i| i[1] == unit))).collect()
    });
    // The rows of all gates, the recurrent column of the unit, and the column of the next layer; no bias.
    let hidden_units = Case::new(StructureKind::HiddenUnits, words(), |of| {
        let unit = |layer: &str, next: &str, hidden: usize, k: usize| -> Members {
            let hh = of(&format!("{layer}/weight_hh"));
            let axes = hh.shape.len();
            let rows = of(&format!("{layer}/weight_ih")).all(|i| i[0] % hidden == k);
            let recurrent_rows = hh.all(|i| i[axes - 2] % hidden == k);
            let recurrent_column = hh.all(|i| i[axes - 1] == k);
            let column = of(next).all(|i| i[1] == k);
            [rows, recurrent_rows, recurrent_column, column].concat()
        };
        let lstm = (0..4).map(|k| unit("lstm", "rhn/weight_ih", 4, k));
        lstm.chain((0..3).map(|k| unit("rhn", "logits/weight", 3, k))).collect()
    });
    vec![filters, channels, shapes, shapes_of_groups, filters_2d, layers, neurons, inputs, hidden_units]
}
