//! The samples for which presets were published, and their batch sizes.

use ternflock_nn::Shape;

/// Vocabulary size of a language model: that of the Penn Treebank.
const WORDS: usize = 10_000;

/// The shape of a sample of the preset `name`, and the number of classes. A text has `steps` tokens.
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

/// Tokens per sample with which the preset `name` is trained, as in Zaremba et al. (2014) and Zilly et al. (2017).
pub fn training_steps(name: &str) -> usize {
    if name == "lstm-small" { 20 } else { 35 }
}
