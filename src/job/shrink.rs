//! `shrink`: surgery that takes out what does nothing. A table of a `[[stage]]`.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

/// How a network is shrunk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shrink {
    /// Each layer keeps a multiple of so many units, as far as it had them; 1: as it comes.
    pub round_to: usize,
    /// Whether columns of a convolution's or a linear layer's matrix that are zero in all of its rows go too, beyond those of
    /// units that go: shape-wise sparsity, and inputs of the network that a layer does not read.
    pub columns: bool,
}

impl Default for Shrink {
    fn default() -> Self {
        Shrink { round_to: 1, columns: true }
    }
}

impl Shrink {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Shrink::default();
        Shrink {
            round_to: section.or("round_to", default.round_to, &Rule::<usize>::SOME),
            columns: section.or("columns", default.columns, &Rule::ANY),
        }
    }
}
