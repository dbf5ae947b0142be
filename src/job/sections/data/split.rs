//! The keys of `[data]` for the validation split: the training samples that are set aside to choose the model.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use toml::Value;

use super::datasets::{SPLIT, TEXTS};
use crate::syntax::{Definition, FromValue, Given, Key, SectionReader};

/// The validation split of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Split {
    /// The number of training samples in it.
    pub validation: Validation,
    /// The seed that draws them. It is independent of the run's seed. So runs with other seeds are judged by
    /// the same samples, and a run that starts from the parameters of another run is not judged by samples
    /// that these were trained on.
    pub validation_seed: u64,
}

/// How many training samples a validation split takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Validation {
    /// A tenth, at most 10,000.
    Auto,
    /// This share of them, above 0 and below 1.
    Share(f64),
    /// This many. 0: none, and the test set chooses the model.
    Count(usize),
}

const AUTO: &str = "auto";

impl Serialize for Validation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Validation::Auto => serializer.serialize_str(AUTO),
            Validation::Share(share) => serializer.serialize_f64(share),
            Validation::Count(count) => serializer.serialize_u64(count as u64),
        }
    }
}

impl FromValue for Validation {
    fn from_value(value: &Value) -> Result<Self, String> {
        let count = || value.as_integer().and_then(|count| usize::try_from(count).ok());
        let share = || value.as_float().filter(|share| *share > 0.0 && *share < 1.0);
        let auto = || (value.as_str() == Some(AUTO)).then_some(Validation::Auto);
        auto()
            .or_else(|| count().map(Validation::Count))
            .or_else(|| share().map(Validation::Share))
            .ok_or_else(|| {
                format!("a whole number of at least 0, a share above 0 and below 1, or \"{AUTO}\"")
            })
    }

    fn type_name() -> String {
        format!("whole number, a share, or `\"{AUTO}\"`")
    }

    fn schema() -> Json {
        json!({ "anyOf": [
            { "const": AUTO },
            { "type": "integer", "minimum": 0 },
            { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 },
        ] })
    }
}

const VALIDATION: Key<Validation> = Key::new(
    "validation",
    Given(|| Validation::Auto),
    "the size of the validation split. It is taken from the training samples and chooses the network. A \
     whole number is a count of samples; a number above 0 and below 1 is a share of the training set; \
     `\"auto\"` is a tenth of the training set, at most 10,000 samples. 0: no split; the test set chooses.",
)
.of(SPLIT);

const VALIDATION_SEED: Key<u64> =
    Key::new("validation_seed", Given(|| 1), "the seed that draws the validation split.").of(SPLIT);

pub(super) const KEYS: &[&dyn Definition] = &[&VALIDATION, &VALIDATION_SEED];

impl Split {
    /// Reads these keys of `section`; `None` for a text, which has a validation text.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Split> {
        let split =
            Split { validation: section.read(&VALIDATION), validation_seed: section.read(&VALIDATION_SEED) };
        if !TEXTS.includes(dataset) {
            return Some(split);
        }
        // Earlier versions wrote `validation = 0` into jobs on texts as well.
        let refused = if split.validation == Validation::Count(0) { &KEYS[1..] } else { KEYS };
        section.refuse_foreign(refused, dataset, |path, _| {
            format!("{path} is for images; \"{dataset}\" has a validation text")
        });
        None
    }
}
