//! What a network learns to predict.

use ternflock_base::text::plural;

/// The target of a sample. A network has [`TargetKind::outputs`] outputs for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// One of K classes: a label below K.
    Class(usize),
    /// K numbers.
    Values(usize),
}

impl TargetKind {
    /// K: the number of outputs that a network needs for this target.
    pub fn outputs(self) -> usize {
        match self {
            TargetKind::Class(outputs) | TargetKind::Values(outputs) => outputs,
        }
    }

    /// The kind and the number, in words: "10 classes".
    pub fn described(self) -> String {
        match self {
            TargetKind::Class(classes) => plural(classes, "class"),
            TargetKind::Values(values) => plural(values, "value"),
        }
    }
}

/// The targets of a batch, in the order of the rows of the network's output. They are labels or values; the other is
/// empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Targets {
    /// The classes, `[N]`; for sequences `[T, N]`. [`NO_LABEL`] means none.
    pub labels: Vec<usize>,
    /// The numbers, `[N, K]`.
    pub values: Vec<f32>,
    /// K, the number of values per row; 0 for labels.
    pub width: usize,
}

/// A label that means "no label": its row does not count and has no gradient.
pub const NO_LABEL: usize = usize::MAX;

impl Targets {
    /// No targets yet, with room for `rows` labels.
    pub fn with_capacity(rows: usize) -> Targets {
        Targets { labels: Vec::with_capacity(rows), ..Targets::default() }
    }

    /// The targets of a batch of classes: `labels`.
    pub fn of_labels(labels: Vec<usize>) -> Targets {
        Targets { labels, ..Targets::default() }
    }

    /// The number of targets that count.
    pub fn count(&self) -> usize {
        match self.width {
            0 => self.labels.iter().filter(|&&label| label != NO_LABEL).count(),
            width => self.values.len() / width,
        }
    }
}
