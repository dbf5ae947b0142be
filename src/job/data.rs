//! `[data]`: what the job trains and evaluates on.

use std::path::PathBuf;

use serde::Serialize;

use super::images::{Augment, Idx, Synthetic};
use super::read::Section;
use super::split::Split;
use super::synthetic_text::SyntheticText;
use super::text::{self, Text};
use super::value::{Rule, one_of};

/// The names that `data.dataset` may hold.
pub const DATASETS: [&str; 11] = [
    "mnist",
    "fashion-mnist",
    "cifar-10",
    "digits",
    "synthetic",
    "idx",
    "genesis",
    "kjv",
    "ptb",
    "text",
    "synthetic-text",
];

/// The section `[data]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Data {
    /// One of [`DATASETS`].
    pub dataset: String,
    /// The directory of the files; `None`: where this dataset is usually found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dir: Option<PathBuf>,
    /// The validation split of images; `None` for a text, which has a validation text.
    #[serde(flatten)]
    pub split: Option<Split>,
    /// The mean to subtract from each channel of the pixels, which lie in 0..1. There exactly where `std` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// The standard deviation to divide each channel by, as many as there are means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// What is said of a dataset that is text in files; none for others.
    #[serde(flatten)]
    pub text: Option<Text>,
    /// How images vary; `None`: not at all.
    #[serde(flatten)]
    pub augment: Option<Augment>,
    /// The settings for images in the user's own IDX files; `None` for others.
    #[serde(flatten)]
    pub idx: Option<Idx>,
    /// What images are made up; `None`: those of a file.
    #[serde(flatten)]
    pub synthetic: Option<Synthetic>,
    /// What text is made up; `None`: that of a file, or images.
    #[serde(flatten)]
    pub synthetic_text: Option<SyntheticText>,
}

impl Data {
    pub(super) fn read(section: &mut Section) -> Self {
        let all_positive = Rule::new("one or more numbers above 0", |std: &Vec<f32>| {
            !std.is_empty() && std.iter().all(|&deviation| deviation > 0.0)
        });
        let name = Rule::new("the name of a dataset", |name: &String| !name.is_empty());
        let dataset: String = section.required("dataset", &name);
        let synthetic_text = SyntheticText::read(section, &dataset);
        let data = Data {
            split: Split::read(section, &dataset, synthetic_text.is_some()),
            text: text::read(section, &dataset),
            idx: Idx::read(section, &dataset),
            synthetic: Synthetic::read(section, &dataset),
            synthetic_text,
            dataset,
            dir: section.optional("dir", &Rule::ANY),
            mean: section
                .optional("mean", &Rule::new("one or more numbers", |mean: &Vec<f32>| !mean.is_empty())),
            std: section.optional("std", &all_positive),
            augment: Augment::read(section),
        };
        data.check(section);
        data
    }

    /// Whether samples are sequences of tokens.
    pub fn is_text(&self) -> bool {
        self.text.is_some() || self.synthetic_text.is_some()
    }

    fn check(&self, section: &mut Section) {
        // One that is missing or no name was reported already and reads as "".
        if !self.dataset.is_empty() && !DATASETS.contains(&self.dataset.as_str()) {
            let names = one_of(&DATASETS, Some(&self.dataset));
            section.refuse("dataset", format!("data.dataset must be {names}, found \"{}\"", self.dataset));
        }
        for key in ["mean", "std", "padding", "crop", "mirror"] {
            if self.is_text() && section.has(key) {
                section.refuse(key, format!("data.{key} is for images; \"{}\" is a text", self.dataset));
            }
        }
        let what = match self.dataset.as_str() {
            "digits" | "genesis" => "part of the program",
            "synthetic" | "synthetic-text" => "made up",
            _ => "",
        };
        if !what.is_empty() && section.has("dir") {
            let message = format!("`{}` is {what} and is read from no directory: leave it out", self.dataset);
            section.refuse("dir", format!("data.dir: {message}"));
        }
        if self.dataset == "idx" && !section.has("dir") {
            section.refuse("dataset", "data.dataset = \"idx\" needs `dir`, the directory of the IDX files");
        }
        for (key, other) in [("mean", "std"), ("std", "mean")] {
            if section.has(key) && !section.has(other) {
                section.refuse(key, format!("data.{key} needs data.{other} beside it"));
            }
        }
        if let (Some(mean), Some(std)) = (&self.mean, &self.std)
            && mean.len() != std.len()
        {
            let counts = format!("found {} and {}", mean.len(), std.len());
            section.refuse(
                "std",
                format!("data.mean and data.std must hold one number a channel, both; {counts}"),
            );
        }
    }
}
