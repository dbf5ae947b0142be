//! The structure of a network: layers by name, each with its inputs. The structure is checked, and all shapes
//! are inferred.
//!
//! It is written to checkpoints as JSON, and it suffices to rebuild the network (design rule "the structure
//! is the model").

mod bidirectional;
mod node;

/// Refuses the JSON `text` of a network if it has so many values that they would take far more memory than the text: a value
/// takes about 100 bytes while it is read.
fn check_values(text: &str) -> Result<()> {
    const MOST: usize = 1 << 18;
    let (mut values, mut is_quoted, mut is_escaped) = (0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b',' | b'[' | b'{' if !is_quoted => values += 1,
            _ => {}
        }
    }
    match values <= MOST {
        true => Ok(()),
        false => Err(shape_error("network", "JSON", format!("it has more than {MOST} values"))),
    }
}

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Shape;
use super::layer::{ParameterSpec, Tied, WEIGHT};
use super::size::{MOST_MULTIPLY_ADDS, elements};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::quote;

pub use node::Node;
use node::check_name;

/// The name by which layers refer to the network's input.
pub const INPUT: &str = "input";

/// A checked network structure. Layers are in the order in which they run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// The shape of an input sample.
    input: Shape,
    layers: Vec<Node>,
    /// By layer: the sources of its inputs, where 0 is the network's input and i + 1 the output of layer i.
    #[serde(skip)]
    sources: Vec<Vec<usize>>,
    /// Shapes by source number: that of the input, then those of the layers' outputs.
    #[serde(skip)]
    shapes: Vec<Shape>,
    /// By layer: the earlier layer whose weight it shares.
    #[serde(skip)]
    tied: Vec<Option<usize>>,
    /// By layer: the first later layer that shares its weight.
    #[serde(skip)]
    shared_by: Vec<Option<usize>>,
    /// The indices of the layers, sorted by name.
    #[serde(skip)]
    by_name: Vec<usize>,
}

impl Graph {
    /// Checks `layers` and infers their shapes. The last layer is the network's output.
    ///
    /// # Errors
    /// [`Error::Shape`] with the layer that does not fit.
    pub fn new(input: Shape, layers: Vec<Node>) -> Result<Graph> {
        Graph::check(input, layers).map_err(|(error, _)| error)
    }

    /// [`Graph::new`]; the second part of an error is the index of the faulty layer.
    fn check(input: Shape, layers: Vec<Node>) -> std::result::Result<Graph, (Error, usize)> {
        let mut numbers = HashMap::from([(INPUT, 0)]);
        let (mut sources, mut shapes, mut tied) = (Vec::<Vec<usize>>::new(), vec![input], Vec::new());
        let fail = |message| (shape_error(INPUT, "input", message), 0);
        if shape_elements(input).map_err(fail)? == 0 {
            return Err(fail(format!("a sample of {input} has no elements")));
        }
        for (index, node) in layers.iter().enumerate() {
            let fail = |message| (shape_error(&node.name, node.layer.kind(), message), index);
            check_name(&node.name).map_err(fail)?;
            let from = node.inputs.iter().map(|name| numbers.get(name.as_str()).copied().ok_or(name));
            let from = from.collect::<std::result::Result<Vec<usize>, _>>().map_err(|name| {
                fail(format!(
                    "its input `{}` is not an earlier layer; inputs must come before their use",
                    quote(name)
                ))
            })?;
            if has_twice(&from) {
                return Err(fail("it reads the same input twice".into()));
            }
            let inputs: Vec<Shape> = from.iter().map(|&source| shapes[source]).collect();
            let shape = node.layer.describe().output(&inputs).map_err(fail)?;
            shape_elements(shape).map_err(fail)?;
            let work = node.layer.describe().multiply_adds(&inputs).map_err(fail)?;
            if work > MOST_MULTIPLY_ADDS {
                return Err(fail("a sample needs more than the limit of 2^46 multiply-adds".into()));
            }
            tied.push(find_tied(node, &inputs, &layers, &numbers, &sources, &shapes).map_err(fail)?);
            if numbers.insert(&node.name, index + 1).is_some() {
                return Err(fail("another layer has this name".into()));
            }
            shapes.push(shape);
            sources.push(from);
        }
        let (mut shared_by, mut by_name) = (vec![None; layers.len()], Vec::from_iter(0..layers.len()));
        for (layer, owner) in tied.iter().enumerate() {
            owner.iter().for_each(|&owner: &usize| _ = shared_by[owner].get_or_insert(layer));
        }
        by_name.sort_unstable_by_key(|&layer| layers[layer].name.as_str());
        let graph = Graph { input, layers, sources, shapes, tied, shared_by, by_name };
        graph.check_every_output_is_used()?;
        Ok(graph)
    }

    /// Layers from the tables of a job file: `name` defaults to the type and a number, `inputs` to the layer
    /// before, and `bidirectional` makes three layers of one. The second part of an error is the number of the faulty table.
    pub fn from_tables(
        input: Shape,
        tables: impl IntoIterator<Item = Map<String, Value>>,
    ) -> std::result::Result<Graph, (Error, usize)> {
        let mut layers: Vec<Node> = Vec::new();
        // By layer: its table.
        let mut owners = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let before = layers.last().map_or(INPUT, |node| &node.name).to_string();
            let nodes = bidirectional::from_table(table, index, before).map_err(|error| (error, index))?;
            owners.extend(nodes.iter().map(|_| index));
            layers.extend(nodes);
        }
        let table = |layer: usize| owners.get(layer).copied().unwrap_or_default();
        Graph::check(input, layers).map_err(|(error, layer)| (error, table(layer)))
    }

    /// The problems of each of `tables`, independent of the samples and of the other layers: its number and
    /// the error.
    pub fn check_tables(tables: impl IntoIterator<Item = Map<String, Value>>) -> Vec<(usize, Error)> {
        let check =
            |(index, table)| Some((index, bidirectional::from_table(table, index, INPUT.into()).err()?));
        tables.into_iter().enumerate().filter_map(check).collect()
    }

    /// Reads a graph that [`Graph::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Graph> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            input: Shape,
            layers: Vec<Map<String, Value>>,
        }
        check_values(text)?;
        let stored: Stored =
            serde_json::from_str(text).map_err(|e| shape_error("network", "JSON", e.to_string()))?;
        Graph::from_tables(stored.input, stored.layers).map_err(|(error, _)| error)
    }

    /// The complete structure, as it is stored in checkpoints.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a graph holds only strings, numbers and lists")
    }

    /// The layers, in the order in which they run.
    pub fn layers(&self) -> &[Node] {
        &self.layers
    }

    /// The shape of an input sample.
    pub fn input(&self) -> Shape {
        self.input
    }

    /// The shape of an output sample.
    pub fn output(&self) -> Shape {
        self.shapes[self.layers.len()]
    }

    /// The sources of the inputs of layer `index`: 0 is the network's input, i + 1 the output of layer i.
    pub fn sources(&self, index: usize) -> &[usize] {
        &self.sources[index]
    }

    /// The shape of source `number`.
    pub fn shape(&self, number: usize) -> Shape {
        self.shapes[number]
    }

    /// The shapes of layer `index`'s inputs.
    pub fn input_shapes(&self, index: usize) -> Vec<Shape> {
        self.sources[index].iter().map(|&source| self.shapes[source]).collect()
    }

    /// The parameters of layer `index`.
    pub fn parameters(&self, index: usize) -> Result<Vec<ParameterSpec>> {
        self.ask(index, |node, shapes| node.layer.describe().parameters(shapes))
    }

    /// The layer whose `weight` layer `index` shares.
    pub fn tied(&self, index: usize) -> Option<usize> {
        self.tied[index]
    }

    /// The tensor of layer `index` for the weight that it is tied to, if there is one.
    pub fn tied_spec(&self, index: usize) -> Result<Option<ParameterSpec>> {
        self.ask(index, |node, shapes| Ok(node.layer.describe().tied(shapes)?.map(|tied| tied.spec)))
    }

    /// The first layer that shares the weight of the earlier layer `index`.
    pub fn shared_by(&self, index: usize) -> Option<usize> {
        self.shared_by[index]
    }

    /// Whether layer `index` shares its weight with another layer.
    pub fn shares_weight(&self, index: usize) -> bool {
        self.tied(index).is_some() || self.shared_by(index).is_some()
    }

    /// The index of the layer called `name`.
    pub fn find(&self, name: &str) -> Option<usize> {
        let found = self.by_name.binary_search_by_key(&name, |&layer| self.layers[layer].name.as_str());
        found.ok().map(|place| self.by_name[place])
    }

    /// The tensors of layer `index` that are not trained.
    pub fn statistics(&self, index: usize) -> Result<Vec<ParameterSpec>> {
        self.ask(index, |node, shapes| node.layer.describe().statistics(shapes))
    }

    /// Refuses to train on `batch` samples at a time if a layer cannot.
    pub fn check_batch(&self, batch: usize) -> Result<()> {
        (0..self.layers.len()).try_for_each(|index| {
            self.ask(index, |node, shapes| node.layer.describe().fits_batch(shapes, batch))
        })
    }

    /// Multiply-adds of layer `index` for one sample, forward.
    pub fn multiply_adds(&self, index: usize) -> Result<u64> {
        self.ask(index, |node, shapes| node.layer.describe().multiply_adds(shapes))
    }

    /// Passes its input shapes to layer `index`, and adds its name to an error.
    pub(super) fn ask<T>(
        &self,
        index: usize,
        question: impl FnOnce(&Node, &[Shape]) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let node = &self.layers[index];
        question(node, &self.input_shapes(index))
            .map_err(|message| shape_error(&node.name, node.layer.kind(), message))
    }

    /// Adds the name of the layer that produces source `number` to an error message.
    pub(super) fn fail_at<T>(&self, number: usize, result: std::result::Result<T, String>) -> Result<T> {
        result.map_err(|message| match number.checked_sub(1).map(|layer| &self.layers[layer]) {
            Some(node) => shape_error(&node.name, node.layer.kind(), message),
            None => shape_error(INPUT, "input", message),
        })
    }

    /// The name of the last layer with parameters, including shared ones: the layer that computes the logits.
    pub fn logits_layer(&self) -> Result<Option<&str>> {
        for index in (0..self.layers.len()).rev() {
            if !self.parameters(index)?.is_empty() || self.tied(index).is_some() {
                return Ok(Some(&self.layers[index].name));
            }
        }
        Ok(None)
    }

    fn check_every_output_is_used(&self) -> std::result::Result<(), (Error, usize)> {
        let Some(last) = self.layers.len().checked_sub(1) else {
            return Err((shape_error("network", "graph", "a network needs at least one layer".into()), 0));
        };
        let mut is_used = vec![false; self.shapes.len()];
        self.sources.iter().flatten().for_each(|&source| is_used[source] = true);
        let Some(index) = (0..last).find(|&index| !is_used[index + 1]) else { return Ok(()) };
        let (node, message) = (
            &self.layers[index],
            "no later layer uses its output; only the last layer may end the network".to_owned(),
        );
        Err((shape_error(&node.name, node.layer.kind(), message), index))
    }
}

/// Whether `numbers` contains a number twice.
fn has_twice(numbers: &[usize]) -> bool {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    sorted.windows(2).any(|pair| pair[0] == pair[1])
}

/// The index of the layer whose weight `node` shares. It must be an earlier layer, which `numbers` finds by
/// name, and its weight must have the shape that `node` needs.
fn find_tied(
    node: &Node,
    inputs: &[Shape],
    layers: &[Node],
    numbers: &HashMap<&str, usize>,
    sources: &[Vec<usize>],
    shapes: &[Shape],
) -> std::result::Result<Option<usize>, String> {
    let Some(Tied { layer: name, spec: wanted }) = node.layer.describe().tied(inputs)? else {
        return Ok(None);
    };
    let shown = quote(name);
    let Some(index) = numbers.get(name).and_then(|number| number.checked_sub(1)) else {
        return Err(format!("it is tied to `{shown}`, which is not an earlier layer"));
    };
    let owner = layers[index].layer.describe();
    let its_inputs: Vec<Shape> = sources[index].iter().map(|&source| shapes[source]).collect();
    match owner.parameters(&its_inputs)?.into_iter().find(|spec| spec.name == WEIGHT) {
        Some(spec) if spec.shape == wanted.shape => Ok(Some(index)),
        Some(spec) => Err(format!(
            "it needs a weight of shape {:?}, but that of `{shown}`, to which it is tied, has shape {:?}",
            wanted.shape, spec.shape
        )),
        None => Err(format!("it is tied to `{shown}`, which has no weight of its own")),
    }
}

/// The number of elements of a sample, if it is not too large.
fn shape_elements(shape: Shape) -> std::result::Result<usize, String> {
    match shape {
        Shape::Image { channels, height, width } => elements(&[channels, height, width]),
        Shape::Vector { features } => elements(&[features]),
        Shape::Sequence { steps, features } => elements(&[steps, features]),
        Shape::Tokens { vocabulary, .. } if vocabulary > LARGEST_VOCABULARY => {
            Err(format!("a vocabulary of {vocabulary} is larger than the limit of {LARGEST_VOCABULARY}"))
        }
        Shape::Tokens { steps, .. } => elements(&[steps]),
    }
}

/// Tokens are numbers below this, so that an `f32` holds them exactly.
const LARGEST_VOCABULARY: usize = 1 << 24;

pub(super) fn shape_error(layer: &str, operation: &str, message: String) -> Error {
    Error::Shape { layer: quote(layer).into(), operation: quote(operation).into(), message }
}
