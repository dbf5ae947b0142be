//! The keys of `[data]` for images in the user's own IDX files.

use serde::Serialize;

use super::datasets::{IDX, refuse_of_others};
use crate::syntax::{Absent, Definition, Given, Key, Of, SectionReader, at_least, at_most, is_default};

/// The settings for images in the user's own IDX files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Idx {
    /// The number of classes; `None`: the largest label determines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The label of the first class.
    #[serde(skip_serializing_if = "is_default")]
    pub first_label: usize,
}

const OWN: Of = Of::kinds(&[IDX]);

const FIRST_LABEL: Key<usize> = Key::new(
    "first_label",
    Given(|| 0),
    "the label of the first class. EMNIST's letters have the labels 1 to 26: `first_label = 1`.",
)
.of(OWN)
.within(at_most(255.0));

/// Labels are bytes, so there are at most 256 classes.
const CLASSES: Key<usize, Absent> = Key::new(
    "classes",
    Absent("one more than the largest label"),
    "the number of classes. A label outside the range is refused.",
)
.of(OWN)
.within(at_least(1.0).and_at_most(256.0));

/// The key that no other dataset has.
pub(super) const KEYS: &[&dyn Definition] = &[&FIRST_LABEL];

/// The key that synthetic images have too.
pub(super) const SHARED_KEYS: &[&dyn Definition] = &[&CLASSES];

impl Idx {
    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Idx> {
        if dataset != IDX {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        Some(Idx { classes: section.read(&CLASSES), first_label: section.read(&FIRST_LABEL) })
    }
}
