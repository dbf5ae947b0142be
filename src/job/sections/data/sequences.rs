//! How texts are cut into sequences, whether they are read from files or generated.

use super::datasets::TEXTS;
use crate::syntax::{Given, Key, at_least};

pub(super) const SEQUENCE_LENGTH: Key<usize> = Key::new(
    "sequence_length",
    Given(|| 35),
    "tokens per sequence (T); gradients are propagated back through all of them. The hidden state of \
     recurrent layers is carried from one step to the next, and is zero at the start of an epoch.",
)
.of(TEXTS)
.within(at_least(1.0))
.origin("W. Zaremba et al. (2014), medium");

pub(super) const EVALUATION_COLUMNS: Key<usize> = Key::new(
    "evaluation_columns",
    Given(|| 16),
    "for evaluation, a text is cut into this many columns. They are read in parallel, and each starts with a \
     hidden state of zero.",
)
.of(TEXTS)
.within(at_least(1.0))
.origin("1 is exact and many times slower; with 16, the first words of 15 columns have no context");
