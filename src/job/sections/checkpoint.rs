//! `[checkpoint]`: when the run writes checkpoints, and which are kept.

use serde::Serialize;

use crate::syntax::{Given, Key, Section, SectionReader, at_least, read_empty};

/// The section `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Steps between checkpoints; 0: only at the end. A run always writes one when it ends.
    pub every: u64,
    /// How many of the newest checkpoints are kept, at least 1.
    pub keep: usize,
    /// Whether the one with the best evaluation is kept as well.
    pub best: bool,
}

const EVERY: Key<u64> = Key::new(
    "every",
    Given(|| 1000),
    "Steps between checkpoints. 0: only at the end of the run. The end always writes one.",
);

const KEEP: Key<usize> =
    Key::new("keep", Given(|| 3), "How many of the newest checkpoints are kept.").within(at_least(1.0));

const BEST: Key<bool> = Key::new(
    "best",
    Given(|| true),
    "Also keeps the checkpoint with the best evaluation (of equal scores, the one with the lower loss) and \
     evaluates it on the test set at the end. `false`: the last network is evaluated on the test set.",
);

/// The section and its keys.
pub(crate) const SECTION: Section = Section::new(
    "checkpoint",
    "When the run writes checkpoints, and which are kept.",
    &[&[&EVERY, &KEEP, &BEST]],
);

impl Default for Checkpoint {
    fn default() -> Self {
        read_empty(&SECTION, Checkpoint::read)
    }
}

impl Checkpoint {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        Checkpoint { every: section.read(&EVERY), keep: section.read(&KEEP), best: section.read(&BEST) }
    }
}
