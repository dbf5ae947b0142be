//! Values are written with the same words with which they are read.

use serde::Serialize;
use serde_json::json;

use crate::syntax::Choice;
use crate::*;

fn is_written_as_it_is_read<C: Choice + Serialize>() {
    for &(word, choice) in C::CHOICES {
        assert_eq!(serde_json::to_value(choice).unwrap(), json!(word));
    }
}

#[test]
fn words_are_written_as_they_are_read() {
    is_written_as_it_is_read::<Adapt>();
    is_written_as_it_is_read::<Algorithm>();
    is_written_as_it_is_read::<Distribution>();
    is_written_as_it_is_read::<ForceKind>();
    is_written_as_it_is_read::<Gradients>();
    is_written_as_it_is_read::<Level>();
    is_written_as_it_is_read::<LowRankMethod>();
    is_written_as_it_is_read::<Noise>();
    is_written_as_it_is_read::<NoiseSchedule>();
    is_written_as_it_is_read::<Overlap>();
    is_written_as_it_is_read::<Precision>();
    is_written_as_it_is_read::<Punctuation>();
    is_written_as_it_is_read::<ScalingKind>();
    is_written_as_it_is_read::<SparsityMethod>();
}
