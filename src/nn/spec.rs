//! What a layer is, in the words of job files and checkpoints: `type = "conv2d"` and its options.

use serde::{Deserialize, Serialize};

use super::layer::Describe;
use super::layers::{
    Add, AvgPool2d, BatchNorm, Columns, Concat, Conv2d, Dropout, Embedding, Flatten, GlobalAvgPool2d, Gru,
    Linear, LocalResponseNorm, Lstm, MaxPool2d, Relu, Rhn, Rnn, Shortcut,
};

/// A layer's type and options. A new layer is a file in `layers/` and a line here and in [`LayerSpec::describe`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum LayerSpec {
    /// Two-dimensional convolution.
    Conv2d(Conv2d),
    /// Maximum over windows.
    MaxPool2d(MaxPool2d),
    /// Mean over windows.
    AvgPool2d(AvgPool2d),
    /// Fully connected.
    Linear(Linear),
    /// Rectifier.
    Relu(Relu),
    /// Images to vectors.
    Flatten(Flatten),
    /// Sum of several inputs.
    Add(Add),
    /// Several images side by side.
    Concat(Concat),
    /// Tokens to vectors.
    Embedding(Embedding),
    /// Batch normalisation.
    BatchNorm(BatchNorm),
    /// Local response normalisation.
    LocalResponseNorm(LocalResponseNorm),
    /// Mean of each channel.
    GlobalAvgPool2d(GlobalAvgPool2d),
    /// Between residual blocks of different shapes.
    Shortcut(Shortcut),
    /// Dropout.
    Dropout(Dropout),
    /// Long short-term memory.
    Lstm(Lstm),
    /// Plain recurrent network.
    Rnn(Rnn),
    /// Gated recurrent units.
    Gru(Gru),
    /// Recurrent highway network.
    Rhn(Rhn),
}

impl LayerSpec {
    /// The layer's own description.
    pub fn describe(&self) -> &dyn Describe {
        match self {
            LayerSpec::Conv2d(layer) => layer,
            LayerSpec::MaxPool2d(layer) => layer,
            LayerSpec::AvgPool2d(layer) => layer,
            LayerSpec::Linear(layer) => layer,
            LayerSpec::Relu(layer) => layer,
            LayerSpec::Flatten(layer) => layer,
            LayerSpec::Add(layer) => layer,
            LayerSpec::Concat(layer) => layer,
            LayerSpec::Embedding(layer) => layer,
            LayerSpec::BatchNorm(layer) => layer,
            LayerSpec::LocalResponseNorm(layer) => layer,
            LayerSpec::GlobalAvgPool2d(layer) => layer,
            LayerSpec::Shortcut(layer) => layer,
            LayerSpec::Dropout(layer) => layer,
            LayerSpec::Lstm(layer) => layer,
            LayerSpec::Rnn(layer) => layer,
            LayerSpec::Gru(layer) => layer,
            LayerSpec::Rhn(layer) => layer,
        }
    }

    /// The columns of its weight as a matrix that are there, where they can be some, and how many each unit of its input has
    /// in the whole matrix.
    pub fn columns_mut(&mut self) -> Option<(&mut Columns, usize)> {
        match self {
            LayerSpec::Conv2d(layer) => {
                let (rows, columns) = layer.kernel.get();
                Some((&mut layer.columns, rows * columns))
            }
            LayerSpec::Linear(layer) => Some((&mut layer.columns, 1)),
            _ => None,
        }
    }

    /// Changes the number of units that its options give its output, to `units`; `zeros_before` of a shortcut's are channels
    /// of zeros before the image's own. Of a layer whose units are its inputs' nothing changes.
    pub fn set_units(&mut self, units: usize, zeros_before: usize) {
        match self {
            LayerSpec::Conv2d(layer) => layer.filters = units,
            LayerSpec::Linear(layer) => layer.units = units,
            LayerSpec::Embedding(layer) => layer.features = units,
            LayerSpec::Lstm(layer) => layer.hidden = units,
            LayerSpec::Rnn(layer) => layer.hidden = units,
            LayerSpec::Gru(layer) => layer.hidden = units,
            LayerSpec::Rhn(layer) => layer.hidden = units,
            LayerSpec::Shortcut(layer) => {
                (layer.channels, layer.before) = (units, Some(zeros_before));
            }
            LayerSpec::MaxPool2d(_)
            | LayerSpec::AvgPool2d(_)
            | LayerSpec::Relu(_)
            | LayerSpec::Flatten(_)
            | LayerSpec::Add(_)
            | LayerSpec::Concat(_)
            | LayerSpec::BatchNorm(_)
            | LayerSpec::LocalResponseNorm(_)
            | LayerSpec::GlobalAvgPool2d(_)
            | LayerSpec::Dropout(_) => (),
        }
    }

    /// Whether it reads at each step of a sequence what it has made of the one before.
    pub fn is_recurrent(&self) -> bool {
        self.hidden_units().is_some()
    }

    /// H of a recurrent layer; `None` of other layers.
    pub fn hidden_units(&self) -> Option<usize> {
        match self {
            LayerSpec::Lstm(layer) => Some(layer.hidden),
            LayerSpec::Gru(layer) => Some(layer.hidden),
            LayerSpec::Rnn(layer) => Some(layer.hidden),
            LayerSpec::Rhn(layer) => Some(layer.hidden),
            _ => None,
        }
    }

    /// The rank of a recurrent layer's recurrent weight, where that is a product; `None` of other layers.
    pub fn recurrent_rank(&self) -> Option<usize> {
        match self {
            LayerSpec::Lstm(layer) => layer.recurrent_rank,
            LayerSpec::Gru(layer) => layer.recurrent_rank,
            LayerSpec::Rnn(layer) => layer.recurrent_rank,
            LayerSpec::Rhn(layer) => layer.recurrent_rank,
            _ => None,
        }
    }

    /// The layer with a recurrent weight that is a product of rank `rank`; other layers as they are.
    #[must_use]
    pub fn with_recurrent_rank(mut self, rank: usize) -> LayerSpec {
        match &mut self {
            LayerSpec::Lstm(layer) => layer.recurrent_rank = Some(rank),
            LayerSpec::Gru(layer) => layer.recurrent_rank = Some(rank),
            LayerSpec::Rnn(layer) => layer.recurrent_rank = Some(rank),
            LayerSpec::Rhn(layer) => layer.recurrent_rank = Some(rank),
            _ => (),
        }
        self
    }

    /// The word that names the type in job files.
    pub fn kind(&self) -> &'static str {
        match self {
            LayerSpec::Conv2d(_) => "conv2d",
            LayerSpec::MaxPool2d(_) => "max_pool2d",
            LayerSpec::AvgPool2d(_) => "avg_pool2d",
            LayerSpec::Linear(_) => "linear",
            LayerSpec::Relu(_) => "relu",
            LayerSpec::Flatten(_) => "flatten",
            LayerSpec::Add(_) => "add",
            LayerSpec::Concat(_) => "concat",
            LayerSpec::Embedding(_) => "embedding",
            LayerSpec::BatchNorm(_) => "batch_norm",
            LayerSpec::LocalResponseNorm(_) => "local_response_norm",
            LayerSpec::GlobalAvgPool2d(_) => "global_avg_pool2d",
            LayerSpec::Shortcut(_) => "shortcut",
            LayerSpec::Dropout(_) => "dropout",
            LayerSpec::Lstm(_) => "lstm",
            LayerSpec::Rnn(_) => "rnn",
            LayerSpec::Gru(_) => "gru",
            LayerSpec::Rhn(_) => "rhn",
        }
    }
}

/// A height and a width; written `3` for both or `[5, 3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a whole number of at least 0, or two of them, [height, width]")]
pub enum Pair {
    /// The same for both.
    Both(usize),
    /// Height, then width.
    Each(usize, usize),
}

impl Pair {
    /// (height, width).
    pub fn get(self) -> (usize, usize) {
        match self {
            Pair::Both(both) => (both, both),
            Pair::Each(height, width) => (height, width),
        }
    }
}

/// Values that options have when a job file leaves them out.
pub(super) mod default {
    use super::Pair;
    use crate::init::Init;

    pub fn yes() -> bool {
        true
    }

    pub fn zero() -> Pair {
        Pair::Both(0)
    }

    pub fn one() -> Pair {
        Pair::Both(1)
    }

    pub fn one_group() -> usize {
        1
    }

    pub fn is_one_group(groups: &usize) -> bool {
        *groups == 1
    }

    pub fn init() -> Init {
        Init::LecunUniform
    }

    pub fn zeros() -> Init {
        Init::Zero
    }
}
