//! The keys of `[data]` for samples of any kind in the user's own files: the test split and the normalisation.

use serde::Serialize;

use super::datasets::{SAMPLES, refuse_of_others};
use super::split::Validation;
use crate::syntax::{Definition, Given, Key, SectionReader, choices};

/// How samples in the user's own files are split and normalised.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SampleSettings {
    /// The size of the test split, if the job names no test files.
    pub test: Validation,
    /// How the samples of the splits are drawn.
    pub split: Draw,
    /// The normalisation of inputs.
    pub normalise: Normalisation,
    /// The normalisation of targets that are values.
    pub normalise_targets: Normalisation,
}

/// How the samples of a split are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Draw {
    /// At random, stratified by class.
    Random,
    /// In the order of the samples: training, then validation, then test.
    Ordered,
}

/// How values are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// To mean 0 and standard deviation 1, both measured on the training split.
    Standard,
    /// Not at all.
    None,
}

const TEST: Key<Validation> = Key::new(
    "test",
    Given(|| Validation::Auto),
    "the size of the test split, if no test files are named. It measures the chosen network once, at the end. A \
     whole number is a count of samples; a number above 0 and below 1 is a share of all samples; `\"auto\"` is a \
     tenth, at most 10,000 samples. 0: no test.",
)
.of(SAMPLES);

const SPLIT: Key<Draw> = Key::new(
    "split",
    Given(|| Draw::Random),
    "how the splits are drawn: `\"random\"` (by `validation_seed`; each class gives the same share of its samples) or \
     `\"ordered\"` (the last samples are the test split, and those before them the validation split: for samples that \
     follow each other in time, and always with `window`).",
)
.of(SAMPLES);

const NORMALISE: Key<Normalisation> = Key::new(
    "normalise",
    Given(|| Normalisation::Standard),
    "`\"standard\"` subtracts the mean of each channel or feature and divides by its standard deviation. Both are \
     measured on the training split and stored in checkpoints. A feature without variance is not divided. \
     `\"none\"`: values are used as they are.",
)
.of(SAMPLES);

const NORMALISE_TARGETS: Key<Normalisation> = Key::new(
    "normalise_targets",
    Given(|| Normalisation::Standard),
    "the same for target values. Classes and the labels of `task.kind = \"multi-label\"` are never normalised.",
)
.of(SAMPLES);

pub(super) const KEYS: &[&dyn Definition] = &[&TEST, &SPLIT, &NORMALISE, &NORMALISE_TARGETS];

choices! { Draw: Random = "random", Ordered = "ordered" }

choices! { Normalisation: Standard = "standard", None = "none" }

impl SampleSettings {
    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<SampleSettings> {
        if !SAMPLES.includes(dataset) {
            // A text has a key `test` too, and refuses it itself.
            refuse_of_others(section, &KEYS[1..], dataset);
            return None;
        }
        Some(SampleSettings {
            test: section.read(&TEST),
            split: section.find(&SPLIT).unwrap_or_else(|| match section.has("window") {
                true => Draw::Ordered,
                false => (SPLIT.default.0)(),
            }),
            normalise: section.read(&NORMALISE),
            normalise_targets: section.read(&NORMALISE_TARGETS),
        })
    }
}
