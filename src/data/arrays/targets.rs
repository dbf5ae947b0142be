//! The targets of samples in arrays: classes or values.

use super::joined::Joined;
use ternflock_base::error::{Error, Result};
use ternflock_job::Arrays;
use ternflock_nn::TargetKind;

/// The number of labels that are read at a time.
const BLOCK: usize = 1 << 13;

/// What is known about classes before labels are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Classes {
    /// Their number; `None`: the largest label determines it.
    pub count: Option<usize>,
    /// The label of the first one.
    pub first: usize,
}

/// The targets of all samples.
pub(super) enum ArrayTargets {
    /// Classes, which are in memory because splits need them.
    Labels {
        /// K, the number of classes.
        classes: usize,
        /// `[N]`, each below `classes`.
        labels: Vec<u32>,
    },
    /// Values, which are read with their samples: `[N]` or `[N, K]`.
    Values(Joined),
}

impl ArrayTargets {
    /// The targets in `array`: classes if it is `[N]` of integers, unless `classes` is `None`.
    ///
    /// # Errors
    /// If it cannot be read, has another shape, or has a label outside of the classes.
    pub fn new(array: Joined, classes: Option<Classes>) -> Result<ArrayTargets> {
        match (classes.filter(|_| array.element().is_integer()), array.row()) {
            (Some(classes), []) => read_labels(&array, classes),
            (_, [] | [_]) if array.row_size() > 0 => Ok(ArrayTargets::Values(array)),
            (_, row) => Err(Error::data(
                array.path(),
                format!(
                    "has targets of shape {row:?} per sample; targets are [N] of integers (classes), [N] of floats or \
                     [N, K] (values)"
                ),
            )),
        }
    }

    /// What is predicted.
    pub fn kind(&self) -> TargetKind {
        match self {
            ArrayTargets::Labels { classes, .. } => TargetKind::Class(*classes),
            ArrayTargets::Values(array) => TargetKind::Values(array.row_size()),
        }
    }
}

fn read_labels(array: &Joined, known: Classes) -> Result<ArrayTargets> {
    let most = known.count.unwrap_or(Arrays::MOST_CLASSES);
    let mut labels: Vec<u32> = Vec::new();
    labels.try_reserve_exact(array.rows()).map_err(|error| {
        Error::data(array.path(), format!("its {} labels do not fit into memory: {error}", array.rows()))
    })?;
    let mut block = vec![0i64; BLOCK.min(array.rows())];
    while labels.len() < array.rows() {
        let count = BLOCK.min(array.rows() - labels.len());
        array.integers(labels.len(), &mut block[..count])?;
        for &label in &block[..count] {
            let class = usize::try_from(label).ok().and_then(|label| label.checked_sub(known.first));
            match class.filter(|&class| class < most) {
                Some(class) => labels.push(class as u32),
                None => return Err(refused(array, labels.len(), label, known)),
            }
        }
    }
    let classes =
        known.count.unwrap_or_else(|| labels.iter().max().map_or(0, |&largest| largest as usize + 1));
    Ok(ArrayTargets::Labels { classes, labels })
}

/// The error for the label `label` in row `row`.
fn refused(array: &Joined, row: usize, label: i64, known: Classes) -> Error {
    let (part, row) = array.place(row);
    let first = known.first;
    let last = known.count.map(|count| first + count - 1);
    let message = match last {
        Some(last) => format!(
            "the label in row {row} is {label}, but the classes are {first} to {last}; set data.classes or \
             data.first_label"
        ),
        None if label < first as i64 => format!(
            "the label in row {row} is {label}, but labels start at {first} (data.first_label); for values to \
             predict, set task.kind = \"regression\""
        ),
        None => format!(
            "the label in row {row} is {label}, more than any number of classes; for values to \
             predict, set task.kind = \"regression\""
        ),
    };
    Error::data(part.path(), message)
}
