//! `[checkpoint]`: when the run is written down and how much of it is kept.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

/// The section `[checkpoint]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checkpoint {
    /// Steps between checkpoints; 0: only at the end. The end of a run always writes one.
    pub every: u64,
    /// The newest checkpoints that are kept, at least 1.
    pub keep: usize,
    /// Whether the one of the best evaluation is kept beside them.
    pub best: bool,
}

impl Default for Checkpoint {
    fn default() -> Self {
        Checkpoint { every: 1000, keep: 3, best: true }
    }
}

impl Checkpoint {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Checkpoint::default();
        Checkpoint {
            every: section.or("every", default.every, &Rule::ANY),
            keep: section.or("keep", default.keep, &Rule::<usize>::SOME),
            best: section.or("best", default.best, &Rule::ANY),
        }
    }
}
