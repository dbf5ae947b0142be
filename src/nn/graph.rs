//! The structure of a network: layers by name, each with its inputs; checked, with every shape inferred.
//!
//! It is written into checkpoints as JSON, and is all that is needed to rebuild the network (design rule "the structure
//! is the model").

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::layer::ParameterSpec;
use super::size::elements;
use super::{LayerSpec, Shape};
use crate::error::{Error, Result};
use crate::job::suggest;

/// The name by which layers refer to the network's input.
pub const INPUT: &str = "input";

/// A layer in its place.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Node {
    /// Unique within the network.
    pub name: String,
    /// Names of earlier layers, or [`INPUT`].
    pub inputs: Vec<String>,
    /// Type and options.
    #[serde(flatten)]
    pub layer: LayerSpec,
}

/// A checked network structure; layers stand in the order they run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Graph {
    /// The shape of an input sample.
    input: Shape,
    layers: Vec<Node>,
    /// Of each layer: where its inputs come from, 0 being the network's input and i + 1 the output of layer i.
    #[serde(skip)]
    sources: Vec<Vec<usize>>,
    /// Shapes by source number: the input's, then each layer's output.
    #[serde(skip)]
    shapes: Vec<Shape>,
    /// Of each layer: the earlier one whose weight it shares.
    #[serde(skip)]
    tied: Vec<Option<usize>>,
}

impl Graph {
    /// Checks `layers` and infers their shapes. The last layer is the network's output.
    pub fn new(input: Shape, layers: Vec<Node>) -> Result<Graph> {
        let mut numbers = HashMap::from([(INPUT, 0)]);
        let (mut sources, mut shapes, mut tied) = (Vec::<Vec<usize>>::new(), vec![input], Vec::new());
        let fail = |message| shape_error(INPUT, "input", message);
        if shape_elements(input).map_err(fail)? == 0 {
            return Err(fail(format!("a sample of {input} has no elements")));
        }
        for (index, node) in layers.iter().enumerate() {
            let fail = |message| shape_error(&node.name, node.layer.kind(), message);
            check_name(&node.name).map_err(fail)?;
            let from = node.inputs.iter().map(|name| numbers.get(name.as_str()).copied().ok_or(name));
            let from = from.collect::<std::result::Result<Vec<usize>, _>>().map_err(|name| {
                fail(format!("its input `{name}` is no earlier layer; inputs must come before their use"))
            })?;
            if (1..from.len()).any(|i| from[..i].contains(&from[i])) {
                return Err(fail("it reads the same input twice".into()));
            }
            let inputs: Vec<Shape> = from.iter().map(|&source| shapes[source]).collect();
            let shape = node.layer.describe().output(&inputs).map_err(fail)?;
            shape_elements(shape).map_err(fail)?;
            tied.push(find_tied(node, &inputs, &layers[..index], &sources, &shapes).map_err(fail)?);
            if numbers.insert(&node.name, index + 1).is_some() {
                return Err(fail("another layer has this name".into()));
            }
            shapes.push(shape);
            sources.push(from);
        }
        let graph = Graph { input, layers, sources, shapes, tied };
        graph.check_every_output_is_used()?;
        Ok(graph)
    }

    /// Layers from the tables of a job file: `name` defaults to the type and a number, `inputs` to the layer before.
    /// The second part of an error is the number of the table to blame.
    pub fn from_tables(
        input: Shape,
        tables: impl IntoIterator<Item = Map<String, Value>>,
    ) -> std::result::Result<Graph, (Error, usize)> {
        let mut layers: Vec<Node> = Vec::new();
        for (index, table) in tables.into_iter().enumerate() {
            let before = layers.last().map_or(INPUT, |node| &node.name).to_string();
            layers.push(Node::from_table(table, index, before).map_err(|error| (error, index))?);
        }
        let names: Vec<String> = layers.iter().map(|node| node.name.clone()).collect();
        Graph::new(input, layers).map_err(|error| {
            let blamed = match &error {
                Error::Shape { layer, .. } => names.iter().rposition(|name| name == layer),
                _ => None,
            };
            (error, blamed.unwrap_or(0))
        })
    }

    /// A graph as written by [`Graph::to_json`].
    pub fn from_json(text: &str) -> Result<Graph> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Stored {
            input: Shape,
            layers: Vec<Map<String, Value>>,
        }
        let stored: Stored =
            serde_json::from_str(text).map_err(|e| shape_error("network", "JSON", e.to_string()))?;
        Graph::from_tables(stored.input, stored.layers).map_err(|(error, _)| error)
    }

    /// The whole structure, as it is stored in checkpoints.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a graph holds only strings, numbers and lists")
    }

    /// The layers, in the order they run.
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

    /// Where layer `index` takes its inputs from: 0 is the network's input, i + 1 the output of layer i.
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

    /// The layer whose `weight` is layer `index`'s too.
    pub fn tied(&self, index: usize) -> Option<usize> {
        self.tied[index]
    }

    /// The tensors of layer `index` that are not trained.
    pub fn statistics(&self, index: usize) -> Result<Vec<ParameterSpec>> {
        self.ask(index, |node, shapes| node.layer.describe().statistics(shapes))
    }

    /// Refuses to train on `batch` samples at a time where a layer cannot.
    pub fn check_batch(&self, batch: usize) -> Result<()> {
        (0..self.layers.len()).try_for_each(|index| {
            self.ask(index, |node, shapes| node.layer.describe().fits_batch(shapes, batch))
        })
    }

    /// Multiply-adds of layer `index` for one sample, forward.
    pub fn multiply_adds(&self, index: usize) -> Result<u64> {
        self.ask(index, |node, shapes| node.layer.describe().multiply_adds(shapes))
    }

    /// Asks layer `index` about its input shapes and puts its name to what it objects.
    pub(super) fn ask<T>(
        &self,
        index: usize,
        question: impl FnOnce(&Node, &[Shape]) -> std::result::Result<T, String>,
    ) -> Result<T> {
        let node = &self.layers[index];
        question(node, &self.input_shapes(index))
            .map_err(|message| shape_error(&node.name, node.layer.kind(), message))
    }

    /// The name of the last layer that has parameters, be they another layer's: the one that makes the logits.
    pub fn logits_layer(&self) -> Result<Option<&str>> {
        for index in (0..self.layers.len()).rev() {
            if !self.parameters(index)?.is_empty() || self.tied(index).is_some() {
                return Ok(Some(&self.layers[index].name));
            }
        }
        Ok(None)
    }

    fn check_every_output_is_used(&self) -> Result<()> {
        let Some(last) = self.layers.len().checked_sub(1) else {
            return Err(shape_error("network", "graph", "a network needs at least one layer".into()));
        };
        for (index, node) in self.layers[..last].iter().enumerate() {
            if !self.sources.iter().flatten().any(|&source| source == index + 1) {
                let message = "no later layer uses its output; only the last layer may end the network";
                return Err(shape_error(&node.name, node.layer.kind(), message.into()));
            }
        }
        Ok(())
    }
}

impl Node {
    fn from_table(mut table: Map<String, Value>, index: usize, before: String) -> Result<Node> {
        let kind = table.get("type").and_then(Value::as_str).unwrap_or("no type").to_string();
        let default_name = format!("{kind}_{}", index + 1);
        let given = table.remove("name");
        let label = given.as_ref().and_then(Value::as_str).unwrap_or(&default_name).to_string();
        let fail = |message: String| shape_error(&label, &kind, message);
        let name = match given {
            None => default_name.clone(),
            Some(Value::String(name)) => name,
            Some(other) => return Err(fail(format!("`name` must be a string, got {other}"))),
        };
        let inputs = match table.remove("inputs") {
            None => vec![before],
            Some(inputs) => serde_json::from_value(inputs)
                .map_err(|_| fail("`inputs` must be a list of layer names".into()))?,
        };
        let layer = serde_json::from_value(Value::Object(table.clone())).map_err(|error| {
            let message = error.to_string();
            fail(explain(&message, culprit(&table, &message)))
        })?;
        Ok(Node { name, inputs, layer })
    }
}

/// The key of `table` whose value is what `message` is about, which serde does not say: without it there would be another
/// message, or none.
fn culprit<'a>(table: &'a Map<String, Value>, message: &str) -> Option<&'a str> {
    let without = |key: &str| {
        let mut table = table.clone();
        table.remove(key);
        serde_json::from_value::<LayerSpec>(Value::Object(table))
    };
    let keys = table.keys().filter(|key| *key != "type");
    keys.map(String::as_str).find(|key| without(key).err().is_none_or(|error| error.to_string() != message))
}

/// What serde says of a layer's table, mostly of the value of `key`, in the words of job files; an unknown word gets the nearest
/// known one.
fn explain(message: &str, key: Option<&str>) -> String {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let words = |what: &str, word: &str, known: Vec<&str>| {
        format!("unknown {what} `{word}`; {}", suggest(word, &known))
    };
    // Every layer has these, whatever else it has.
    let common = ["type", "name", "inputs"];
    match (message.split(' ').nth(1), quoted.next()) {
        (Some("field"), Some(word)) if message.starts_with("unknown") => {
            words("key", word, quoted.chain(common).collect())
        }
        (Some("variant"), Some(word)) if message.starts_with("unknown") => {
            let known: Vec<&str> = quoted.collect();
            match key.filter(|_| !known.contains(&"conv2d")) {
                Some(key) => format!("{key}: {}", words("value", word, known)),
                None => words("type", word, known),
            }
        }
        (Some("field"), Some(word)) if message.starts_with("missing") => format!("needs the key `{word}`"),
        _ => {
            let key = key.unwrap_or("a value");
            match message.split_once(", expected ") {
                Some((found, expected)) => {
                    let found = found.split_once(": ").map_or(found, |(_, found)| found);
                    format!(
                        "{key} must be {}, found {found}",
                        expected.replace("usize", "a whole number of at least 0")
                    )
                }
                None => format!("{key} {message}"),
            }
        }
    }
}

/// The number of the layer whose weight `node` shares, if that fits: it is one of the layers `before` and has a weight of
/// the shape that `node` needs.
fn find_tied(
    node: &Node,
    inputs: &[Shape],
    before: &[Node],
    sources: &[Vec<usize>],
    shapes: &[Shape],
) -> std::result::Result<Option<usize>, String> {
    let Some((name, wanted)) = node.layer.describe().tied(inputs)? else { return Ok(None) };
    let Some(index) = before.iter().position(|layer| layer.name == name) else {
        return Err(format!("it is tied to `{name}`, which is no earlier layer"));
    };
    let owner = before[index].layer.describe();
    let its_inputs: Vec<Shape> = sources[index].iter().map(|&source| shapes[source]).collect();
    match owner.parameters(&its_inputs)?.into_iter().find(|spec| spec.name == "weight") {
        Some(spec) if spec.shape == wanted => Ok(Some(index)),
        Some(spec) => Err(format!(
            "it needs a weight of {wanted:?}, and that of `{name}`, to which it is tied, is {:?}",
            spec.shape
        )),
        None => Err(format!("it is tied to `{name}`, which has no weight of its own")),
    }
}

/// A sample's elements, if they are not too many.
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

/// Names become HDF5 groups and words on the command line.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let sane = |c: char| c.is_alphanumeric() || "_-.:".contains(c);
    match name {
        "" => Err("a layer's name cannot be empty".into()),
        _ if name.len() > 255 => {
            Err(format!("a layer's name of {} bytes is too long; 255 are enough", name.len()))
        }
        INPUT => Err(format!("`{INPUT}` names the network's input and cannot name a layer")),
        "." | ".." => Err("a layer's name cannot be dots alone".into()),
        _ if !name.chars().all(sane) => Err("a name may hold letters, digits and _ - . : only".into()),
        _ => Ok(()),
    }
}

fn shape_error(layer: &str, operation: &str, message: String) -> Error {
    Error::Shape { layer: layer.into(), operation: operation.into(), message }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const INPUT_SHAPE: Shape = Shape::Image { channels: 1, height: 8, width: 8 };

    fn graph(layers: Value) -> Result<Graph> {
        let tables = serde_json::from_value::<Vec<Map<String, Value>>>(layers).unwrap();
        Graph::from_tables(INPUT_SHAPE, tables).map_err(|(error, _)| error)
    }

    fn small() -> Graph {
        graph(json!([
            {"name": "conv1", "type": "conv2d", "filters": 4, "kernel": 3, "padding": 1},
            {"type": "max_pool2d", "kernel": 2},
            {"type": "flatten"},
            {"name": "ip1", "type": "linear", "units": 10},
        ]))
        .unwrap()
    }

    #[test]
    fn shapes_are_inferred() {
        let graph = small();
        let shapes: Vec<String> = (0..=4).map(|i| graph.shape(i).to_string()).collect();
        assert_eq!(shapes, ["1x8x8", "4x8x8", "4x4x4", "64", "10"]);
        assert_eq!(graph.layers()[1].name, "max_pool2d_2");
        assert_eq!(graph.multiply_adds(0).unwrap(), 4 * 9 * 64);
        assert_eq!(graph.logits_layer().unwrap(), Some("ip1"));
    }

    /// Shapes of sequences, and what is said where they do not fit, with both shapes.
    #[test]
    fn words_need_an_embedding_and_ties_equal_shapes() {
        let graph = |layers: Value| {
            let tables = serde_json::from_value::<Vec<Map<String, Value>>>(layers).unwrap();
            Graph::from_tables(Shape::Tokens { steps: 5, vocabulary: 9 }, tables).map_err(|(error, _)| error)
        };
        let embedding = json!({"name": "words", "type": "embedding", "features": 4});
        let tied = json!({"type": "linear", "units": 9, "tied": "words"});
        let network = graph(json!([embedding, {"type": "relu"}, tied])).unwrap();
        assert_eq!(network.output(), Shape::Sequence { steps: 5, features: 9 });
        assert_eq!((network.tied(2), network.multiply_adds(2).unwrap()), (Some(0), 5 * 4 * 9));
        assert_eq!(Graph::from_json(&network.to_json()).unwrap(), network);
        let cases = [
            (json!([{"type": "relu"}]), "got tokens, 5 of 9; put an `embedding` layer before it"),
            (json!([tied]), "takes vectors, got tokens, 5 of 9"),
            (json!([embedding, {"type": "flatten"}]), "got sequences of 5x4"),
            (json!([{"type": "add", "inputs": ["input", "input"]}]), "same input twice"),
            (json!([embedding, {"type": "embedding", "features": 2}]), "takes tokens, got sequences of 5x4"),
            (
                json!([{"type": "embedding", "features": 4, "vocabulary": 8}]),
                "its table is [8, 4], for a vocabulary of 8, and the data's vocabulary is 9",
            ),
            (
                json!([embedding, {"type": "linear", "units": 9, "tied": "wrds"}]),
                "`wrds`, which is no earlier",
            ),
            (
                json!([embedding, {"type": "linear", "units": 8, "tied": "words"}]),
                "needs a weight of [8, 4], and that of `words`, to which it is tied, is [9, 4]",
            ),
            (
                json!([embedding, {"type": "relu", "name": "r"}, {"type": "linear", "units": 9, "tied": "r"}]),
                "`r`, which has no weight",
            ),
        ];
        for (layers, part) in cases {
            let message = graph(layers.clone()).unwrap_err().to_string();
            assert!(message.contains(part), "{layers}: {message}");
        }
        let large = Shape::Tokens { steps: 5, vocabulary: (1 << 24) + 1 };
        assert!(Graph::new(large, vec![]).unwrap_err().to_string().contains("16777216"));
    }

    #[test]
    fn json_round_trip() {
        let graph = small();
        assert_eq!(Graph::from_json(&graph.to_json()).unwrap(), graph);
    }

    /// Every message names the layer and what is wrong with it.
    #[test]
    fn what_does_not_fit_is_named() {
        let linear = json!({"name": "ip1", "type": "linear", "units": 10});
        let cases = [
            (json!([]), "network", "at least one layer"),
            (json!([linear]), "ip1", "takes vectors, got images of 1x8x8"),
            (json!([{"type": "conv2d", "filters": 4, "kernel": 9}]), "conv2d_1", "kernel of height 9"),
            (json!([{"type": "conv2d", "filters": 0, "kernel": 3}]), "conv2d_1", "at least 1"),
            (
                json!([{"type": "conv2d", "filter": 4, "kernel": 3}]),
                "conv2d_1",
                "unknown key `filter`; did you mean `filters`?",
            ),
            (
                json!([{"type": "flatten", "nme": "f"}]),
                "flatten_1",
                "unknown key `nme`; did you mean `name`?",
            ),
            (json!([{"type": "conv3d"}]), "conv3d_1", "unknown type `conv3d`; did you mean `conv2d`?"),
            (json!([{"kernel": 3}]), "no type_1", "needs the key `type`"),
            (
                json!([{"type": "flatten"}, {"type": "linear", "units": 4, "init": "he_norml"}]),
                "linear_2",
                "unknown value `he_norml`; did you mean `he_normal`?",
            ),
            (
                json!([{"type": "flatten"}, {"type": "linear", "units": 4, "init": {"normal": -1}}]),
                "linear_2",
                "init normal = -1 must lie between 0",
            ),
            (json!([{"type": "flatten"}, {"type": "relu", "inputs": ["nowhere"]}]), "relu_2", "`nowhere`"),
            (json!([{"type": "flatten"}, {"type": "flatten", "inputs": ["input"]}]), "flatten_1", "no later"),
            (json!([{"type": "flatten", "name": "input"}]), "input", "cannot name a layer"),
            (json!([{"type": "flatten", "name": "a/b"}]), "a/b", "letters, digits"),
            (json!([{"type": "relu", "name": "a"}, {"type": "relu", "name": "a"}]), "a", "another layer"),
        ];
        for (layers, name, part) in cases {
            match graph(layers.clone()) {
                Err(Error::Shape { layer, message, .. }) => {
                    assert_eq!(layer, name, "{layers}");
                    assert!(message.contains(part), "{layers}: {message}");
                }
                other => panic!("{layers}: {other:?}"),
            }
        }
    }
}
