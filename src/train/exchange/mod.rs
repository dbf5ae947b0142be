//! Averaging gradients over ranks: framing and pipeline here, what the gradients travel as in [`method`].
//!
//! All decisions that must be equal on every rank travel with the scales of a bucket: whether somebody wants to stop, and
//! whether somebody's loss or gradients are no longer finite.

mod average;
mod bucket;
mod choose;
pub mod method;
mod pipeline;
mod plan;
mod slots;

use ternflock_collectives::all_reduce::{Algorithm, ring_f32};
use ternflock_collectives::topology::Topology;

pub use average::GradientSink;
pub use bucket::agreed_words;
pub use choose::Choice;
pub(super) use plan::{float32_layers, state_elements};
pub use slots::Slots;

use bucket::Bucket;
use choose::choose;
use method::{Averaging, Bytes, Method, RESIDUAL, ReductionPath, Share, State, float32::Float32};

use ternflock_base::error::Result;
use ternflock_job::{self as job, Gradients, Overlap};
use ternflock_nn::{Graph, Parameters};
use ternflock_world::World;

/// What all ranks know after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Some rank wants to stop.
    pub stop: bool,
    /// The lowest rank whose loss or gradients are not finite, of the first bucket with such a rank. The gradients were then
    /// not all averaged.
    pub non_finite: Option<usize>,
}

/// Bytes that a rank of `world` would send to average `parameters` gradients in float32.
pub fn float32_bytes(parameters: usize, rank: usize, world: usize) -> u64 {
    ring_f32::traffic(ring_f32::SEGMENT, parameters, world, rank).bytes_sent
}

/// Whether `overlap` means beside the backward pass, for the ranks of `topology`.
pub fn overlaps(overlap: Overlap, topology: &Topology) -> bool {
    match overlap {
        Overlap::Auto => topology.nodes() > 1,
        Overlap::Always => topology.world() > 1,
        Overlap::Never => false,
    }
}

/// The wall between training and ranks: "average these gradients".
pub struct Exchange {
    seed: u64,
    overlap: Overlap,
    gradients: Gradients,
    method: &'static dyn Method,
    algorithm: Algorithm,
    topology: Topology,
    /// In the order a backward pass finishes them, and the layer that each begins at.
    buckets: Vec<Bucket>,
    parts: Vec<usize>,
}

impl Exchange {
    /// The exchange that `job` asks for, between the ranks of `topology`.
    ///
    /// # Errors
    /// [`Error::Usage`](ternflock_base::error::Error::Usage) when a layer to keep in float32 is not there.
    pub fn new(
        job: &job::Exchange,
        seed: u64,
        graph: &Graph,
        parameters: &Parameters,
        topology: Topology,
    ) -> Result<Exchange> {
        Exchange::with_method(method::of(job.gradients), job, seed, graph, parameters, topology)
    }

    /// [`Exchange::new`] with a method that `job.gradients`, which is what checkpoints record, need not name.
    ///
    /// # Errors
    /// Those of [`Exchange::new`].
    pub fn with_method(
        method: &'static dyn Method,
        job: &job::Exchange,
        seed: u64,
        graph: &Graph,
        parameters: &Parameters,
        topology: Topology,
    ) -> Result<Exchange> {
        let buckets = plan::buckets(method, job, graph, &parameters.table, topology.world())?;
        let (parts, buckets) = buckets.into_iter().unzip();
        // "auto" is no algorithm: the default is used until `choose` picks one.
        let algorithm = Algorithm::from_name(job.algorithm.name()).unwrap_or(Averaging::DEFAULT_ALGORITHM);
        let (overlap, gradients) = (job.overlap, job.gradients);
        Ok(Exchange { seed, overlap, gradients, method, algorithm, topology, buckets, parts })
    }

    /// What the ranks, all together, find to be the fastest way to average the gradients; `resumed_choice` is what a resumed
    /// run has decided on before. None where there is nothing to choose.
    pub fn choose(&self, world: &mut World, resumed_choice: Option<Gradients>) -> Result<Option<Choice>> {
        if self.compressed_parameters() == 0 {
            return Ok(None);
        }
        let buckets: Vec<Vec<Share>> = self.buckets.iter().map(|b| b.shares().cloned().collect()).collect();
        choose(world, &buckets, self.gradients, resumed_choice)
    }

    /// Reduces payloads by `algorithm` from now on, which changes no result.
    pub fn set_algorithm(&mut self, algorithm: Algorithm) {
        self.algorithm = algorithm;
    }

    /// What the gradients travel as, by the job or by [`Exchange::choose`].
    pub fn gradients(&self) -> Gradients {
        self.gradients
    }

    /// The method that averages the gradients.
    pub fn method(&self) -> &'static dyn Method {
        self.method
    }

    /// The method, if it is not the one that the job names ([`Exchange::with_method`]).
    pub fn replaced_method(&self) -> Option<&'static dyn Method> {
        (self.method != method::of(self.gradients)).then_some(self.method)
    }

    /// The name of the reduction of compressed gradients, or that of float32 if there are none.
    pub fn algorithm(&self) -> &'static str {
        let method = if self.compressed_parameters() == 0 { &Float32 } else { self.method };
        method.label(self.algorithm)
    }

    /// Whether gradients are averaged beside the backward pass, if MPI allows a thread for that.
    pub fn would_overlap(&self) -> bool {
        overlaps(self.overlap, &self.topology)
    }

    /// By bucket, in the order a backward pass finishes them: the layer it begins at, and what each of its methods averages.
    pub fn shares(&self) -> Vec<(usize, Vec<Share>)> {
        let shares = self.buckets.iter().map(|bucket| bucket.shares().cloned().collect());
        self.parts.iter().copied().zip(shares).collect()
    }

    /// Parameters whose gradients are compressed.
    pub fn compressed_parameters(&self) -> usize {
        let shares = self.buckets.iter().flat_map(Bucket::shares);
        shares.filter(|share| !share.method.is_lossless()).map(Share::elements).sum()
    }

    /// What methods keep on this rank from step to step.
    pub fn state(&self) -> impl Iterator<Item = State<'_>> {
        self.buckets.iter().flat_map(Bucket::state)
    }

    /// The values that a method keeps in `slot` for tensor `number`, if it does.
    pub fn state_mut(&mut self, slot: &str, number: usize) -> Option<&mut [f32]> {
        self.buckets.iter_mut().find_map(|bucket| bucket.state_mut(slot, number))
    }

    /// What error feedback keeps on this rank: numbers of tensors and their residuals. Nothing without it.
    pub fn residuals(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.state().filter(|state| state.slot == RESIDUAL).map(|state| (state.tensor, state.values))
    }

    /// Bytes that `rank` sends for one step, by the formulas of docs/algorithms.md.
    pub fn bytes_sent(&self, rank: usize) -> Bytes {
        let path = ReductionPath { algorithm: self.algorithm, topology: &self.topology };
        self.buckets.iter().map(|bucket| bucket.bytes_sent(&path, rank)).sum()
    }

    /// [`Exchange::bytes_sent`], whether exact or a bound.
    pub fn formula_bytes(&self, rank: usize) -> u64 {
        self.bytes_sent(rank).bound()
    }
}
