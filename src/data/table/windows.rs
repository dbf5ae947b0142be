//! Windows over rows that follow each other in time: the network reads some rows and predicts the targets of the next.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use crate::feed::Facts;
use crate::samples::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_job::Windows as Cut;
use ternflock_nn::{Shape, TargetKind, Targets};

/// Windows over some rows of a set whose samples are vectors with values to predict.
pub struct Windows {
    rows: Arc<dyn Samples>,
    /// The first row of the first window.
    first: usize,
    /// The number of windows.
    count: usize,
    cut: Cut,
    /// F, the values of a row.
    features: usize,
    /// K, the targets of a row.
    targets: usize,
    /// Memory of the threads that read.
    scratch: Mutex<Vec<Scratch>>,
}

#[derive(Default)]
struct Scratch {
    rows: Vec<usize>,
    inputs: Vec<f32>,
    targets: Targets,
}

impl Windows {
    /// The windows inside the rows `range` of `rows`, cut as `cut` says.
    ///
    /// # Errors
    /// If the rows are not vectors with values to predict, or are too few for a window.
    pub fn new(rows: Arc<dyn Samples>, range: Range<usize>, cut: Cut) -> Result<Windows> {
        let (Shape::Vector { features }, TargetKind::Values(targets)) = (rows.input(), rows.target()) else {
            return Err(Error::Usage(format!(
                "data.window needs rows of numbers that predict numbers, but they are {} that predict {}",
                rows.input(),
                rows.target().described()
            )));
        };
        let count = count(range.len(), cut);
        if count == 0 || range.end > rows.len() {
            return Err(too_few(range.len(), cut));
        }
        let scratch = Mutex::new(Vec::new());
        Ok(Windows { rows, first: range.start, count, cut, features, targets, scratch })
    }

    /// The first row of window `number`.
    fn start(&self, number: usize) -> usize {
        self.first + number * self.cut.stride
    }

    fn read_with(
        &self,
        scratch: &mut Scratch,
        numbers: &[usize],
        inputs: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        let Cut { window, horizon, .. } = self.cut;
        let Scratch { rows, inputs: unread, targets: own } = scratch;
        for (&number, input) in numbers.iter().zip(inputs.chunks_exact_mut(window * self.features)) {
            let middle = self.start(number) + window;
            rows.clear();
            rows.extend(middle - window..middle);
            self.rows.read(rows, input, own)?;
            rows.clear();
            rows.extend(middle..middle + horizon);
            unread.resize(horizon * self.features, 0.0);
            self.rows.read(rows, unread, own)?;
            targets.values.extend_from_slice(&own.values);
        }
        Ok(())
    }
}

/// The number of windows in `rows` rows.
pub fn count(rows: usize, cut: Cut) -> usize {
    let needed = cut.window.saturating_add(cut.horizon);
    if rows < needed { 0 } else { (rows - needed) / cut.stride + 1 }
}

fn too_few(rows: usize, cut: Cut) -> Error {
    Error::Usage(format!(
        "{} are too few for a window of {} and a horizon of {}: lower data.window or data.horizon",
        plural(rows, "row"),
        cut.window,
        cut.horizon
    ))
}

/// The rows of the training, validation and test windows among `rows` rows, so that `validation` and `test` of the windows
/// are for these: the last ones, and those before them. A row whose targets a window of one part predicts is not predicted
/// in another part, and no training window has it; windows of a later part begin with rows of the part before, which are
/// known at that time.
///
/// # Errors
/// If no training window is left.
pub fn split(rows: usize, cut: Cut, validation: usize, test: usize) -> Result<[Range<usize>; 3]> {
    let Cut { window, horizon, stride } = cut;
    // The rows that `windows` windows predict.
    let predicted = |windows: usize| match windows {
        0 => Some(0),
        windows => (windows - 1).checked_mul(stride)?.checked_add(horizon),
    };
    let of_test = predicted(test).and_then(|predicted| rows.checked_sub(predicted));
    let second = of_test.and_then(|second| Some((second.checked_sub(predicted(validation)?)?, second)));
    match second {
        Some((first, second)) if count(first, cut) > 0 => {
            let part = |from: usize, to: usize| if from == to { to..to } else { from - window..to };
            Ok([0..first, part(first, second), part(second, rows)])
        }
        _ => Err(Error::Usage(format!(
            "cannot take {} for validation and {} for the test from {} with a window of {window} and a horizon of \
             {horizon}: at least one window must be left for training",
            plural(validation, "window"),
            plural(test, "window"),
            plural(rows, "row")
        ))),
    }
}

impl Samples for Windows {
    fn input(&self) -> Shape {
        Shape::Sequence { steps: self.cut.window, features: self.features }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Values(self.cut.horizon * self.targets)
    }

    fn len(&self) -> usize {
        self.count
    }

    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        targets.labels.clear();
        targets.values.clear();
        targets.width = self.cut.horizon * self.targets;
        let pool = || self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        let mut scratch = pool().pop().unwrap_or_default();
        let read = self.read_with(&mut scratch, numbers, inputs, targets);
        pool().push(scratch);
        read
    }

    fn labels(&self) -> Option<Vec<usize>> {
        None
    }

    fn hash(&self) -> u64 {
        self.rows.hash()
    }

    fn facts(&self) -> Facts {
        let mut facts = self.rows.facts();
        facts.retain(|(name, _)| !["samples", "shape", "targets"].contains(name));
        let Cut { window, horizon, stride } = self.cut;
        facts.splice(
            0..0,
            [
                ("samples", self.count.to_string()),
                ("shape", format!("{window}x{}", self.features)),
                ("targets", self.target().described()),
                ("windows", format!("from row {}, horizon {horizon}, stride {stride}", self.first)),
            ],
        );
        facts
    }
}
