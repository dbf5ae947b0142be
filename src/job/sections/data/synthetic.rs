//! The keys of `[data]` for random images.

use serde::Serialize;
use serde_json::json;

use super::datasets::{SYNTHETIC, refuse_of_others};
use crate::syntax::{Definition, Given, Key, Of, Rule, SectionReader, at_least};

/// Random images, which need no files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synthetic {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// Training samples.
    pub samples: usize,
}

const OWN: Of = Of::kinds(&[SYNTHETIC]);

const SHAPE: Key<Vec<usize>> =
    Key::new("shape", Given(|| vec![3, 32, 32]), "channels, height and width.").of(OWN).such(Rule::Such {
        must_be: "three sizes of at least 1: channels, height and width",
        holds: |shape| shape.len() == 3 && shape.iter().all(|&size| size > 0),
        schema: || json!({ "minItems": 3, "maxItems": 3, "items": { "minimum": 1 } }),
    });

/// More classes than any network of images has; counts per class must stay small.
const MOST_CLASSES: f64 = 65_536.0;

const CLASSES: Key<usize> = Key::new("classes", Given(|| 10), "the number of classes.")
    .of(OWN)
    .within(at_least(1.0).and_at_most(MOST_CLASSES));

const SAMPLES: Key<usize> =
    Key::new("samples", Given(|| 10_000), "the number of training images; the test set has a tenth as many.")
        .of(OWN)
        .within(at_least(1.0));

pub(super) const KEYS: &[&dyn Definition] = &[&SHAPE, &CLASSES, &SAMPLES];

impl Synthetic {
    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Synthetic> {
        if dataset != SYNTHETIC {
            refuse_of_others(section, &[&SHAPE, &SAMPLES, &CLASSES], dataset);
            return None;
        }
        let shape = section.read(&SHAPE);
        Some(Synthetic {
            shape: [shape[0], shape[1], shape[2]],
            classes: section.read(&CLASSES),
            samples: section.read(&SAMPLES),
        })
    }
}
