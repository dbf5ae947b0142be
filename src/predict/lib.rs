//! The use of trained networks: their outputs for new samples, and texts that language models continue.
//!
//! - [`Trained`]: a checkpoint with its job and its vocabulary, checked
//! - [`inputs`]: samples without targets, in files of several formats
//! - [`Preparation`]: from the numbers in a file to the input of a network, as in training
//! - [`Predictor`]: what a network computes, one row per item: [`SamplePredictor`] for samples, [`LinePredictor`] for the
//!   lines of texts
//! - [`formats`]: the file formats of predictions
//! - [`language`]: a language model that reads and chooses one token at a time

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

pub mod formats;
pub mod inputs;
pub mod language;
mod lines;
mod predictor;
mod preparation;
mod samples;
mod trained;

pub use lines::LinePredictor;
pub use predictor::{Field, Give, Item, Items, Kind, Predictor, Problem, Rows};
pub use preparation::Preparation;
pub use samples::{Outputs, SamplePredictor};
pub use trained::Trained;
