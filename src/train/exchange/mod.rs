//! Averaging gradients over ranks: buckets and the pipeline here, the gradient formats in [`method`].
//!
//! All decisions that must be equal on every rank are sent with the scales of a bucket: whether any rank
//! wants to stop, and whether any rank's loss or gradients are no longer finite.

mod average;
mod bucket;
mod choose;
mod choose_method;
pub mod method;
mod pipeline;
mod plan;
mod rows;
mod slots;

use std::ops::Range;

use ternflock_collectives::all_reduce::{Algorithm, Coding, ring_f32};
use ternflock_collectives::topology::Topology;

pub use average::GradientSink;
pub use bucket::agreed_words;
pub use choose::Choice;
pub(super) use choose_method::with_gradients;
pub(super) use plan::{check_rank, float32_layers, low_rank_layers, state_elements};
pub use plan::{compressed, has_row_scales, has_sparse_rows};
pub use slots::Slots;

use bucket::Bucket;
use choose::{Asked, choose};
use method::{Averaging, Bytes, Method, RESIDUAL, ReductionPath, Share, State, float32::Float32};

use ternflock_base::error::Result;
use ternflock_job::{self as job, Gradients, Overlap};
use ternflock_nn::{Graph, Parameters, Shape};
use ternflock_world::World;

/// The facts that all ranks know after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Some rank wants to stop.
    pub stop: bool,
    /// The lowest rank whose loss or gradients are not finite, from the first bucket with such a rank. In
    /// that case not all gradients were averaged.
    pub non_finite: Option<usize>,
}

/// Bytes that a rank of `world` would send to average `parameters` gradients in float32.
pub fn float32_bytes(parameters: usize, rank: usize, world: usize) -> u64 {
    ring_f32::traffic(ring_f32::SEGMENT, parameters, world, rank).bytes_sent
}

/// The most rows of an embedding's table that `samples` samples of `graph` read: one per token. Unbounded if the network
/// does not read tokens.
pub fn rows_read(graph: &Graph, samples: usize) -> usize {
    match graph.input() {
        input @ Shape::Tokens { .. } => input.elements().saturating_mul(samples),
        _ => usize::MAX,
    }
}

/// Whether `overlap` means that the ranks of `topology` average gradients during the backward pass.
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
    coding: Coding,
    topology: Topology,
    /// In the order in which a backward pass finishes them, each with the layer that it begins at.
    buckets: Vec<Bucket>,
    parts: Vec<usize>,
    /// The most rows of a table that a step of all ranks reads.
    most_rows: usize,
}

impl Exchange {
    /// The exchange that `job` asks for, between the ranks of `topology`.
    ///
    /// # Errors
    /// [`Error::Usage`](ternflock_base::error::Error::Usage) when a layer to keep in float32 does not exist.
    pub fn new(
        job: &job::Exchange,
        seed: u64,
        graph: &Graph,
        parameters: &Parameters,
        topology: Topology,
    ) -> Result<Exchange> {
        Exchange::with_method(method::of(job.gradients), job, seed, graph, parameters, topology)
    }

    /// [`Exchange::new`] with a method other than `job.gradients`, which is the one that checkpoints record.
    ///
    /// # Errors
    /// The errors of [`Exchange::new`].
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
        // `auto` is not an algorithm: the default is used until `choose` picks one.
        let algorithm = Algorithm::from_name(job.algorithm.name()).unwrap_or(Averaging::DEFAULT_ALGORITHM);
        // Nothing is coded by default until `choose` finds that it pays.
        let coding = if job.coding == job::Coding::Always { Coding::Always } else { Coding::Never };
        let (overlap, gradients) = (job.overlap, job.gradients.until_chosen());
        Ok(Exchange {
            seed,
            overlap,
            gradients,
            method,
            algorithm,
            coding,
            topology,
            buckets,
            parts,
            most_rows: usize::MAX,
        })
    }

    /// From now on a step of all ranks reads at most `most` rows of an embedding's table ([`rows_read`]). This changes the
    /// formulas for bytes and times, and nothing else.
    pub fn bound_rows(&mut self, most: usize) {
        self.most_rows = most;
        self.buckets.iter_mut().for_each(|bucket| bucket.bound_rows(most));
    }

    /// Chooses, together with all ranks, the fastest way to average the gradients among those that `job` leaves open;
    /// `resumed_choice` is the earlier choice of a resumed run. None if there is nothing to choose.
    pub fn choose(
        &self,
        job: &job::Exchange,
        world: &mut World,
        resumed_choice: Option<Gradients>,
    ) -> Result<Option<Choice>> {
        // The run has decided against the compression that the job asks for, and says so again.
        let is_off = resumed_choice == Some(Gradients::Float32) && !method::of(job.gradients).is_lossless();
        if !is_off && (self.compressed_parameters() == 0 || self.method.algorithms().is_empty()) {
            return Ok(None);
        }
        let bounded = |bucket: &Bucket| bucket.shares().map(|share| share.bounded(self.most_rows)).collect();
        let buckets: Vec<Vec<Share>> = self.buckets.iter().map(bounded).collect();
        let asked =
            Asked { keeps: self.replaced_method().is_some(), ..Asked::of(job, self.gradients, self.method) };
        choose(world, &buckets, asked, resumed_choice)
    }

    /// Reduces payloads with `algorithm` from now on; the results do not change.
    pub fn set_algorithm(&mut self, algorithm: Algorithm) {
        self.algorithm = algorithm;
    }

    /// Codes these messages from now on; the results do not change.
    pub fn set_coding(&mut self, coding: Coding) {
        self.coding = coding;
    }

    /// The gradient format, set by the job or by [`Exchange::choose`].
    pub fn gradients(&self) -> Gradients {
        self.gradients
    }

    /// The method that averages the gradients.
    pub fn method(&self) -> &'static dyn Method {
        self.method
    }

    /// The method, if it is not the one that the job names ([`Exchange::with_method`]).
    pub fn replaced_method(&self) -> Option<&'static dyn Method> {
        (!self.method.same_kind(method::of(self.gradients))).then_some(self.method)
    }

    /// The name of the reduction of compressed gradients, or that of float32 if there are none.
    pub fn algorithm(&self) -> &'static str {
        let method = if self.compressed_parameters() == 0 { &Float32 } else { self.method };
        method.label(self.algorithm)
    }

    /// Whether gradients are averaged during the backward pass, if MPI allows a thread for that.
    pub fn would_overlap(&self) -> bool {
        overlaps(self.overlap, &self.topology)
    }

    /// Per bucket, in the order in which a backward pass finishes them: the layer it begins at, and the share
    /// of each of its methods, with all rows.
    pub fn shares(&self) -> Vec<(usize, Vec<Share>)> {
        let shares = self.buckets.iter().map(|bucket| bucket.shares().cloned().collect());
        self.parts.iter().copied().zip(shares).collect()
    }

    /// Number of ranks.
    pub fn ranks(&self) -> usize {
        self.topology.world()
    }

    /// Number of parameters whose gradients are compressed.
    pub fn compressed_parameters(&self) -> usize {
        let shares = self.buckets.iter().flat_map(Bucket::shares);
        shares.filter(|share| !share.method.is_lossless()).map(Share::elements).sum()
    }

    /// The state that methods keep on this rank from step to step.
    pub fn state(&self) -> impl Iterator<Item = State<'_>> {
        self.buckets.iter().flat_map(Bucket::state)
    }

    /// The values that a method keeps in `slot` for tensor `number`, if there are any.
    pub fn state_mut(&mut self, slot: &str, number: usize) -> Option<&mut [f32]> {
        self.buckets.iter_mut().find_map(|bucket| bucket.state_mut(slot, number))
    }

    /// The residuals of error feedback on this rank, each with the number of its tensor. Empty without error
    /// feedback.
    pub fn residuals(&self) -> impl Iterator<Item = (usize, &[f32])> {
        self.state().filter(|state| state.slot == RESIDUAL).map(|state| (state.tensor, state.values))
    }

    /// Bytes that `rank` sends per step, by the formulas of docs/algorithms.md.
    pub fn bytes_sent(&self, rank: usize) -> Bytes {
        let path = self.path();
        self.buckets.iter().map(|bucket| bucket.bytes_sent(&path, rank)).sum()
    }

    /// How payloads are reduced.
    fn path(&self) -> ReductionPath<'_> {
        ReductionPath { algorithm: self.algorithm, coding: self.coding, topology: &self.topology }
    }

    /// [`Exchange::bytes_sent`], as an exact number or a bound.
    pub fn formula_bytes(&self, rank: usize) -> u64 {
        self.bytes_sent(rank).bound()
    }

    /// Bytes that `rank` sends in `steps`, exactly or at most. The first steps of a run may differ from later ones.
    pub fn formula_bytes_in(&self, steps: Range<u64>, rank: usize) -> u64 {
        let path = self.path();
        self.buckets.iter().map(|bucket| bucket.bytes_sent_in(&steps, &path, rank)).sum()
    }
}
