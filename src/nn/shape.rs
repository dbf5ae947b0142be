//! The shape of one sample between two layers.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The shape of one sample; the batch is not part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Shape {
    /// An image; a batch of them is stored `[C, H, W, N]`.
    Image {
        /// C.
        channels: usize,
        /// H.
        height: usize,
        /// W.
        width: usize,
    },
    /// A vector; a batch of them is stored `[N, D]`.
    Vector {
        /// D.
        features: usize,
    },
    /// A sequence of vectors; a batch of them is stored `[T, N, D]`: a row is one step of one sample.
    Sequence {
        /// T.
        steps: usize,
        /// D.
        features: usize,
    },
    /// A sequence of words or characters, as numbers below V; a batch of them is stored `[T, N]`. The numbers
    /// are stored as `f32`, which is exact below 2^24.
    Tokens {
        /// T.
        steps: usize,
        /// V.
        vocabulary: usize,
    },
}

impl Shape {
    /// The number of elements of one sample.
    pub fn elements(&self) -> usize {
        match *self {
            Shape::Image { channels, height, width } => channels * height * width,
            Shape::Vector { features } => features,
            Shape::Sequence { steps, features } => steps * features,
            Shape::Tokens { steps, .. } => steps,
        }
    }

    /// The number of units: channels or features; tokens have none.
    pub fn units(&self) -> usize {
        match *self {
            Shape::Image { channels, .. } => channels,
            Shape::Vector { features } | Shape::Sequence { features, .. } => features,
            Shape::Tokens { .. } => 0,
        }
    }

    /// The kind and the size, in words: "images of 1x28x28".
    pub fn described(&self) -> String {
        match self {
            Shape::Image { .. } => format!("images of {self}"),
            Shape::Vector { .. } => format!("vectors of {self}"),
            Shape::Sequence { .. } => format!("sequences of {self}"),
            Shape::Tokens { .. } => format!("tokens, {self}"),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shape::Image { channels, height, width } => write!(f, "{channels}x{height}x{width}"),
            Shape::Vector { features } => write!(f, "{features}"),
            Shape::Sequence { steps, features } => write!(f, "{steps}x{features}"),
            Shape::Tokens { steps, vocabulary } => write!(f, "{steps} of {vocabulary}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As in a checkpoint: the keys distinguish the kinds.
    #[test]
    fn each_kind_is_read_as_itself() {
        let cases = [
            (Shape::Image { channels: 1, height: 2, width: 3 }, r#"{"channels":1,"height":2,"width":3}"#),
            (Shape::Vector { features: 4 }, r#"{"features":4}"#),
            (Shape::Sequence { steps: 5, features: 4 }, r#"{"steps":5,"features":4}"#),
            (Shape::Tokens { steps: 5, vocabulary: 9 }, r#"{"steps":5,"vocabulary":9}"#),
        ];
        for (shape, json) in cases {
            assert_eq!(serde_json::to_string(&shape).unwrap(), json);
            assert_eq!(serde_json::from_str::<Shape>(json).unwrap(), shape);
        }
        assert!(serde_json::from_str::<Shape>(r#"{"steps":5}"#).is_err());
    }
}
