//! The use of trained networks: their outputs for new samples, and texts that language models continue.
//!
//! - [`Trained`]: a checkpoint with its job and its vocabulary, checked.
//! - [`language`]: a language model that reads and chooses one token at a time.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

pub mod language;
mod trained;

pub use trained::Trained;
