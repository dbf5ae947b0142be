//! How texts are cut into sequences, whether they are read from files or generated.

use super::datasets::TEXTS;
use crate::syntax::{Given, Key, at_least};

pub(super) const SEQUENCE_LENGTH: Key<usize> = Key::new(
    "sequence_length",
    Given(|| 35),
    "tokens a sequence (T), through which gradients are propagated back. What recurrent layers hold goes on from each step \
     to the next, and begins at zero with an epoch.",
)
.of(TEXTS)
.within(at_least(1.0))
.origin("W. Zaremba et al. (2014), medium");

pub(super) const EVALUATION_COLUMNS: Key<usize> = Key::new(
    "evaluation_columns",
    Given(|| 16),
    "a text to evaluate on is cut into so many columns, read side by side, each from a state of zero.",
)
.of(TEXTS)
.within(at_least(1.0))
.origin("1 is exact and many times slower; 16 leave the first words of 15 columns without context");
