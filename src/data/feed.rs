//! The interface between data and training: a feed fills a network's input and provides the targets. Training
//! and evaluation know nothing else about the source of samples. A new kind of data is a new feed.

use std::ops::Range;

use super::{Preparation, Vocabulary};
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind, Targets};

/// The training samples of a network: a pure function of the step and of the position in the global batch. So
/// ranks may share a batch in any way, and a resumed run has nothing to restore.
pub trait TrainingFeed: Send {
    /// The shape of a sample.
    fn input(&self) -> Shape;

    /// What the network learns to predict for a sample; at each step of a text.
    fn target(&self) -> TargetKind;

    /// The numbers by which the values of a target were divided, `[K]`: its standard deviations, if the job
    /// normalises targets. A difference times its number is in the target's own unit.
    fn target_scale(&self) -> Option<&[f32]> {
        None
    }

    /// The samples of an epoch: step s begins s * global_batch / samples epochs after the start.
    fn samples(&self) -> usize;

    /// Whether the state that recurrent layers carry from batch to batch is reset to zero before `step`. If
    /// not, sample i continues where sample i of the step before ended.
    fn restarts(&self, _step: u64) -> bool {
        true
    }

    /// Writes the samples at positions `part` of the global batch of `step` to `input`, in the layout of a
    /// network's input for a batch of `part.len()` samples, and replaces `targets` with their targets.
    /// Consecutive steps allocate nothing once the buffers have grown.
    fn fill(&mut self, step: u64, part: Range<usize>, input: &mut [f32], targets: &mut Targets)
    -> Result<()>;

    /// The share of a text's tokens that stand for words outside the vocabulary; `None` if there are no words.
    fn unknown_share(&self) -> Option<f64> {
        None
    }

    /// The classes without a sample, in ascending order. Empty for a text, because its vocabulary is built
    /// from it.
    fn empty_classes(&self) -> Vec<usize> {
        Vec::new()
    }

    /// What the user should know about these data, a sentence each.
    fn remarks(&self) -> Vec<String> {
        Vec::new()
    }

    /// A hash of all contents: ranks with equal hashes read the same data.
    fn hash(&self) -> u64;

    /// Facts that identify these data when a run resumes: counts, sizes and hashes, each with its name.
    fn facts(&self) -> Facts;
}

/// Facts that identify data: numbers and hashes as text, by name.
pub type Facts = Vec<(&'static str, String)>;

/// The evaluation samples of a network. Ranks share the items; each rank evaluates its own items in chunks.
pub trait EvaluationFeed: Send {
    /// The shape of a sample.
    fn input(&self) -> Shape;

    /// What the network learns to predict for a sample; at each step of a text.
    fn target(&self) -> TargetKind;

    /// Like [`TrainingFeed::target_scale`].
    fn target_scale(&self) -> Option<&[f32]> {
        None
    }

    /// The names of the classes, if they have names.
    fn class_names(&self) -> Option<&[String]> {
        None
    }

    /// The number of items that ranks can share: samples, or the columns of a text.
    fn items(&self) -> usize;

    /// Divides the items `part` into chunks for a network with batches of `capacity`, in the order in which
    /// they must be evaluated.
    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk>;

    /// Writes `chunk` to `input`, in the layout of a network's input for a batch of `chunk.items.len()`
    /// samples, and replaces `targets` with its targets; [`NO_LABEL`](ternflock_nn::NO_LABEL) stands for no
    /// label.
    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()>;

    /// The share of a text's tokens that stand for words outside the vocabulary; `None` if there are no words.
    fn unknown_share(&self) -> Option<f64> {
        None
    }

    /// A hash of all contents: ranks with equal hashes read the same data.
    fn hash(&self) -> u64;

    /// Like [`TrainingFeed::facts`].
    fn facts(&self) -> Facts;
}

/// One batch of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its items.
    pub items: Range<usize>,
    /// The piece of these items, from 0. Pieces of the same items follow each other. The state of recurrent
    /// layers is reset to zero before the first.
    pub window: usize,
}

/// The chunks of samples `part` that do not depend on each other, for a network with batches of `capacity`.
pub(super) fn chunks(part: Range<usize>, capacity: usize) -> Vec<Chunk> {
    let firsts = part.clone().step_by(capacity);
    firsts.map(|first| Chunk { items: first..part.end.min(first + capacity), window: 0 }).collect()
}

/// The feeds of a job.
pub struct Feeds {
    /// The training samples.
    pub train: Box<dyn TrainingFeed>,
    /// The set that is evaluated during training, which chooses the network.
    pub evaluation: Box<dyn EvaluationFeed>,
    /// The name of that set: "validation", or "test" if the job chooses on the test set.
    pub set: &'static str,
    /// The test set, on which the chosen network is evaluated once, at the end; `None` if it is `evaluation`.
    pub test: Option<Box<dyn EvaluationFeed>>,
    /// The words of a language model.
    pub vocabulary: Option<Vocabulary>,
    /// How samples in the user's own files are prepared.
    pub preparation: Option<Preparation>,
}
