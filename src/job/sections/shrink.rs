//! `shrink`: surgery that removes dead structures. A table of a `[[stage]]`.

use serde::Serialize;

use crate::syntax::{Given, Key, Section, SectionReader, at_least, read_empty};

/// How a network is shrunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shrink {
    /// Each layer keeps a multiple of this number of units, or all of its units; 1: no rounding.
    pub round_to: usize,
    /// Whether dead columns are removed too: columns of the matrix of a convolution or linear layer that are
    /// zero in all rows, beyond those of removed units. This covers shape-wise sparsity and inputs of the
    /// network that a layer does not read.
    pub columns: bool,
}

const ROUND_TO: Key<usize> = Key::new(
    "round_to",
    Given(|| 1),
    "Each layer keeps a multiple of this number of units, or all of its \
        units.",
)
.within(at_least(1.0));

const COLUMNS: Key<bool> = Key::new(
    "columns",
    Given(|| true),
    "Whether dead columns are removed. The layer then has a list of \
        `columns`.",
);

pub(super) const SECTION: Section = Section::new(
    "shrink",
    "Surgery before the first step. It removes units that are zero or that no layer reads, residual branches \
     that are zero, and zero columns of the matrices of convolutions and linear layers. `shrink = {}` uses \
     the defaults.",
    &[&[&ROUND_TO, &COLUMNS]],
);

impl Default for Shrink {
    fn default() -> Self {
        read_empty(&SECTION, Shrink::read)
    }
}

impl Shrink {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        Shrink { round_to: section.read(&ROUND_TO), columns: section.read(&COLUMNS) }
    }
}
