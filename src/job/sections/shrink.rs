//! `shrink`: surgery that takes out what does nothing. A table of a `[[stage]]`.

use serde::Serialize;

use crate::syntax::{Given, Key, Section, SectionReader, at_least, read_empty};

/// How a network is shrunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shrink {
    /// Each layer keeps a multiple of this many units, or all that it had; 1: no rounding.
    pub round_to: usize,
    /// Whether columns of a convolution's or a linear layer's matrix that are zero in all of its rows go too, beyond those of
    /// units that go: shape-wise sparsity, and inputs of the network that a layer does not read.
    pub columns: bool,
}

const ROUND_TO: Key<usize> =
    Key::new("round_to", Given(|| 1), "Each layer keeps a multiple of this many units, or all that it had.")
        .within(at_least(1.0));

const COLUMNS: Key<bool> =
    Key::new("columns", Given(|| true), "Whether columns go: a layer has a list of `columns` then.");

pub(super) const SECTION: Section = Section::new(
    "shrink",
    "Surgery before the first step: units that are zero or that nothing reads go, residual branches that are zero, \
     and columns of convolutions' and linear layers' matrices that are. `shrink = {}` with its defaults.",
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
