//! The keys of `[data]` for arrays in the user's own files.

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use toml::Value;

use super::datasets::{ARRAYS, refuse_of_others};
use crate::syntax::{
    Absent, Definition, FromValue, Given, Key, Reported, SectionReader, at_least, at_most, choices,
    is_default,
};

/// The files of a dataset of arrays. The first dimension of each array is N, the number of samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Arrays {
    /// The inputs.
    pub inputs: ArrayFiles,
    /// The targets, as many as inputs.
    pub targets: ArrayFiles,
    /// The meaning of the dimensions of an input; `None`: their number decides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axes: Option<Axes>,
    /// Inputs and targets of the validation set; `None`: it is split off.
    #[serde(flatten)]
    pub validation_files: Option<ValidationFiles>,
    /// Inputs and targets of the test set; `None`: it is split off.
    #[serde(flatten)]
    pub test_files: Option<TestFiles>,
    /// The number of classes; `None`: the largest label determines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The label of the first class.
    #[serde(skip_serializing_if = "is_default")]
    pub first_label: usize,
}

/// The files of a validation set of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ValidationFiles {
    /// The inputs.
    #[serde(rename = "validation_inputs")]
    pub inputs: ArrayFiles,
    /// The targets.
    #[serde(rename = "validation_targets")]
    pub targets: ArrayFiles,
}

/// The files of a test set of its own.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TestFiles {
    /// The inputs.
    #[serde(rename = "test_inputs")]
    pub inputs: ArrayFiles,
    /// The targets.
    #[serde(rename = "test_targets")]
    pub targets: ArrayFiles,
}

/// One or more arrays, whose samples follow each other. Each is a path, followed by the name of the array in the file if
/// the format has names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrayFiles(pub Vec<String>);

impl Serialize for ArrayFiles {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0[..] {
            [only] => only.serialize(serializer),
            all => all.serialize(serializer),
        }
    }
}

impl FromValue for ArrayFiles {
    fn from_value(value: &Value) -> Result<Self, String> {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let all = match value {
            Value::Array(entries) => entries.iter().map(text).collect(),
            value => text(value).map(|only| vec![only]),
        };
        let all = all.filter(|all| !all.is_empty()).map(ArrayFiles);
        all.ok_or_else(|| "a path (a string) or an array of paths".into())
    }

    fn type_name() -> String {
        "path or paths".into()
    }

    fn schema() -> Json {
        let path = json!({ "type": "string", "minLength": 1 });
        json!({ "anyOf": [path, { "type": "array", "minItems": 1, "items": path }] })
    }
}

/// The meaning of the dimensions of an array of inputs. N samples, F features, T steps, C channels, H rows, W columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Axes {
    /// One feature.
    N,
    /// Vectors.
    Nf,
    /// Sequences.
    Ntf,
    /// Sequences, feature by feature.
    Nft,
    /// Images of one channel.
    Nhw,
    /// Images, channel by channel.
    Nchw,
    /// Images, pixel by pixel.
    Nhwc,
}

choices! {
    Axes: N = "N", Nf = "NF", Ntf = "NTF", Nft = "NFT", Nhw = "NHW", Nchw = "NCHW", Nhwc = "NHWC"
}

const INPUTS: Key<ArrayFiles, Reported> = Key::new(
    "inputs",
    Reported,
    "the inputs: a file, or a list of files whose samples follow each other: `\"x.npy\"`, or a file and the dataset in \
     it, `\"field.h5:/inputs\"`. The first dimension of an array is the number of samples.",
)
.of(ARRAYS);

const TARGETS: Key<ArrayFiles, Reported> = Key::new(
    "targets",
    Reported,
    "the targets, as many as inputs: `[N]` of integers are classes, unless `task.kind` is `\"regression\"` or \
     another with values; `[N]` of floats and `[N, K]` are *K* values to predict.",
)
.of(ARRAYS);

const AXES: Key<Axes, Absent> = Key::new(
    "axes",
    Absent("`\"N\"`, `\"NF\"`, `\"NTF\"` or `\"NCHW\"`, by the number of dimensions"),
    "the meaning of the dimensions of `inputs`: *N* samples, *F* features, *T* steps, *C* channels, *H* rows, *W* \
     columns.",
)
.of(ARRAYS);

const VALIDATION_INPUTS: Key<ArrayFiles, Absent> = Key::new(
    "validation_inputs",
    Absent("split off `inputs`"),
    "the inputs of a validation set of its own. Needs `validation_targets`.",
)
.of(ARRAYS);

const VALIDATION_TARGETS: Key<ArrayFiles, Absent> = Key::new(
    "validation_targets",
    Absent("split off `targets`"),
    "the targets of that validation set. Needs `validation_inputs`.",
)
.of(ARRAYS);

const TEST_INPUTS: Key<ArrayFiles, Absent> = Key::new(
    "test_inputs",
    Absent("split off `inputs`"),
    "the inputs of a test set of its own. Needs `test_targets`.",
)
.of(ARRAYS);

const TEST_TARGETS: Key<ArrayFiles, Absent> = Key::new(
    "test_targets",
    Absent("split off `targets`"),
    "the targets of that test set. Needs `test_inputs`.",
)
.of(ARRAYS);

/// Labels are exact in single precision up to it.
const MOST_CLASSES: f64 = Arrays::MOST_CLASSES as f64;

const CLASSES: Key<usize, Absent> = Key::new(
    "classes",
    Absent("one more than the largest label"),
    "the number of classes. A label outside the range is refused.",
)
.of(ARRAYS)
.within(at_least(1.0).and_at_most(MOST_CLASSES));

const FIRST_LABEL: Key<usize> = Key::new("first_label", Given(|| 0), "the label of the first class.")
    .of(ARRAYS)
    .within(at_most(MOST_CLASSES));

/// The keys that only arrays have.
pub(super) const KEYS: &[&dyn Definition] =
    &[&INPUTS, &TARGETS, &AXES, &VALIDATION_INPUTS, &VALIDATION_TARGETS, &TEST_INPUTS, &TEST_TARGETS];

/// The keys that other datasets have too.
pub(super) const SHARED_KEYS: &[&dyn Definition] = &[&FIRST_LABEL, &CLASSES];

impl Arrays {
    /// The largest number of classes.
    pub const MOST_CLASSES: usize = 1 << 24;

    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Arrays> {
        if !ARRAYS.includes(dataset) {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        for key in [INPUTS.name, TARGETS.name] {
            if !section.has(key) {
                section.refuse("dataset", format!("data.dataset = \"{dataset}\" needs `{key}`"));
            }
        }
        let validation = pair(section, &VALIDATION_INPUTS, &VALIDATION_TARGETS);
        let test = pair(section, &TEST_INPUTS, &TEST_TARGETS);
        Some(Arrays {
            inputs: section.read(&INPUTS).unwrap_or_default(),
            targets: section.read(&TARGETS).unwrap_or_default(),
            axes: section.read(&AXES),
            validation_files: validation.map(|(inputs, targets)| ValidationFiles { inputs, targets }),
            test_files: test.map(|(inputs, targets)| TestFiles { inputs, targets }),
            classes: section.read(&CLASSES),
            first_label: section.read(&FIRST_LABEL),
        })
    }
}

/// The inputs and targets of a set of its own, if both are given.
fn pair(
    section: &mut SectionReader,
    inputs: &Key<ArrayFiles, Absent>,
    targets: &Key<ArrayFiles, Absent>,
) -> Option<(ArrayFiles, ArrayFiles)> {
    for (key, other) in [(inputs.name, targets.name), (targets.name, inputs.name)] {
        if section.has(key) && !section.has(other) {
            section.refuse(key, format!("data.{key} also needs data.{other}"));
        }
    }
    section.read(inputs).zip(section.read(targets))
}
