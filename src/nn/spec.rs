//! The type and options of a layer, in the words of job files and checkpoints: `type = "conv2d"` and so on.

use serde::{Deserialize, Serialize};

use super::declare::Parts;
use super::layers::Columns;
pub use super::layers::LayerSpec;

impl LayerSpec {
    /// The parts of the layer.
    pub fn parts(&self) -> Parts<'_> {
        self.describe().parts()
    }

    /// The columns that its weight matrix has, if the layer supports a subset, and the number of columns per
    /// unit of its input in the complete matrix.
    pub fn columns_mut(&mut self) -> Option<(&mut Columns, usize)> {
        let taps = self.parts().matrix?.taps();
        let columns = self.describe_mut().adjustable().columns?;
        Some((columns, taps))
    }

    /// Sets the number of units that its options give its output to `units`. For a shortcut, `zeros_before`
    /// is the number of zero channels before those of the image. A layer whose units are those of its inputs
    /// does not change.
    pub fn set_units(&mut self, units: usize, zeros_before: usize) {
        let adjustable = self.describe_mut().adjustable();
        if let Some(own) = adjustable.units {
            *own = units;
        }
        if let Some(before) = adjustable.zeros_before {
            *before = Some(zeros_before);
        }
    }

    /// Whether it reads at each step of a sequence its result of the step before.
    pub fn is_recurrent(&self) -> bool {
        self.parts().state.is_some()
    }

    /// H of a recurrent layer; `None` for other layers.
    pub fn hidden_units(&self) -> Option<usize> {
        self.parts().state.map(|state| state.hidden)
    }

    /// The rank of a recurrent layer's recurrent weight if that is a product; `None` for other layers.
    pub fn recurrent_rank(&self) -> Option<usize> {
        self.parts().state.and_then(|state| state.rank)
    }

    /// The layer with a recurrent weight that is a product of rank `rank`; other layers are unchanged.
    #[must_use]
    pub fn with_recurrent_rank(mut self, rank: usize) -> LayerSpec {
        if let Some(own) = self.describe_mut().adjustable().recurrent_rank {
            *own = Some(rank);
        }
        self
    }
}

/// A height and a width; written `3` for both or `[5, 3]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a whole number of at least 0, or two of them, [height, width]")]
pub enum Pair {
    /// One size for both.
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

/// The default values of options.
pub(super) mod default {
    use super::Pair;
    use crate::init::Init;

    pub fn yes() -> bool {
        true
    }

    pub fn is_no(value: &bool) -> bool {
        !value
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
