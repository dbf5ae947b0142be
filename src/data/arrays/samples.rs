//! Samples whose inputs and targets are arrays.

use std::cell::RefCell;

use super::joined::Joined;
use super::layout::Layout;
use super::targets::{ArrayTargets, Classes};
use crate::Facts;
use crate::samples::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_job::Axes;
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Sets of at most so many bytes are hashed completely; of larger ones so much.
const HASHED: usize = 64 << 20;
/// The number of places that are hashed of a larger set.
const PLACES: usize = 256;
/// The number of values that are hashed at a time.
const BLOCK: usize = 1 << 16;

/// The byte of an image that becomes 1.0.
const FULL_SCALE: f32 = 255.0;

thread_local! {
    static SCRATCH: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Inputs and targets in arrays of equal length.
pub(super) struct ArraySamples {
    inputs: Joined,
    layout: Layout,
    targets: ArrayTargets,
    hash: u64,
    target_hash: u64,
}

impl ArraySamples {
    /// The samples with these `inputs`, whose dimensions have the meaning `axes`, and `targets`, which can be classes
    /// if `classes` says which.
    ///
    /// # Errors
    /// If they cannot be read, are empty, or do not belong together.
    pub fn new(
        inputs: Joined,
        targets: Joined,
        axes: Option<Axes>,
        classes: Option<Classes>,
    ) -> Result<ArraySamples> {
        let refuse = |message: String| Error::data(inputs.path(), message);
        if inputs.rows() != targets.rows() {
            let (samples, others) = (inputs.rows(), targets.rows());
            let path = targets.path().display();
            return Err(refuse(format!("holds {samples} samples, but {path} holds {others} targets")));
        }
        let layout = Layout::new(inputs.row(), axes).map_err(refuse)?;
        if inputs.rows() == 0 || inputs.row_size() == 0 {
            return Err(refuse(format!("is empty: {} samples of shape {:?}", inputs.rows(), inputs.row())));
        }
        let hash = hash_floats(&inputs)?;
        let targets = ArrayTargets::new(targets, classes)?;
        let target_hash = match &targets {
            ArrayTargets::Labels { labels, .. } => xxh3_64(bytemuck::cast_slice(labels)),
            ArrayTargets::Values(array) => hash_floats(array)?,
        };
        Ok(ArraySamples { inputs, layout, targets, hash, target_hash })
    }

    /// The number of classes; `None` for values.
    pub fn classes(&self) -> Option<usize> {
        match self.targets.kind() {
            TargetKind::Class(classes) => Some(classes),
            TargetKind::Values(_) => None,
        }
    }

    /// Refuses these samples if a network for those of `train` could not be evaluated on them.
    ///
    /// # Errors
    /// With what differs.
    pub fn check_like(&self, train: &ArraySamples) -> Result<()> {
        let is = |samples: &ArraySamples| {
            format!("{} with {}", samples.input().described(), samples.target().described())
        };
        if (self.input(), self.target()) == (train.input(), train.target()) {
            return Ok(());
        }
        let message =
            format!("holds {}, but {} holds {}", is(self), train.inputs.path().display(), is(train),);
        Err(Error::data(self.inputs.path(), message))
    }
}

/// A hash of the values of `array`: of all if they are few, else of rows at [`PLACES`] places.
fn hash_floats(array: &Joined) -> Result<u64> {
    let (rows, size) = (array.rows(), array.row_size());
    let mut hasher = Xxh3::new();
    hasher.update(bytemuck::bytes_of(&(rows as u64)));
    array.row().iter().for_each(|&length| hasher.update(bytemuck::bytes_of(&(length as u64))));
    let all = rows.saturating_mul(size).saturating_mul(size_of::<f32>());
    let places = if all <= HASHED { 1 } else { PLACES.min(rows) };
    let rows_of_place = if places == 1 { rows } else { (HASHED / size_of::<f32>() / size / places).max(1) };
    let at_a_time = (BLOCK / size).clamp(1, rows_of_place);
    let mut values = vec![0.0; at_a_time * size];
    for place in 0..places {
        // The first place begins with the first row, and the last one ends with the last.
        let spare = (rows - rows_of_place) as u128;
        let first = (spare * place as u128 / (places - 1).max(1) as u128) as usize;
        let end = first + rows_of_place;
        for first in (first..end).step_by(at_a_time) {
            let values = &mut values[..(end - first).min(at_a_time) * size];
            array.floats(first, values)?;
            hasher.update(bytemuck::cast_slice(values));
        }
    }
    Ok(hasher.digest())
}

impl Samples for ArraySamples {
    fn input(&self) -> Shape {
        self.layout.shape
    }

    fn target(&self) -> TargetKind {
        self.targets.kind()
    }

    fn len(&self) -> usize {
        self.inputs.rows()
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        read_rows(&self.inputs, numbers, inputs)?;
        // As in files of images, so that a network for one can be used on the other.
        if self.inputs.is_bytes() && matches!(self.layout.shape, Shape::Image { .. }) {
            inputs.iter_mut().for_each(|value| *value /= FULL_SCALE);
        }
        let size = self.inputs.row_size();
        SCRATCH.with_borrow_mut(|scratch| {
            inputs.chunks_exact_mut(size).for_each(|row| self.layout.arrange(row, scratch));
        });
        targets.labels.clear();
        match &self.targets {
            ArrayTargets::Labels { labels, .. } => {
                (targets.width, _) = (0, targets.values.clear());
                targets.labels.extend(numbers.iter().map(|&number| labels[number] as usize));
                Ok(())
            }
            ArrayTargets::Values(array) => {
                targets.width = array.row_size();
                targets.values.resize(numbers.len() * targets.width, 0.0);
                read_rows(array, numbers, &mut targets.values)
            }
        }
    }

    fn labels(&self) -> Option<Vec<usize>> {
        match &self.targets {
            ArrayTargets::Labels { labels, .. } => Some(labels.iter().map(|&label| label as usize).collect()),
            ArrayTargets::Values(_) => None,
        }
    }

    fn hash(&self) -> u64 {
        xxh3_64(bytemuck::cast_slice(&[self.hash, self.target_hash]))
    }

    fn facts(&self) -> Facts {
        vec![
            ("samples", self.len().to_string()),
            ("shape", self.input().to_string()),
            ("targets", self.target().described()),
            ("labels", format!("{:016x}", self.target_hash)),
            ("contents", format!("{:016x}", self.hash)),
        ]
    }
}

/// Reads the rows `numbers` of `array` to `out`, in this order. Rows that follow each other are read at once.
fn read_rows(array: &Joined, numbers: &[usize], out: &mut [f32]) -> Result<()> {
    let mut rest = out;
    for run in numbers.chunk_by(|a, b| a + 1 == *b) {
        let (now, later) = rest.split_at_mut(run.len() * array.row_size());
        array.floats(run[0], now)?;
        rest = later;
    }
    Ok(())
}
