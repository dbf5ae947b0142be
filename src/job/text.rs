//! The keys of `[data]` that are about text.

use std::path::PathBuf;

use serde::Serialize;
use toml::Value;

use super::read::Section;
use super::synthetic_text::SYNTHETIC_TEXT;
use super::value::{FromValue, Rule, choose};

/// The datasets that are text in files; the others are images, but for the text that is made up.
const TEXTS: [&str; 4] = ["text", "ptb", "kjv", "genesis"];

/// All keys about text, those that are about its files first.
const KEYS: [&str; 10] = [
    "train",
    "valid",
    "test",
    "held_out",
    "level",
    "lowercase",
    "punctuation",
    "vocabulary",
    "sequence_length",
    "evaluation_columns",
];

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A word: what stands between white space.
    Word,
    /// A character.
    Character,
}

/// What is done with punctuation at the level of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Punctuation {
    /// It is part of the word it touches.
    Attached,
    /// Each mark is a token; apostrophes and hyphens within a word stay in it.
    Apart,
}

/// Text to train a language model on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Text {
    /// The training text of the dataset "text".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub train: Option<PathBuf>,
    /// Its validation text, evaluated on while training. There exactly where `test` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Its test text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// Of one text, this share of the lines at its end is the test text, and as many before them the validation text.
    /// None where these are texts of their own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
    /// What a token is.
    pub level: Level,
    /// Whether capitals become small letters.
    pub lowercase: bool,
    /// What becomes of punctuation.
    pub punctuation: Punctuation,
    /// The most words the vocabulary may have, `<unk>` and `<eos>` among them.
    pub vocabulary: usize,
    /// T: tokens a sequence, and so the steps that gradients are propagated back through.
    pub sequence_length: usize,
    /// Columns that a text to evaluate on is cut into.
    pub evaluation_columns: usize,
}

impl FromValue for Level {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &[("word", Level::Word), ("character", Level::Character)])
    }
}

impl FromValue for Punctuation {
    fn from_value(value: &Value) -> Result<Self, String> {
        choose(value, &[("attached", Punctuation::Attached), ("apart", Punctuation::Apart)])
    }
}

/// Whether `dataset` is text.
pub(super) fn is_text(dataset: &str) -> bool {
    TEXTS.contains(&dataset)
}

/// What the section says of text; nothing for images, which have no such keys.
pub(super) fn read(section: &mut Section, dataset: &str) -> Option<Text> {
    KEYS.iter().for_each(|key| section.know(key));
    if !is_text(dataset) {
        // Of a dataset that is none, no key can be said to be wrong.
        if dataset == SYNTHETIC_TEXT {
            refuse(section, &KEYS[..7], &format!("is about the text of a file; \"{dataset}\" is made up"));
        } else if super::DATASETS.contains(&dataset) {
            refuse(section, &KEYS, &format!("is about text; \"{dataset}\" is a dataset of images"));
        }
        return None;
    }
    let share = Rule::new("above 0 and below 0.5", |share: &f64| *share > 0.0 && *share < 0.5);
    let two = Rule::new("at least 2", |size: &usize| *size >= 2);
    let has_own = dataset == "ptb" || section.has("valid");
    let held_out = section.optional("held_out", &share);
    if has_own && held_out.is_some() {
        refuse(
            section,
            &["held_out"],
            "is for one text; this dataset has validation and test texts of its own",
        );
    }
    let text = Text {
        train: section.optional("train", &Rule::ANY),
        valid: section.optional("valid", &Rule::ANY),
        test: section.optional("test", &Rule::ANY),
        held_out: (!has_own).then(|| held_out.unwrap_or(0.05)),
        level: section.or("level", Level::Word, &Rule::ANY),
        lowercase: section.or("lowercase", false, &Rule::ANY),
        punctuation: section.or("punctuation", Punctuation::Attached, &Rule::ANY),
        vocabulary: section.or("vocabulary", 10_000, &two),
        sequence_length: sequence_length(section),
        evaluation_columns: evaluation_columns(section),
    };
    check(section, dataset);
    Some(text)
}

pub(super) fn sequence_length(section: &mut Section) -> usize {
    section.or("sequence_length", 35, &Rule::<usize>::SOME)
}

pub(super) fn evaluation_columns(section: &mut Section) -> usize {
    section.or("evaluation_columns", 16, &Rule::<usize>::SOME)
}

fn check(section: &mut Section, dataset: &str) {
    if dataset != "text" {
        refuse(
            section,
            &KEYS[..3],
            &format!("belongs to dataset = \"text\"; \"{dataset}\" has its own files"),
        );
    } else if !section.has("train") {
        section.refuse("dataset", "data.dataset = \"text\" needs `train`, the file of the training text");
    }
    for (key, other) in [("valid", "test"), ("test", "valid")] {
        if section.has(key) && !section.has(other) {
            section.refuse(key, format!("data.{key} needs data.{other} beside it"));
        }
    }
}

fn refuse(section: &mut Section, keys: &[&'static str], why: &str) {
    for key in keys {
        if section.has(key) {
            section.refuse(key, format!("data.{key} {why}"));
        }
    }
}
