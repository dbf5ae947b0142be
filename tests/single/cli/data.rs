//! `ternflock data`, and training on files that are missing, damaged or correct: exit code 3 unless they are
//! correct.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use support::program::Place;

use crate::PROGRAM;

mod by_name;
mod fit;
mod folder;
mod image_files;
mod synthetic;
mod text;

/// The names of the files of an IDX data set.
pub const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The job `tiny.toml` on the files in `pictures/`.
const TRAIN: &str =
    "train tiny.toml --set data.dataset=idx --set data.dir=pictures --set train.steps=5 --run-dir run";

/// An IDX file: bytes with the given dimensions.
pub fn idx(dimensions: &[u32], data: &[u8]) -> Vec<u8> {
    let magic = 0x0800 + dimensions.len() as u32;
    let header = std::iter::once(&magic).chain(dimensions).flat_map(|word| word.to_be_bytes());
    header.chain(data.iter().copied()).collect()
}

/// `count` pictures of 8x8 and their labels: class k is a bright column k, or row k - 8.
fn pictures(count: u32) -> [Vec<u8>; 2] {
    let labels: Vec<u8> = (0..count).map(|i| (i % 10) as u8).collect();
    let bright = |label: u8, at: u8| if label < 8 { at % 8 == label } else { at / 8 == label - 8 };
    let pixels =
        labels.iter().flat_map(|&label| (0..64).map(move |at| if bright(label, at) { 255 } else { 0 }));
    [idx(&[count, 8, 8], &pixels.collect::<Vec<u8>>()), idx(&[count], &labels)]
}

/// Forty pictures to train on, twenty to test.
fn sound() -> [Vec<u8>; 4] {
    let [[images, labels], [test_images, test_labels]] = [pictures(40), pictures(20)];
    [images, labels, test_images, test_labels]
}

/// `bytes`, compressed.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A directory with `files` in `pictures/`, their names followed by `ending`.
fn place(files: &[Vec<u8>; 4], ending: &str) -> Place {
    let place = Place::new(PROGRAM);
    FILES.iter().zip(files).for_each(|(name, bytes)| place.write(&format!("pictures/{name}{ending}"), bytes));
    place
}

/// A small language model on `a.txt`, most of which is unknown to a vocabulary of 3 words.
const LANGUAGE: &str = "[data]\ndataset = \"text\"\ntrain = \"a.txt\"\nsequence_length = 5\nvocabulary = 3\n\
    [train]\nsteps = 2\nglobal_batch = 4\n[optimizer]\nlearning_rate = 0.1\n\
    [[model.layers]]\nname = \"embedding\"\ntype = \"embedding\"\nfeatures = 4\n\
    [[model.layers]]\nname = \"lstm\"\ntype = \"lstm\"\nhidden = 4\n\
    [[model.layers]]\nname = \"logits\"\ntype = \"linear\"\nunits = 3\n";
