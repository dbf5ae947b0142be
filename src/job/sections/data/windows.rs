//! The keys of `[data]` for forecasts: windows over rows that follow each other in time.

use serde::Serialize;

use super::datasets::{WINDOWED, refuse_of_others};
use crate::syntax::{Absent, Definition, Given, Key, SectionReader, at_least};

/// How rows that follow each other in time are cut into samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Windows {
    /// The rows that the network reads.
    pub window: usize,
    /// The rows after them, whose targets it predicts.
    pub horizon: usize,
    /// The rows from the start of a window to the start of the next.
    pub stride: usize,
}

const WINDOW: Key<usize, Absent> = Key::new(
    "window",
    Absent("each row is a sample"),
    "the number of rows that the network reads to forecast those after them. Rows must follow each other in time; a \
     sample is a sequence of `window` rows.",
)
.of(WINDOWED)
.within(at_least(1.0));

const HORIZON: Key<usize> = Key::new(
    "horizon",
    Given(|| 1),
    "the number of rows after a window whose targets are predicted, row by row: a sample has `horizon` target values \
     per target column. Needs `window`.",
)
.of(WINDOWED)
.within(at_least(1.0));

const STRIDE: Key<usize> = Key::new(
    "stride",
    Given(|| 1),
    "the number of rows from the start of a window to the start of the next. Needs `window`.",
)
.of(WINDOWED)
.within(at_least(1.0));

pub(super) const KEYS: &[&dyn Definition] = &[&WINDOW, &HORIZON, &STRIDE];

impl Windows {
    /// Reads these keys of `section`; `None` if each row is a sample.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Windows> {
        if !WINDOWED.includes(dataset) {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        for key in [HORIZON.name, STRIDE.name] {
            if section.has(key) && !section.has(WINDOW.name) {
                section.refuse(key, format!("data.{key} also needs data.window"));
            }
        }
        let (window, horizon, stride) =
            (section.read(&WINDOW), section.read(&HORIZON), section.read(&STRIDE));
        window.map(|window| Windows { window, horizon, stride })
    }
}
