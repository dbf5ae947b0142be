//! PowerSGD (Vogels, Karimireddy and Jaggi, "PowerSGD: Practical Low-Rank Gradient Compression for Distributed
//! Optimization", NeurIPS 2019): the gradient of each matrix travels as two factors of low rank.
//!
//! A tensor is a matrix of its first dimension times all others. Per matrix, with r columns in P and Q:
//!
//! 1. `prepare`: M = gradient + residual
//! 2. `encode`: Q becomes orthonormal, P = M Q
//! 3. `reduce`: P becomes its mean over the ranks, then orthonormal; Q = M' P becomes its mean
//! 4. `decode`: the mean gradient is P Q', the residual M - P Q'
//!
//! Q is kept for the next step. All P of a bucket are summed together, and so are all Q.

mod matrices;
mod orthonormal;
mod products;
mod reference;

use ternflock_collectives::Result;
use ternflock_collectives::all_reduce::{Algorithm, ring_f32};
use ternflock_collectives::cost::Costs;
use ternflock_job as job;
use ternflock_report::Phases;

use super::float32::Float32;
use super::{Key, Method, Payload, ReductionPath, Setup, Tensor, VirtualRanks, elements, squarest};
use matrices::Matrices;

/// The largest rank of factors, their number of columns.
pub const MOST_RANK: usize = 64;

/// The rank that stands for all until a job sets it, and that of benchmarks without a job.
const USUAL_RANK: usize = 4;

/// PowerSGD with factors of a given rank.
#[derive(Clone, Copy, Debug)]
pub struct PowerSgd {
    rank: usize,
}

/// One per rank of factors, because methods are static.
static OF_RANK: [PowerSgd; MOST_RANK] = {
    let mut all = [PowerSgd { rank: 1 }; MOST_RANK];
    let mut index = 0;
    while index < MOST_RANK {
        all[index].rank = index + 1;
        index += 1;
    }
    all
};

impl PowerSgd {
    /// The method before [`with_settings`](super::with_settings) gives it the rank of a job.
    pub const USUAL: PowerSgd = PowerSgd { rank: USUAL_RANK };

    /// The method with factors of rank `rank`: at least 1, and at most [`MOST_RANK`].
    pub fn of_rank(rank: usize) -> &'static PowerSgd {
        &OF_RANK[rank.clamp(1, MOST_RANK) - 1]
    }

    /// The numbers of elements of all P and of all Q for tensors of `shapes`.
    fn factors(&self, shapes: &[Vec<usize>]) -> [usize; 2] {
        let sizes = shapes.iter().map(|shape| sides(shape));
        let [rows, columns] = sizes.fold([0, 0], |[m, n], [rows, columns]| [m + rows, n + columns]);
        [self.rank * rows, self.rank * columns]
    }

    /// Seconds of computing on each MPI rank: that of [`Costs::copy`] per pass over the elements.
    fn computing(&self, shapes: &[Vec<usize>], costs: &Costs) -> f64 {
        elements(shapes) as f64 * costs.copy * (PASSES + self.rank as f64 * PASSES_PER_RANK)
    }
}

/// The time of a step's passes over the elements, relative to that of copying them to a payload and back: a constant part,
/// and one per column of the factors. Fitted to measurements (docs/algorithms.md).
const PASSES: f64 = 3.5;
const PASSES_PER_RANK: f64 = 0.6;

/// The matrix that a tensor of `shape` is: its first dimension times the others.
pub fn sides(shape: &[usize]) -> [usize; 2] {
    let (rows, columns) = shape.split_first().unwrap_or((&1, &[]));
    [*rows, columns.iter().product()]
}

/// The largest rank r for which the factors of a tensor of `shape` are smaller than the tensor: r (m + n) < m n for a matrix
/// of m x n. 0 for a vector.
pub fn largest_rank(shape: &[usize]) -> usize {
    let [rows, columns] = sides(shape);
    (rows * columns).saturating_sub(1) / (rows + columns).max(1)
}

impl Method for PowerSgd {
    fn name(&self) -> &'static str {
        "powersgd"
    }

    fn settings(&self) -> u64 {
        self.rank as u64
    }

    fn label(&self, _: Algorithm) -> &'static str {
        "powersgd"
    }

    fn is_lossless(&self) -> bool {
        false
    }

    fn gives_up(&self) -> &'static str {
        "exactness: mean gradients are projected onto factors of low rank, and the rest is added to later steps"
    }

    fn compresses(&self, shape: &[usize]) -> bool {
        self.rank <= largest_rank(shape)
    }

    fn payload(&self, tensors: Vec<Tensor>, setup: &Setup) -> Box<dyn Payload> {
        Box::new(Matrices::new(tensors, self.rank, setup.job.powersgd_start))
    }

    fn state_elements(&self, tensors: &[Tensor], _: &Setup) -> usize {
        let factor = |tensor: &Tensor| self.rank * sides(&tensor.shape)[1];
        tensors.iter().map(|tensor| tensor.range.len() + factor(tensor)).sum()
    }

    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64 {
        let reduced = self.factors(shapes).map(|elements| costs.float32(path.topology, elements));
        self.computing(shapes, costs) + reduced.iter().sum::<f64>()
    }

    fn rehearse(&self, shapes: &[Vec<usize>], algorithm: Algorithm, ranks: &VirtualRanks) -> Result<Phases> {
        let mut phases = Phases { encode: self.computing(shapes, ranks.costs()), ..Phases::default() };
        for elements in self.factors(shapes) {
            phases += Float32.rehearse(&[vec![elements]], algorithm, ranks)?;
        }
        Ok(phases)
    }

    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64 {
        let world = path.topology.world();
        let sent = |elements| ring_f32::traffic(ring_f32::SEGMENT, elements, world, rank).bytes_sent;
        self.factors(shapes).map(sent).iter().sum()
    }

    fn is_mean(
        &self,
        mean: &[f32],
        _: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool {
        reference::is_mean(mean, squarest(mean.len()), self.rank, key, gradient)
    }
}
