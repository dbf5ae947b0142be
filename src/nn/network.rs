//! A graph with parameters and buffers, ready to run forward and backward.

use std::ops::Range;
use std::time::Instant;

use super::clock::Clock;
use super::graph::Graph;
use super::layer::{Backward, Carried, Forward, InputGradients, Inputs, Layer, Mode, Tensors, TensorsMut};
use super::memory::{check_memory, wanted};
use super::parameters::{Parameters, ranges, statistics_table, table};
use crate::error::Result;
use crate::tensor::{add_scaled, for_each_row, rows, rows_mut, within};

/// A network that can run batches of up to `capacity` samples. All buffers are sized here; a step allocates nothing.
pub struct Network {
    graph: Graph,
    /// All parameters and their gradients.
    pub parameters: Parameters,
    layers: Vec<Box<dyn Layer>>,
    /// By layer: where the tensors that it reads stand, its own and then the one it is tied to.
    ranges: Vec<Vec<Range<usize>>>,
    /// By layer and tensor: whether a later layer reads it too.
    shared: Vec<Vec<bool>>,
    statistics_ranges: Vec<Vec<Range<usize>>>,
    /// By layer: where its tensors, and those of all later ones, begin.
    starts: Vec<usize>,
    capacity: usize,
    /// By source number: the input's, then each layer's output.
    outputs: Vec<Vec<f32>>,
    /// Gradients by source number; empty where nobody wants one.
    gradients: Vec<Vec<f32>>,
    wanted: Vec<bool>,
    /// Whether the backward pass under way has given a source its first gradient.
    written: Vec<bool>,
    /// What a source that several layers read has been given so far; empty for the others.
    earlier: Vec<Vec<f32>>,
    /// Elements of each source for the batch under way.
    elements: Vec<usize>,
    /// What each layer has taken.
    pub clock: Clock,
}

impl Network {
    /// A network of `graph` with all parameters zero, for batches of up to `capacity` samples.
    pub fn new(graph: Graph, capacity: usize) -> Result<Network> {
        let (table, statistics) = (table(&graph)?, statistics_table(&graph)?);
        check_memory(&graph, capacity, 0, 1)?;
        let wanted = wanted(&graph, &table);
        let parameters = Parameters::with(table, statistics);
        let count = graph.layers().len();
        let layers: Vec<Box<dyn Layer>> = (0..count)
            .map(|i| graph.ask(i, |node, shapes| node.layer.describe().build(shapes, capacity)))
            .collect::<Result<_>>()?;
        let statistics_ranges = (0..count).map(|i| ranges(&parameters.statistics.table, i)).collect();
        let mut ranges: Vec<_> = (0..count).map(|i| ranges(&parameters.table, i)).collect();
        let starts = ranges.iter().scan(0, |end, ranges| {
            let start = *end;
            *end = ranges.last().map_or(start, |last| last.end);
            Some(start)
        });
        let starts = starts.collect();
        for (i, owner) in (0..count).filter_map(|i| Some((i, graph.tied(i)?))) {
            let name = format!("{}/weight", graph.layers()[owner].name);
            let weight = parameters.table.iter().find(|parameter| parameter.name == name);
            ranges[i].push(weight.map(|weight| weight.range.clone()).expect("the graph has found it"));
        }
        let later =
            |i: usize, range: &Range<usize>| ranges[i + 1..].iter().flatten().any(|other| other == range);
        let shared = ranges.iter().enumerate();
        let shared =
            shared.map(|(i, own)| own.iter().map(|range| !range.is_empty() && later(i, range)).collect());
        let shared = shared.collect();

        let mut readers = vec![0; count + 1];
        (0..count).flat_map(|i| graph.sources(i)).for_each(|&source| readers[source] += 1);
        let buffer = |source: usize| vec![0.0; graph.shape(source).elements() * capacity];
        let outputs = (0..=count).map(buffer).collect();
        let sized = |yes: &dyn Fn(usize) -> bool| {
            (0..=count).map(|source| if yes(source) { buffer(source) } else { Vec::new() }).collect()
        };
        let gradients = sized(&|source| wanted[source]);
        let earlier = sized(&|source| wanted[source] && readers[source] > 1);
        let (written, elements) = (vec![false; count + 1], vec![0; count + 1]);
        Ok(Network {
            graph,
            parameters,
            layers,
            ranges,
            shared,
            statistics_ranges,
            starts,
            capacity,
            outputs,
            gradients,
            wanted,
            written,
            earlier,
            elements,
            clock: Clock::new(count),
        })
    }

    /// The structure.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The largest batch.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Whether a backward pass computes the gradient of source `number`: 0 is the network's input, i + 1 the output of layer i.
    pub fn wants_gradient(&self, number: usize) -> bool {
        self.wanted[number]
    }

    /// The input of `batch` samples, to be written before [`Network::forward`]: `[C, H, W, N]`, `[N, D]`,
    /// `[T, N, D]` or `[T, N]`.
    pub fn input_mut(&mut self, batch: usize) -> &mut [f32] {
        assert!(batch <= self.capacity, "a batch of {batch} in a network built for {}", self.capacity);
        &mut self.outputs[0][..self.graph.input().elements() * batch]
    }

    /// Runs `batch` samples and returns the output, `[N, K]` or `[T, N, K]`. Recurrent layers go on from the states that
    /// the batch before has left ([`Network::carried`]).
    pub fn forward(&mut self, batch: usize, mode: Mode) -> &[f32] {
        assert!(batch <= self.capacity, "a batch of {batch} in a network built for {}", self.capacity);
        for (source, elements) in self.elements.iter_mut().enumerate() {
            *elements = self.graph.shape(source).elements() * batch;
        }
        within(|| self.run(batch, mode));
        self.output()
    }

    fn run(&mut self, batch: usize, mode: Mode) {
        for (i, layer) in self.layers.iter_mut().enumerate() {
            let (before, rest) = self.outputs.split_at_mut(i + 1);
            let start = Instant::now();
            layer.forward(Forward {
                batch,
                mode,
                layer: i,
                parameters: Tensors { flat: &self.parameters.values, ranges: &self.ranges[i] },
                statistics: TensorsMut {
                    flat: &mut self.parameters.statistics.values,
                    ranges: &self.statistics_ranges[i],
                    shared: &[],
                },
                x: Inputs { buffers: before, sources: self.graph.sources(i), elements: &self.elements },
                y: &mut rest[0][..self.elements[i + 1]],
            });
            self.clock.forward(i, start);
        }
    }

    /// The output of the last forward pass: `[N, K]` or `[T, N, K]`.
    pub fn output(&self) -> &[f32] {
        let last = self.layers.len();
        &self.outputs[last][..self.elements[last]]
    }

    /// The output of the last forward pass, and the place for the gradient with respect to it.
    pub fn output_and_gradient(&mut self) -> (&[f32], &mut [f32]) {
        let last = self.layers.len();
        let elements = self.elements[last];
        (&self.outputs[last][..elements], &mut self.gradients[last][..elements])
    }

    /// Computes all parameters' gradients for the last forward pass, from the gradient written into
    /// [`Network::output_and_gradient`].
    pub fn backward(&mut self, batch: usize) {
        self.backward_in_parts(batch, &[0], &mut |_| ());
    }

    /// [`Network::backward`] that gives the gradients away as they become final, the last layers' first. `parts` are the
    /// layers that parts begin with, descending to 0; a part ends where the one before it begins. `done` gets each
    /// part's piece of `parameters.gradients`.
    ///
    /// # Panics
    /// Unless `parts` descend to 0.
    pub fn backward_in_parts<'a>(
        &'a mut self,
        batch: usize,
        parts: &[usize],
        done: &mut dyn FnMut(&'a mut [f32]),
    ) {
        assert!(parts.last() == Some(&0) && parts.is_sorted_by(|later, earlier| later > earlier));
        let Network {
            graph,
            parameters,
            starts,
            outputs,
            gradients,
            wanted,
            written,
            earlier,
            elements,
            clock,
            ..
        } = self;
        let (values, mut unfinished) = (&parameters.values[..], &mut parameters.gradients[..]);
        let mut parts = parts.iter().peekable();
        written.fill(false);
        for i in (0..self.layers.len()).rev() {
            let start = Instant::now();
            if wanted[i + 1] {
                // A source that a later layer has already given a gradient: set that aside, and add it afterwards.
                for &source in graph.sources(i).iter().filter(|&&source| wanted[source] && written[source]) {
                    std::mem::swap(&mut gradients[source], &mut earlier[source]);
                }
                let (before, rest) = gradients.split_at_mut(i + 1);
                let (sources, elements, ranges) = (graph.sources(i), &elements[..], &self.ranges[i][..]);
                self.layers[i].backward(Backward {
                    batch,
                    parameters: Tensors { flat: values, ranges },
                    gradients: TensorsMut { flat: unfinished, ranges, shared: &self.shared[i] },
                    x: Inputs { buffers: outputs, sources, elements },
                    y: &outputs[i + 1][..elements[i + 1]],
                    dy: &rest[0][..elements[i + 1]],
                    dx: InputGradients { buffers: before, sources, elements, wanted },
                });
                for &source in sources.iter().filter(|&&source| wanted[source]) {
                    if std::mem::replace(&mut written[source], true) {
                        let sums = &mut gradients[source][..elements[source]];
                        let both =
                            (rows_mut(sums, 1 << 14), rows(&earlier[source][..elements[source]], 1 << 14));
                        for_each_row(both, |_, (sums, earlier)| add_scaled(1.0, earlier, sums));
                    }
                }
            }
            clock.backward(i, start);
            if parts.next_if_eq(&&i).is_some() {
                let (rest, finished) = unfinished.split_at_mut(starts[i]);
                unfinished = rest;
                done(finished);
            }
        }
    }

    /// What the layers carry from batch to batch, in their order: the layer's name and its state. An epoch begins with
    /// all of it zero.
    pub fn carried(&mut self) -> Vec<(&str, Carried<'_>)> {
        let named = self.graph.layers().iter().zip(&mut self.layers);
        named
            .flat_map(|(node, layer)| layer.carried().into_iter().map(|state| (&node.name[..], state)))
            .collect()
    }

    /// Names the first tensor of the last pass that holds a NaN or an infinity, in the order of the computation:
    /// "input", a parameter or a layer's output.
    pub fn first_non_finite(&self) -> Option<String> {
        let bad = |values: &[f32]| values.iter().position(|v| !v.is_finite()).map(|at| (at, values[at]));
        let say = |what: String, (at, value): (usize, f32)| format!("{what} holds {value} at element {at}");
        if let Some(found) = bad(&self.outputs[0][..self.elements[0]]) {
            return Some(say("the input".into(), found));
        }
        for (i, node) in self.graph.layers().iter().enumerate() {
            for parameter in self.parameters.table.iter().filter(|p| p.layer == i) {
                if let Some(found) = bad(&self.parameters.values[parameter.range.clone()]) {
                    return Some(say(format!("parameter `{}`", parameter.name), found));
                }
            }
            if let Some(found) = bad(&self.outputs[i + 1][..self.elements[i + 1]]) {
                return Some(say(format!("the output of layer `{}`", node.name), found));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Shape;
    use crate::nn::layer::Draw;
    use serde_json::{Value, json};

    fn network(layers: Value, capacity: usize) -> Network {
        let input = Shape::Vector { features: 3 };
        let tables: Vec<serde_json::Map<String, Value>> = serde_json::from_value(layers).unwrap();
        let mut network = Network::new(Graph::from_tables(input, tables).unwrap(), capacity).unwrap();
        let count = network.parameters.values.len();
        network.parameters.values = (0..count).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
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
                let at = |by: f32| {
                    (0..count).map(|j| values[j] + if i == j { by } else { 0.0 }).collect::<Vec<_>>()
                };
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

    /// Two linear layers share the embedding's weight; its gradient is the sum of three uses. The output is of degree 2
    /// in each number of it or less, so that central differences are exact; so are all sums, of small integers.
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
        let mut network = Network::new(graph, 3).unwrap();
        let names: Vec<&str> = network.parameters.table.iter().map(|p| &p.name[..]).collect();
        assert_eq!(names, ["words/weight", "middle/weight", "middle/bias", "two/bias"]);
        let values: Vec<f32> = (0..12 + 12 + 4).map(|i| ((i * 5) % 7) as f32 - 3.0).collect();
        assert_eq!(network.parameters.values.len(), values.len());
        let r: Vec<f32> = (0..2 * 3 * 4).map(|i| ((i * 3) % 5) as f32 - 2.0).collect();
        let mut loss = |values: &[f32]| -> f64 {
            network.parameters.values.copy_from_slice(values);
            network.input_mut(3).copy_from_slice(&[1.0, 3.0, 1.0, 2.0, 0.0, 3.0]);
            network
                .forward(3, Mode::Train(Draw::default()))
                .iter()
                .zip(&r)
                .map(|(&y, &r)| f64::from(y * r))
                .sum()
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
            network.backward_in_parts(3, parts, &mut |part| {
                whole.splice(..0, part.iter().copied()).for_each(drop)
            });
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
        let layers =
            json!([{"type": "linear", "units": 4}, {"type": "relu"}, {"type": "linear", "units": 2}]);
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
        network.parameters.values[5] = 3e38;
        network.input_mut(1).fill(3e38);
        network.forward(1, Mode::Train(Draw::default()));
        assert!(network.first_non_finite().unwrap().starts_with("the output of layer `a` holds"));
    }
}
