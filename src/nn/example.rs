//! Examples of every type of layer. Tests run over all of them, in this crate and in others, so that the
//! declarations of a new type are checked from its first test run.

use super::{LayerSpec, Shape};

/// Images that an example may read.
pub const IMAGE: Shape = Shape::Image { channels: 4, height: 5, width: 6 };
/// Vectors that an example may read.
pub const VECTOR: Shape = Shape::Vector { features: 6 };
/// Sequences of vectors that an example may read.
pub const SEQUENCE: Shape = Shape::Sequence { steps: 3, features: 6 };
/// Sequences of tokens that an example may read.
pub const TOKENS: Shape = Shape::Tokens { steps: 3, vocabulary: 7 };

/// A layer with some options, and shapes that it accepts.
#[derive(Clone, Copy, Debug)]
pub struct Example {
    /// The layer's table in a job file, as JSON; its `type` is in it.
    pub table: &'static str,
    /// The shapes of its inputs.
    pub inputs: &'static [Shape],
}

/// A type of layer that has examples: one for each option that changes the parts of the layer.
pub trait Examples {
    /// The examples.
    const EXAMPLES: &'static [Example];
}

impl Example {
    /// The layer.
    ///
    /// # Errors
    /// If the table is not that of a layer.
    pub fn layer(&self) -> Result<LayerSpec, serde_json::Error> {
        serde_json::from_str(self.table)
    }
}
