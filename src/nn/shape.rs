//! The shape of one sample, as it stands between two layers.

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
}

impl Shape {
    /// The number of elements of one sample.
    pub fn elements(&self) -> usize {
        match *self {
            Shape::Image { channels, height, width } => channels * height * width,
            Shape::Vector { features } => features,
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Shape::Image { channels, height, width } => write!(f, "{channels}x{height}x{width}"),
            Shape::Vector { features } => write!(f, "{features}"),
        }
    }
}
