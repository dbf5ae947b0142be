//! The tensors of one bucket that one method averages.

use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::{Result, Transport};
use ternflock_job as job;

use super::{Bytes, Key};

/// The checkpoint slot of error feedback: the residual that compression has left of each tensor's gradients.
pub const RESIDUAL: &str = "residual";

/// How payloads are reduced.
#[derive(Clone, Copy, Debug)]
pub struct ReductionPath<'a> {
    /// The all-reduce, for methods that have a [choice](super::Method::algorithms).
    pub algorithm: Algorithm,
    /// The messages that are coded, for methods that send planes.
    pub coding: Coding,
    /// The ranks on their nodes.
    pub topology: &'a Topology,
}

/// The settings that a payload is built for.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// The settings of the job.
    pub job: &'a job::Exchange,
    /// Elements of the bucket, including those of other payloads.
    pub bucket_elements: usize,
    /// The number of ranks.
    pub world: usize,
}

/// The state that a payload keeps from step to step for one tensor, as stored in checkpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct State<'a> {
    /// The slot of the checkpoint: [`RESIDUAL`], or a name of the method's own that no optimizer state has.
    pub slot: &'static str,
    /// The number of the tensor in the network's table.
    pub tensor: usize,
    /// The dimensions of the values; a checkpoint adds the ranks as the first one. Surgery carries the values over if this
    /// is the shape of the tensor; otherwise they start anew.
    pub shape: &'a [usize],
    /// The values of this rank.
    pub values: &'a [f32],
}

/// The tensors of a bucket that one method averages, with its buffers. Methods that allocate do so when it is made.
pub trait Payload: Send {
    /// Writes this rank's `words`, whose number is [`Method::words`](super::Method::words). `gradients` are
    /// those of the bucket; a method with error feedback adds its residuals to them. Returns false if a value
    /// is NaN or infinite.
    ///
    /// Words are compared as integers: the bits of non-negative floats have the same order as the floats.
    fn prepare(&mut self, key: &Key, gradients: &mut [f32], words: &mut [u32]) -> bool;

    /// Names the `rows` of the tensor at `place` of the payload in which some rank's gradient of this step is not zero,
    /// ascending: the same on every rank. Called before [`Payload::encode`] for each tensor with
    /// [`Tensor::sparse_rows`](super::Tensor::sparse_rows) if the method [takes rows](super::Method::takes_rows). All
    /// other rows are zero on every rank, before the step and after it.
    fn set_rows(&mut self, _place: usize, _rows: &[u32]) {}

    /// The scales of rows, for [tensors that have them](super::Tensor::row_scales), as the bits of non-negative floats of which
    /// most are 0. [`Payload::prepare`] has written those of this rank, and before [`Payload::encode`] they are replaced by the
    /// maximum over the ranks. Their number is that of [`Tensor::scaled_rows`](super::Tensor::scaled_rows) if the method
    /// [keeps them](super::Method::row_digits), otherwise 0.
    fn row_scales(&mut self) -> &mut [u32] {
        &mut []
    }

    /// From now on a step of all ranks reads at most `most` rows of a table: a bound for [`Payload::bytes_sent`].
    fn bound_rows(&mut self, _most: usize) {}

    /// Compresses `gradients` with the maximum of all ranks' `words`.
    fn encode(&mut self, key: &Key, words: &[u32], gradients: &[f32]);

    /// Reduces the encoded gradients of all ranks. `gradients` still holds the values that were encoded, for
    /// methods that need them between two reductions.
    ///
    /// # Errors
    /// Those of the collectives.
    fn reduce(
        &mut self,
        transport: &mut dyn Transport,
        path: &ReductionPath,
        gradients: &[f32],
    ) -> Result<()>;

    /// Replaces this rank's `gradients` by the mean over the ranks, bit-identical on every rank.
    fn decode(&mut self, key: &Key, words: &[u32], gradients: &mut [f32]);

    /// Bytes that `rank` sends in [`Payload::reduce`].
    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes;

    /// The step from which on [`Payload::bytes_sent`] holds, and the bytes that `rank` sends in each step before it.
    fn first_steps(&self, _path: &ReductionPath, _rank: usize) -> (u64, Bytes) {
        (0, Bytes::Exact(0))
    }

    /// Seconds that the last [`Payload::reduce`] has spent on encoding, between two reductions.
    fn computing(&self) -> f64 {
        0.0
    }

    /// The state it keeps from step to step: at most
    /// [`Method::state_elements`](super::Method::state_elements) values.
    fn state(&self) -> Vec<State<'_>> {
        Vec::new()
    }

    /// The values of one state, to be replaced when a run is resumed.
    fn state_mut(&mut self, _slot: &str, _tensor: usize) -> Option<&mut [f32]> {
        None
    }
}
