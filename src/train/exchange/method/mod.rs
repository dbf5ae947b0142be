//! Averaging methods: what gradients travel as between the ranks, and what that costs.
//!
//! A method is a file here and an arm of [`of`]. Everything else (job files, the pipeline, checkpoints, `bench`, the cost
//! model, the scaling prediction) asks the two traits: [`Method`] for what is known from shapes alone, [`Payload`] for the
//! tensors of one bucket.
//!
//! One step of a payload, in this order:
//!
//! | call | does | waits for other ranks |
//! |---|---|---|
//! | [`Payload::prepare`] | adds what error feedback kept; writes this rank's words (scales) | |
//! | the bucket | replaces the words of all its payloads by their maximum over the ranks | yes |
//! | [`Payload::encode`] | compresses with the agreed words | |
//! | [`Payload::reduce`] | combines what all ranks have encoded | yes |
//! | [`Payload::decode`] | writes the mean gradients | |

mod averaging;
pub mod float32;
mod key;
mod share;
pub mod terngrad;
mod virtual_ranks;

pub use averaging::Averaging;
pub use key::Key;
pub use share::{Share, Tensor, elements};
pub use virtual_ranks::{Cut, VirtualRanks, cut, wire};

use std::fmt;
use std::hash::{Hash, Hasher};
use std::iter::Sum;

use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::cost::Costs;
use ternflock_collectives::topology::Topology;
use ternflock_collectives::{Result, Transport};
use ternflock_job::{self as job, Gradients};
use ternflock_report::Phases;

/// The checkpoint slot of error feedback: what compression has left of a tensor's gradients so far.
pub const RESIDUAL: &str = "residual";

/// The method of a name in job files and checkpoints.
pub fn of(gradients: Gradients) -> &'static dyn Method {
    match gradients {
        Gradients::Ternary => &terngrad::TernGrad,
        Gradients::Float32 => &float32::Float32,
    }
}

/// All methods, in the order of their names in job files.
pub fn all() -> impl Iterator<Item = &'static dyn Method> {
    Gradients::ALL.into_iter().map(of)
}

/// How payloads are reduced.
#[derive(Clone, Copy, Debug)]
pub struct ReductionPath<'a> {
    /// The all-reduce, for methods that have a [choice](Method::algorithms).
    pub algorithm: Algorithm,
    /// The ranks on their nodes.
    pub topology: &'a Topology,
}

/// What a payload is built for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The settings of the job.
    pub job: &'a job::Exchange,
    /// Elements of the bucket, those of other payloads included.
    pub bucket_elements: usize,
    /// The number of ranks.
    pub world: usize,
}

/// Bytes that a rank sends in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// Exactly so many, whatever the gradients are.
    Exact(u64),
    /// At most so many: the number depends on the gradients.
    AtMost(u64),
}

impl Bytes {
    /// The number, exact or not.
    pub fn bound(self) -> u64 {
        let (Bytes::Exact(bytes) | Bytes::AtMost(bytes)) = self;
        bytes
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(all: I) -> Bytes {
        all.fold(Bytes::Exact(0), |sum, bytes| match (sum, bytes) {
            (Bytes::Exact(sum), Bytes::Exact(bytes)) => Bytes::Exact(sum + bytes),
            (sum, bytes) => Bytes::AtMost(sum.bound() + bytes.bound()),
        })
    }
}

/// What a payload keeps from step to step for one tensor, for the checkpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct State<'a> {
    /// The slot of the checkpoint it is kept in: [`RESIDUAL`], or a name of the method's own.
    pub slot: &'static str,
    /// The number of the tensor in the network's table.
    pub tensor: usize,
    /// The dimensions of the values; in the checkpoint, the ranks are a further one in front.
    pub shape: &'a [usize],
    /// The values of this rank.
    pub values: &'a [f32],
}

/// A way to average gradients, as far as it can be known from shapes.
///
/// Costs are those of one [`Share`]: the tensors of a bucket that the method averages, given by their `shapes`.
pub trait Method: Sync {
    /// The name in job files.
    fn name(&self) -> &'static str;

    /// The name of the method with all-reduce `algorithm` in logs, reports and options such as `--ways`: a name of its own
    /// for each of [`Method::algorithms`].
    fn label(&self, algorithm: Algorithm) -> &'static str;

    /// The all-reduces that it can choose from, all with the same result; none if it has no choice.
    fn algorithms(&self) -> &'static [Algorithm] {
        &[]
    }

    /// Whether the mean is that of the gradients but for the rounding of floating-point sums.
    fn is_lossless(&self) -> bool;

    /// A payload of `tensors`, which lie in this order in the gradients of a bucket.
    fn payload(&self, tensors: Vec<Tensor>, setup: &Setup) -> Box<dyn Payload>;

    /// Numbers of 32 bits that a payload of `tensors` keeps from step to step.
    fn state_elements(&self, _tensors: &[Tensor], _setup: &Setup) -> usize {
        0
    }

    /// Words that the ranks reduce by maximum before a payload is encoded, such as scales.
    fn words(&self, _shapes: &[Vec<usize>]) -> usize {
        0
    }

    /// Seconds of a step by the cost model, the maximum of the words left out.
    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64;

    /// The phases of a step on `ranks` with a virtual clock, the maximum of the words left out.
    ///
    /// # Errors
    /// Those of the collectives on the virtual clock: none for a correct method.
    fn rehearse(&self, shapes: &[Vec<usize>], algorithm: Algorithm, ranks: &VirtualRanks) -> Result<Phases>;

    /// Bytes that `rank` sends, as a prediction: within a word per tensor of [`Payload::bytes_sent`]. The maximum of the
    /// words is left out.
    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64;

    /// Whether `mean` is right for one vector, tensor 0, whose values on rank `r` are those that `gradient(r, values)`
    /// writes: computed on this rank alone, from the definition of the method. `bench allreduce` times nothing that is
    /// not right.
    fn is_mean(
        &self,
        mean: &[f32],
        job: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool;
}

/// The tensors of a bucket that one method averages, with its buffers. Methods that allocate do so when it is made.
pub trait Payload: Send {
    /// Writes this rank's `words`, as many as [`Method::words`]; `gradients` are those of the bucket, and become what is to
    /// be sent where the method adds to them. False if one of its values is NaN or infinite.
    ///
    /// Words are compared as integers: bits of floats are ordered as the floats are unless they are negative.
    fn prepare(&mut self, key: &Key, gradients: &mut [f32], words: &mut [u32]) -> bool;

    /// Compresses `gradients` with the maximum of all ranks' `words`.
    fn encode(&mut self, key: &Key, words: &[u32], gradients: &[f32]);

    /// Combines what all ranks have encoded. `gradients` are still those that were encoded, for methods that need them
    /// between two reductions.
    ///
    /// # Errors
    /// Those of the collectives.
    fn reduce(
        &mut self,
        transport: &mut dyn Transport,
        path: &ReductionPath,
        gradients: &[f32],
    ) -> Result<()>;

    /// Replaces this rank's `gradients` by the mean over the ranks: the same bits on each.
    fn decode(&mut self, key: &Key, words: &[u32], gradients: &mut [f32]);

    /// Bytes that `rank` sends in [`Payload::reduce`].
    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes;

    /// What it keeps from step to step, as many numbers as [`Method::state_elements`] at most.
    fn state(&self) -> Vec<State<'_>> {
        Vec::new()
    }

    /// The values of one state, to be replaced when a run is resumed.
    fn state_mut(&mut self, _slot: &str, _tensor: usize) -> Option<&mut [f32]> {
        None
    }
}

/// Methods are equal if their names are.
impl PartialEq for dyn Method {
    fn eq(&self, other: &dyn Method) -> bool {
        self.name() == other.name()
    }
}

impl Eq for dyn Method {}

impl Hash for dyn Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

impl fmt::Debug for dyn Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
