//! What presets were published for: the samples they take, and how many of them at a time.

use crate::nn::Shape;

/// Words of a language model: those of the Penn Treebank.
const WORDS: usize = 10_000;

/// What a sample of the preset `name` is like, and its classes. A text has `steps` tokens.
pub fn samples(name: &str, steps: usize) -> (Shape, usize) {
    let image = |channels, side| Shape::Image { channels, height: side, width: side };
    match name {
        "lenet" | "mlp" => (image(1, 28), 10),
        "alexnet" => (image(3, 227), 1000),
        "resnet-50" | "vgg-a" | "googlenet" => (image(3, 224), 1000),
        name if name.starts_with("lstm") || name == "rhn" => {
            (Shape::Tokens { steps, vocabulary: WORDS }, WORDS)
        }
        _ => (image(3, 32), 10),
    }
}

/// Tokens of a text that the preset `name` is trained on: those of Zaremba et al. (2014) and of Zilly et al. (2017).
pub fn training_steps(name: &str) -> usize {
    if name == "lstm-small" { 20 } else { 35 }
}
