//! Samples of any kind that are read by their number, and the feeds over them. A new source of data is a type that
//! implements [`Samples`].

mod ahead;
mod feed;
mod layout;
mod preparation;
mod prepared;
mod registered;
mod scale;
mod shown;
mod sources;
mod split;

use std::sync::Arc;

pub use feed::{SampleFeed, SampleSet};
pub use layout::to_input;
pub use preparation::Preparation;
pub use registered::{SampleRequest, SampleSource, register_dataset};
pub use scale::Scale;
pub use sources::{Sources, open_samples};
pub use split::{Parts, Role, roles, sizes, spare_of, split, split_ordered};

use super::Facts;
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::xxh3_64;

/// A set of samples of one shape, each with its target. Reading must be possible from several threads at a time.
pub trait Samples: Send + Sync {
    /// The shape of a sample's input.
    fn input(&self) -> Shape;

    /// What is predicted for a sample.
    fn target(&self) -> TargetKind;

    /// N, the number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the samples `numbers`, which may be in any order and may repeat: writes their inputs to `inputs`, one after
    /// another, each as its shape says (`[C, H, W]`, `[T, D]` or `[D]`), and replaces `targets`.
    ///
    /// # Errors
    /// If a sample cannot be read. The message names the file and the place in it.
    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()>;

    /// The labels of all samples, `[N]`, for a stratified split; `None` for values.
    fn labels(&self) -> Option<Vec<usize>>;

    /// The names of the classes, if they have names.
    fn class_names(&self) -> Option<&[String]> {
        None
    }

    /// The numbers by which the values of a target were divided, `[K]`; `None`: they are as in the file.
    fn target_scale(&self) -> Option<&[f32]> {
        None
    }

    /// What the user should know about these data, a sentence each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// A hash of all contents: ranks with equal hashes read the same data.
    fn hash(&self) -> u64;

    /// Facts that identify these data when a run resumes: counts, sizes and hashes, each with its name. The names `samples`,
    /// `shape` and `targets` must have the values of the default.
    fn facts(&self) -> Facts {
        vec![
            ("samples", self.len().to_string()),
            ("shape", self.input().to_string()),
            ("targets", self.target().described()),
            ("contents", format!("{:016x}", self.hash())),
        ]
    }
}

/// Some of a set's samples, in their order.
#[derive(Clone)]
pub struct Selection {
    /// The set.
    pub samples: Arc<dyn Samples>,
    /// The numbers of those samples.
    pub numbers: Vec<usize>,
}

impl Selection {
    /// All of `samples`.
    pub fn all(samples: Arc<dyn Samples>) -> Selection {
        let numbers = (0..samples.len()).collect();
        Selection { samples, numbers }
    }

    /// The facts of the complete set, the number of samples that are selected, and which these are.
    pub fn facts(&self) -> Facts {
        let mut facts = self.samples.facts();
        facts.retain(|(name, _)| *name != "samples");
        facts.insert(0, ("samples", self.numbers.len().to_string()));
        facts.push(("selection", format!("{:016x}", xxh3_64(bytemuck::cast_slice(&self.numbers)))));
        facts
    }

    /// The classes that none of these samples has, in ascending order; none for values.
    pub fn empty_classes(&self) -> Vec<usize> {
        let TargetKind::Class(classes) = self.samples.target() else { return Vec::new() };
        let mut is_empty = vec![true; classes];
        let labels = self.samples.labels().unwrap_or_default();
        self.numbers.iter().for_each(|&number| is_empty[labels[number]] = false);
        (0..classes).filter(|&class| is_empty[class]).collect()
    }

    /// The number of these samples in each class; `None` for values.
    pub fn class_counts(&self) -> Option<Vec<u64>> {
        let TargetKind::Class(classes) = self.samples.target() else { return None };
        let (labels, mut counts) = (self.samples.labels()?, vec![0; classes]);
        self.numbers.iter().for_each(|&number| counts[labels[number]] += 1);
        Some(counts)
    }
}

#[cfg(test)]
mod tests;
