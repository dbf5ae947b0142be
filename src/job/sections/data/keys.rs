//! The keys of `[data]` that every dataset has, and the definition of the section.

use std::path::PathBuf;

use serde_json::json;

use super::datasets::{CSV, FOLDER, HDF5, IDX, IMAGES, NPY, NPZ, TEXT, is_registered, names};
use super::{
    arrays, augment, csv, folder, idx, options, samples, split, synthetic, synthetic_text, text, windows,
};
use crate::syntax::{Absent, Definition, Key, Of, Reported, Required, Rule, Section, Selector};

pub(super) const DATASET: Key<String, Required> = Key::new(
    "dataset",
    Required,
    "`\"mnist\"`, `\"fashion-mnist\"`, `\"cifar-10\"`, `\"digits\"` (8x8, in the repository), `\"synthetic\"` \
     (random images for benchmarks; no files) or `\"idx\"` (any images and labels in IDX files; needs `dir`; see \
     [below](#idx-files)). Texts: `\"kjv\"` (the King James Bible), `\"ptb\"` (Penn Treebank), `\"genesis\"` (in the \
     repository), `\"text\"` (your own files; needs `train`) or `\"synthetic-text\"` (random text for benchmarks; no \
     files). Your own samples of any kind: `\"hdf5\"`, `\"npy\"` and `\"npz\"` (arrays in HDF5 or NumPy files; see \
     [below](#arrays)) or `\"folder\"` (PNG and JPEG images with a sub-folder per class; needs `dir`; see \
     [below](#folders-of-images)). Tables: `\"csv\"` (columns of CSV files; needs `file`; see [below](#tables)), \
     `\"diabetes\"` (442 patients with 10 measurements each) or `\"sunspots\"` (the yearly number of sunspots).",
)
.such(Rule::Such {
    must_be: "the name of a dataset",
    holds: |name| !name.is_empty(),
    schema: || json!({ "enum": names() }),
});

pub(super) const DIR: Key<PathBuf, Absent> =
    Key::new("dir", Absent("the usual directory of the dataset"), "the directory of its files.").of(Of {
        kinds: &["mnist", "fashion-mnist", "cifar-10", "kjv", "ptb", TEXT, "diabetes", "sunspots"],
        called: IN_A_DIRECTORY,
        ..Of::EVERY
    });

pub(super) const IDX_DIR: Key<PathBuf, Reported> = Key::new(DIR.name, Reported, DIR.meaning).of(Of {
    kinds: &[IDX, FOLDER],
    called: IN_A_DIRECTORY,
    ..Of::EVERY
});

pub(super) const BASE_DIR: Key<PathBuf, Absent> = Key::new(
    DIR.name,
    Absent("the current directory"),
    "the directory that the relative paths of this section start from.",
)
.of(Of { kinds: &[HDF5, NPY, NPZ, CSV], called: "arrays and tables in your own files", also: is_registered });

const IN_A_DIRECTORY: &str = "datasets in a directory";

pub(super) const MEAN: Key<Vec<f32>, Absent> = Key::new(
    "mean",
    Absent("nothing is subtracted"),
    "one number per channel, subtracted from the pixels, which are in 0..1. Needs `std`.",
)
.of(IMAGES)
.such(Rule::Such {
    must_be: "one or more numbers",
    holds: |mean| !mean.is_empty(),
    schema: || json!({ "minItems": 1 }),
});

pub(super) const STD: Key<Vec<f32>, Absent> = Key::new(
    "std",
    Absent("nothing is divided"),
    "one number per channel; the pixels are divided by it after `mean` is subtracted. Needs `mean`.",
)
.of(IMAGES)
.such(Rule::Such {
    must_be: "one or more numbers above 0",
    holds: |std| !std.is_empty() && std.iter().all(|&deviation| deviation > 0.0),
    schema: || json!({ "minItems": 1, "items": { "exclusiveMinimum": 0 } }),
});

/// The keys for images of any dataset, except those for augmentation.
pub(super) const NORMALISATION: &[&dyn Definition] = &[&MEAN, &STD];

/// The section `[data]`.
pub(crate) const SECTION: Section = Section {
    selector: Some(Selector { key: &DATASET, kinds: names, resets: false }),
    ..Section::new(
        "data",
        "What the job trains and evaluates on.",
        &[
            &[&DATASET],
            synthetic_text::KEYS,
            arrays::KEYS,
            csv::KEYS,
            windows::KEYS,
            split::KEYS,
            samples::KEYS,
            folder::KEYS,
            text::KEYS,
            synthetic_text::SHARED_KEYS,
            idx::KEYS,
            synthetic::KEYS,
            idx::SHARED_KEYS,
            arrays::SHARED_KEYS,
            &[&DIR, &IDX_DIR, &BASE_DIR],
            NORMALISATION,
            augment::KEYS,
            options::KEYS,
        ],
    )
};
