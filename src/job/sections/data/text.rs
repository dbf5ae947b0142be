//! The keys of `[data]` for text that is stored in files.

use std::path::PathBuf;

use serde::Serialize;

use super::datasets::{self, SAMPLES, SYNTHETIC_TEXT, TEXT, TEXT_FILES, is_text};
use super::sequences::{EVALUATION_COLUMNS, SEQUENCE_LENGTH};
use crate::syntax::{Absent, Definition, Given, Key, Of, Reported, SectionReader, above, at_least, choices};

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A word: a run of characters between white space.
    Word,
    /// A character.
    Character,
}

/// How punctuation is handled at the level of words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Punctuation {
    /// A mark is part of the word it touches.
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
    /// Its validation text, for evaluations during training. Set if and only if `test` is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid: Option<PathBuf>,
    /// Its test text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test: Option<PathBuf>,
    /// If there is only one text: this share of its lines, at its end, is the test text, and as many lines
    /// before those are the validation text. `None` if these are separate texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_out: Option<f64>,
    /// What a token is.
    pub level: Level,
    /// Whether capital letters are converted to lower case.
    pub lowercase: bool,
    /// How punctuation is handled.
    pub punctuation: Punctuation,
    /// The largest size of the vocabulary, including `<unk>` and `<eos>`.
    pub vocabulary: usize,
    /// T: tokens per sequence, which is also the number of steps that gradients are propagated back through.
    pub sequence_length: usize,
    /// The number of columns that a text is cut into for evaluation.
    pub evaluation_columns: usize,
}

const OWN_FILES: Of = Of::kinds(&[TEXT]);

const TRAIN: Key<PathBuf, Reported> = Key::new(
    "train",
    Reported,
    "the training text, UTF-8, raw or `.gz`. The vocabulary is built from it. `/dev/stdin` reads a pipe \
     once, even if the validation and test texts come from it too. mpirun connects the pipe to rank 0 only, \
     so this works for runs on one rank. Other named pipes and devices are refused.",
)
.of(OWN_FILES);

const VALID: Key<PathBuf, Absent> =
    Key::new("valid", Absent("the end of `train`"), "the validation text. Needs `test`.").of(OWN_FILES);

const TEST: Key<PathBuf, Absent> =
    Key::new("test", Absent("the end of `train`"), "the test text. Needs `valid`.").of(OWN_FILES);

const HELD_OUT: Key<f64> = Key::new(
    "held_out",
    Given(|| 0.05),
    "if there is only one text (not `\"text\"` with `valid`): this share of its lines, at its end, is the \
     test text, and as many lines before those are the validation text.",
)
.of(Of::kinds(&["genesis", "kjv", TEXT]))
.within(above(0.0).and_below(0.5));

const LEVEL: Key<Level> = Key::new(
    "level",
    Given(|| Level::Word),
    "what a token is: `\"word\"`, a run of characters between white space, or `\"character\"`, a code point. At both \
     levels a line ends with the token `<eos>`.",
)
.of(TEXT_FILES);

const LOWERCASE: Key<bool> = Key::new(
    "lowercase",
    Given(|| false),
    "converts capital letters to lower case by Unicode's language-independent rules. The dotted capital I \
     (U+0130) becomes `i`.",
)
.of(TEXT_FILES);

const PUNCTUATION: Key<Punctuation> = Key::new(
    "punctuation",
    Given(|| Punctuation::Attached),
    "for words, `\"attached\"` leaves punctuation marks attached to the word they touch; `\"apart\"` makes \
     each mark a token, except apostrophes and hyphens inside a word. Combining marks and joiners (U+200C, \
     U+200D) belong to the character before them.",
)
.of(TEXT_FILES);

const VOCABULARY: Key<usize> = Key::new(
    "vocabulary",
    Given(|| 10_000),
    "the largest size of the vocabulary, including `<eos>` and `<unk>`. It holds the most frequent tokens of \
     the training text; all others become `<unk>`.",
)
.of(TEXT_FILES)
.within(at_least(2.0))
.origin("Penn Treebank");

/// These keys, those for the files first.
pub(super) const KEYS: &[&dyn Definition] = &[
    &TRAIN,
    &VALID,
    &TEST,
    &HELD_OUT,
    &LEVEL,
    &LOWERCASE,
    &PUNCTUATION,
    &VOCABULARY,
    &SEQUENCE_LENGTH,
    &EVALUATION_COLUMNS,
];

choices! { Level: Word = "word", Character = "character" }

choices! { Punctuation: Attached = "attached", Apart = "apart" }

/// Reads these keys of `section`; `None` for a dataset that is not text in files.
pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Text> {
    if !is_text(dataset) {
        // If the dataset is unknown, it is not known which keys are wrong.
        if datasets::names().contains(&dataset) {
            let why = match dataset {
                SYNTHETIC_TEXT => format!("is for text in files; \"{dataset}\" is generated"),
                _ if SAMPLES.includes(dataset) => format!("is for text; \"{dataset}\" is not one"),
                _ => format!("is for text; \"{dataset}\" is a dataset of images"),
            };
            section.refuse_foreign(KEYS, dataset, |path, _| format!("{path} {why}"));
        }
        return None;
    }
    let has_own = !HELD_OUT.of.includes(dataset) || section.has(VALID.name);
    let held_out = section.find(&HELD_OUT);
    if has_own && held_out.is_some() {
        let why = "splits a single text; this dataset has its own validation and test texts";
        section.refuse(HELD_OUT.name, format!("data.held_out {why}"));
    }
    let text = Text {
        train: section.read(&TRAIN),
        valid: section.read(&VALID),
        test: section.read(&TEST),
        held_out: (!has_own).then(|| held_out.unwrap_or_else(HELD_OUT.default.0)),
        level: section.read(&LEVEL),
        lowercase: section.read(&LOWERCASE),
        punctuation: section.read(&PUNCTUATION),
        vocabulary: section.read(&VOCABULARY),
        sequence_length: section.read(&SEQUENCE_LENGTH),
        evaluation_columns: section.read(&EVALUATION_COLUMNS),
    };
    check(section, dataset);
    Some(text)
}

fn check(section: &mut SectionReader, dataset: &str) {
    section.refuse_foreign(&[&TRAIN, &VALID, &TEST], dataset, |path, _| {
        format!("{path} belongs to dataset = \"{TEXT}\"; \"{dataset}\" has its own files")
    });
    if dataset == TEXT && !section.has(TRAIN.name) {
        section.refuse("dataset", "data.dataset = \"text\" needs `train`, the file of the training text");
    }
    for (key, other) in [("valid", "test"), ("test", "valid")] {
        if section.has(key) && !section.has(other) {
            section.refuse(key, format!("data.{key} also needs data.{other}"));
        }
    }
}
