//! A small network for samples of any shape.

use serde_json::{Map, Value, json};

use super::setting::toml;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Graph, Shape, TargetKind};

/// A layer: the keys of its table, in their order.
type Layer = Map<String, Value>;

/// Longer sequences are read by convolutions, which are faster than recurrent layers.
const LONGEST_OF_LSTM: usize = 128;
/// Images are pooled until a side has fewer pixels.
const SHORTEST_SIDE: usize = 8;
/// Larger images are halved by the first convolution.
const LARGEST_SIDE: usize = 96;
/// The filters of the first convolution, and the most of any.
const FILTERS: [usize; 2] = [16, 64];

/// A network with layers.
pub struct Network {
    layers: Vec<Layer>,
    shapes: Vec<Shape>,
    /// What it is, in words.
    pub described: &'static str,
    /// Multiply-adds of a forward pass, per sample.
    pub multiply_adds: u64,
}

impl Network {
    /// A network for samples of the shape `input` with targets of the kind `target`.
    ///
    /// # Errors
    /// If no layers fit such samples.
    pub fn new(input: Shape, target: TargetKind) -> Result<Network> {
        let (mut layers, described) = match input {
            Shape::Vector { features } => (for_vectors(features), "two hidden layers"),
            Shape::Image { height, width, .. } => {
                (for_images(height, width), "a small convolutional network")
            }
            Shape::Sequence { steps, .. } if steps > LONGEST_OF_LSTM => {
                (for_long_sequences(steps), "convolutions over the steps")
            }
            Shape::Sequence { .. } => (for_sequences(), "an LSTM"),
            Shape::Tokens { .. } => return Err(Error::Usage("a text has a network of its own".into())),
        };
        let sized = match target {
            TargetKind::Class(_) => "classes",
            TargetKind::Values(_) => "targets",
        };
        layers.push(layer(json!({"name": "output", "type": "linear", "units": sized})));
        let resolved = layers.iter().cloned().map(|mut layer| {
            let words = layer.get_mut("units").filter(|units| units.is_string());
            words.into_iter().for_each(|units| *units = json!(target.outputs()));
            layer
        });
        let graph = Graph::from_tables(input, resolved).map_err(|(error, _)| error)?;
        let count = graph.layers().len();
        let costs = (0..count).map(|index| graph.multiply_adds(index)).collect::<Result<Vec<_>>>()?;
        let shapes = (1..=count).map(|number| graph.shape(number)).collect();
        Ok(Network { layers, shapes, described, multiply_adds: costs.iter().sum() })
    }

    /// The layers as tables of a job; a comment gives the shape of the output of each.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (layer, shape) in self.layers.iter().zip(&self.shapes) {
            text += &format!("[[model.layers]] # {shape}\n");
            layer.iter().for_each(|(key, value)| text += &format!("{key} = {}\n", toml(value)));
            text.push('\n');
        }
        text
    }
}

fn layer(table: Value) -> Layer {
    table.as_object().cloned().unwrap_or_default()
}

fn relu() -> Layer {
    layer(json!({"type": "relu"}))
}

fn for_vectors(features: usize) -> Vec<Layer> {
    let units = features.next_power_of_two().clamp(32, 256);
    let hidden = |name: &str, units: usize| layer(json!({"name": name, "type": "linear", "units": units}));
    vec![hidden("hidden1", units), relu(), hidden("hidden2", units / 2), relu()]
}

/// Convolutions with batch norm, each followed by pooling while the image is large enough.
fn for_images(height: usize, width: usize) -> Vec<Layer> {
    let (mut layers, mut sides, mut filters) = (Vec::new(), [height, width], FILTERS[0]);
    for number in 1.. {
        let stride = if number == 1 && sides.iter().all(|&side| side > LARGEST_SIDE) { 2 } else { 1 };
        layers.push(layer(json!({
            "name": format!("conv{number}"), "type": "conv2d", "filters": filters, "kernel": 3, "stride": stride,
            "padding": 1, "bias": false
        })));
        layers.push(layer(json!({"name": format!("norm{number}"), "type": "batch_norm", "relu": true})));
        sides = sides.map(|side| side.div_ceil(stride));
        if sides.iter().any(|&side| side < SHORTEST_SIDE) {
            break;
        }
        layers.push(layer(json!({"type": "max_pool2d", "kernel": 2})));
        sides = sides.map(|side| side / 2);
        filters = (2 * filters).min(FILTERS[1]);
    }
    layers.push(layer(json!({"type": "global_avg_pool2d"})));
    layers
}

/// Convolutions that halve the number of steps.
fn for_long_sequences(steps: usize) -> Vec<Layer> {
    let (mut layers, mut steps, mut filters) = (Vec::new(), steps, FILTERS[0]);
    for number in 1.. {
        layers.push(layer(json!({
            "name": format!("conv{number}"), "type": "conv1d", "filters": filters, "kernel": 5, "stride": 2,
            "padding": "same", "bias": false
        })));
        layers.push(layer(json!({"name": format!("norm{number}"), "type": "batch_norm", "relu": true})));
        steps = steps.div_ceil(2);
        if number == 4 || steps < SHORTEST_SIDE {
            break;
        }
        filters = (2 * filters).min(FILTERS[1]);
    }
    layers.push(layer(json!({"type": "global_avg_pool1d"})));
    layers
}

fn for_sequences() -> Vec<Layer> {
    vec![
        layer(json!({"name": "lstm", "type": "lstm", "hidden": 64})),
        // The state at the end of the sequence.
        layer(json!({"type": "last_step"})),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every shape has a network, however small or large it is.
    #[test]
    fn every_shape_has_a_network() {
        let image = |channels, height, width| Shape::Image { channels, height, width };
        let sequence = |steps, features| Shape::Sequence { steps, features };
        for input in [
            Shape::Vector { features: 1 },
            Shape::Vector { features: 10_000 },
            image(1, 1, 1),
            image(3, 8, 8),
            image(1, 1, 300),
            image(4, 224, 224),
            sequence(1, 1),
            sequence(128, 3),
            sequence(129, 1),
            sequence(10_000, 2),
        ] {
            for target in [TargetKind::Class(2), TargetKind::Values(3)] {
                let network = Network::new(input, target).unwrap_or_else(|error| panic!("{input}: {error}"));
                assert!(network.multiply_adds > 0);
                assert_eq!(network.shapes.len(), network.layers.len());
            }
        }
        let tokens = Shape::Tokens { steps: 5, vocabulary: 9 };
        assert!(Network::new(tokens, TargetKind::Class(9)).is_err());
    }

    #[test]
    fn layers_are_written_with_their_shapes() {
        let text = Network::new(Shape::Vector { features: 4 }, TargetKind::Class(3)).unwrap().text();
        assert!(
            text.starts_with("[[model.layers]] # 32\nname = \"hidden1\"\ntype = \"linear\"\nunits = 32\n"),
            "{text}"
        );
        assert!(
            text.contains(
                "[[model.layers]] # 3\nname = \"output\"\ntype = \"linear\"\nunits = \"classes\"\n"
            ),
            "{text}"
        );
    }
}
