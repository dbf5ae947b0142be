//! `shrink`: surgery that takes out what does nothing. A table of a `[[stage]]`.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

/// How a network is shrunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shrink {
    /// Each layer keeps a multiple of so many units, as far as it had them; 1: as it comes.
    pub round_to: usize,
}

impl Default for Shrink {
    fn default() -> Self {
        Shrink { round_to: 1 }
    }
}

impl Shrink {
    pub(super) fn read(section: &mut Section) -> Self {
        Shrink { round_to: section.or("round_to", Shrink::default().round_to, &Rule::<usize>::SOME) }
    }
}
