//! `[data]`: what the job trains and evaluates on.

mod arrays;
mod augment;
mod columns;
mod csv;
mod datasets;
mod folder;
mod idx;
mod keys;
mod options;
mod samples;
mod sequences;
mod split;
mod synthetic;
mod synthetic_text;
mod text;
mod windows;

use std::path::PathBuf;

use serde::Serialize;

pub use arrays::{ArrayFiles, Arrays, Axes, TestFiles, ValidationFiles};
pub use augment::Augment;
pub use columns::{Columns, OneOrMore};
pub use csv::{Csv, Missing, Unseen};
pub use datasets::{DATASETS, is_registered, register_dataset_name};
pub use folder::{Colour, Folder, OnError, Resize};
pub use idx::Idx;
pub use samples::{Draw, Normalisation, SampleSettings};
pub use split::{Split, Validation};
pub use synthetic::Synthetic;
pub use synthetic_text::SyntheticText;
pub use text::{Level, Punctuation, Text};
pub use windows::Windows;

use crate::syntax::{SectionReader, one_of};
use datasets::{FOLDER, IDX};
use keys::{DATASET, DIR, MEAN, NORMALISATION, STD};

pub(crate) use keys::SECTION;

/// The section `[data]`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Data {
    /// One of [`DATASETS`], or a name that a program has registered.
    pub dataset: String,
    /// The directory of the files; `None`: the usual directory of this dataset.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The validation split; `None` for a text, which has a validation text.
    #[serde(flatten)]
    pub split: Option<Split>,
    /// The test split and the normalisation of samples in the user's own files; `None` for other datasets.
    #[serde(flatten)]
    pub samples: Option<SampleSettings>,
    /// The files of a dataset of arrays; `None` for other datasets.
    #[serde(flatten)]
    pub arrays: Option<Arrays>,
    /// The settings for images in folders; `None` for other datasets.
    #[serde(flatten)]
    pub folder: Option<Folder>,
    /// The mean to subtract from each channel of the pixels, which are in 0..1. Set if and only if `std` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// The standard deviation to divide each channel by. As long as `mean`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// The settings for text that is stored in files; `None` for other datasets.
    #[serde(flatten)]
    pub text: Option<Text>,
    /// The augmentation of images; `None`: none.
    #[serde(flatten)]
    pub augment: Option<Augment>,
    /// The settings for images in the user's own IDX files; `None` for other datasets.
    #[serde(flatten)]
    pub idx: Option<Idx>,
    /// The table and the meaning of its columns; `None` for other datasets.
    #[serde(flatten)]
    pub csv: Option<Csv>,
    /// How rows are cut into windows; `None`: each row is a sample.
    #[serde(flatten)]
    pub windows: Option<Windows>,
    /// The settings of a dataset that a program has registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub options: Option<toml::Table>,
    /// The settings for random images; `None` for other datasets.
    #[serde(flatten)]
    pub synthetic: Option<Synthetic>,
    /// The settings for random text; `None` for other datasets.
    #[serde(flatten)]
    pub synthetic_text: Option<SyntheticText>,
}

impl Data {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        let dataset = section.read(&DATASET);
        let synthetic_text = SyntheticText::read(section, &dataset);
        let data = Data {
            split: Split::read(section, &dataset),
            samples: SampleSettings::read(section, &dataset),
            arrays: Arrays::read(section, &dataset),
            folder: Folder::read(section, &dataset),
            text: text::read(section, &dataset),
            idx: Idx::read(section, &dataset),
            csv: Csv::read(section, &dataset),
            windows: Windows::read(section, &dataset),
            options: options::read(section, &dataset),
            synthetic: Synthetic::read(section, &dataset),
            synthetic_text,
            dataset,
            dir: section.read(&DIR),
            mean: section.read(&MEAN),
            std: section.read(&STD),
            augment: Augment::read(section),
        };
        data.check(section);
        data
    }

    /// Whether the samples are sequences of tokens.
    pub fn is_text(&self) -> bool {
        self.text.is_some() || self.synthetic_text.is_some()
    }

    fn check(&self, section: &mut SectionReader) {
        let dataset = self.dataset.as_str();
        // A dataset that is missing or is not a string has been reported already; it reads as "".
        let names = datasets::names();
        if !dataset.is_empty() && !names.contains(&dataset) {
            let names = one_of(&names, Some(dataset));
            section.refuse(DATASET.name, format!("data.dataset must be {names}, found \"{dataset}\""));
        }
        if self.is_text() {
            for keys in [NORMALISATION, augment::KEYS] {
                section.refuse_foreign(keys, dataset, |path, _| {
                    format!("{path} is for images; \"{dataset}\" is a text")
                });
            }
        }
        if self.samples.is_some() {
            section.refuse_foreign(NORMALISATION, dataset, |path, _| {
                format!("{path} is for images; \"{dataset}\" has `normalise`")
            });
        }
        let what = match dataset {
            "digits" | "genesis" => "part of the program",
            "synthetic" | "synthetic-text" => "generated",
            _ => "",
        };
        if !what.is_empty() {
            section.refuse_foreign(&[&DIR], dataset, |path, _| {
                format!("{path}: `{dataset}` is {what}, so no directory is read: remove this key")
            });
        }
        let has_own = self.arrays.as_ref().is_some_and(|arrays| arrays.validation_files.is_some());
        if has_own && self.split.is_some_and(|split| split.validation != Validation::Auto) {
            let message = "data.validation and data.validation_inputs exclude each other; keep one";
            section.refuse("validation", message);
        }
        let has_own = self.arrays.as_ref().is_some_and(|arrays| arrays.test_files.is_some());
        if has_own && self.samples.is_some_and(|samples| samples.test != Validation::Auto) {
            section.refuse("test", "data.test and data.test_inputs exclude each other; keep one");
        }
        if dataset == IDX && !section.has(DIR.name) {
            let message = "data.dataset = \"idx\" needs `dir`, the directory of the IDX files";
            section.refuse(DATASET.name, message);
        }
        if dataset == FOLDER && !section.has(DIR.name) {
            let message = "data.dataset = \"folder\" needs `dir`, the folder with a sub-folder per class";
            section.refuse(DATASET.name, message);
        }
        self.check_normalisation(section);
    }

    fn check_normalisation(&self, section: &mut SectionReader) {
        for (key, other) in [("mean", "std"), ("std", "mean")] {
            if section.has(key) && !section.has(other) {
                section.refuse(key, format!("data.{key} also needs data.{other}"));
            }
        }
        if let (Some(mean), Some(std)) = (&self.mean, &self.std)
            && mean.len() != std.len()
        {
            let counts = format!("found {} and {}", mean.len(), std.len());
            let message = format!("data.mean and data.std must both hold one number per channel; {counts}");
            section.refuse(STD.name, message);
        }
    }
}
