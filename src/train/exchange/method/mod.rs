//! Averaging methods: the format in which ranks exchange gradients, and its cost.
//!
//! Each method is one file here and one arm of [`of`]. Everything else (job files, the pipeline, checkpoints,
//! `bench`, the cost model, the scaling forecast) uses two traits: [`Method`] for everything that follows
//! from shapes alone, and [`Payload`] for the tensors of one bucket.
//!
//! One step of a payload, in this order:
//!
//! | call | does | waits for other ranks |
//! |---|---|---|
//! | [`Payload::prepare`] | adds the residuals of error feedback; writes this rank's words (scales) | |
//! | the bucket | replaces the words and [row scales](Payload::row_scales) of all its payloads by their maximum over the ranks, and finds the rows in which any rank has a gradient | yes |
//! | [`Payload::set_rows`] | takes these rows, if the method [sends fewer](Method::takes_rows) | |
//! | [`Payload::encode`] | compresses with the agreed words | |
//! | [`Payload::reduce`] | reduces the encoded gradients of all ranks | yes |
//! | [`Payload::decode`] | writes the mean gradients | |

mod averaging;
mod bytes;
pub mod float32;
mod key;
mod payload;
pub mod powersgd;
mod share;
pub mod terngrad;
mod travelling;
mod virtual_ranks;

pub use averaging::Averaging;
pub use bytes::Bytes;
pub use key::Key;
pub use payload::{Payload, RESIDUAL, ReductionPath, Setup, State};
pub use share::{Share, Tensor, elements, squarest};
pub use travelling::Travelling;
pub use virtual_ranks::{Cut, VirtualRanks, cut, wire};

use std::fmt;
use std::hash::{Hash, Hasher};

use ternflock_collectives::Result;
use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::cost::Costs;
use ternflock_job::{self as job, Gradients};
use ternflock_report::Phases;

/// The method with this name in job files and checkpoints; for a choice that is still to be made, the exact one.
/// [`with_settings`] gives it the settings of a job.
pub fn of(gradients: Gradients) -> &'static dyn Method {
    match gradients {
        Gradients::Ternary => &terngrad::TernGrad,
        Gradients::Float32 | Gradients::Auto => &float32::Float32,
        Gradients::PowerSgd => &powersgd::PowerSgd::USUAL,
    }
}

/// `method` with those settings of `job` that its costs depend on.
pub fn with_settings(method: &'static dyn Method, job: &job::Exchange) -> &'static dyn Method {
    let is_powersgd = method.same_kind(of(Gradients::PowerSgd));
    if is_powersgd { powersgd::PowerSgd::of_rank(job.powersgd_rank) } else { method }
}

/// All methods, in the order in which job files list their names.
pub fn all() -> impl Iterator<Item = &'static dyn Method> {
    Gradients::all().map(of)
}

/// An averaging method, as far as it can be described from shapes alone.
///
/// Costs refer to one [`Share`]: the tensors of a bucket that the method averages, given by their `shapes`.
pub trait Method: Sync {
    /// The name in job files.
    fn name(&self) -> &'static str;

    /// The settings that its costs depend on, as one number: methods with the same name and settings are equal.
    fn settings(&self) -> u64 {
        0
    }

    /// The name of the method with all-reduce `algorithm` in logs, reports and options such as `--ways`: a name of its own
    /// for each of [`Method::algorithms`].
    fn label(&self, algorithm: Algorithm) -> &'static str;

    /// The all-reduces that it offers, all with the same result; empty if there is no choice.
    fn algorithms(&self) -> &'static [Algorithm] {
        &[]
    }

    /// Whether the mean is exact up to the rounding of floating-point sums.
    fn is_lossless(&self) -> bool;

    /// What its result gives up compared with the mean, as `exchange.gradients = "auto"` reports it: "exactness: ...". Empty for
    /// lossless methods.
    fn gives_up(&self) -> &'static str {
        if self.is_lossless() { "" } else { "exactness" }
    }

    /// Whether a payload sends only the rows that [`Payload::set_rows`] names of a tensor with
    /// [`Tensor::sparse_rows`]. If not, such a tensor is treated as any other.
    fn takes_rows(&self) -> bool {
        false
    }

    /// Numbers that travel per element of a row with a scale of its own, for tensors with [`Tensor::row_scales`]. 0: payloads
    /// keep no such scales, and these tensors are treated as any other.
    fn row_digits(&self) -> usize {
        0
    }

    /// Whether it compresses a tensor of this shape. Others travel as float32.
    fn compresses(&self, _shape: &[usize]) -> bool {
        !self.is_lossless()
    }

    /// Makes a payload of `tensors`, which lie in this order in the gradients of a bucket.
    fn payload(&self, tensors: Vec<Tensor>, setup: &Setup) -> Box<dyn Payload>;

    /// Number of 32-bit values that a payload of `tensors` keeps from step to step.
    fn state_elements(&self, _tensors: &[Tensor], _setup: &Setup) -> usize {
        0
    }

    /// Number of words, such as scales, that the ranks reduce by maximum before a payload is encoded.
    fn words(&self, _shapes: &[Vec<usize>]) -> usize {
        0
    }

    /// Seconds per step according to the cost model, without the maximum of the words.
    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64;

    /// The phases of a step on `ranks` with a virtual clock, without the maximum of the words.
    ///
    /// # Errors
    /// The errors of the collectives on the virtual clock: none for a correct method.
    fn rehearse(&self, shapes: &[Vec<usize>], algorithm: Algorithm, ranks: &VirtualRanks) -> Result<Phases>;

    /// Prediction of the bytes that `rank` sends, without the maximum of the words: within one word per
    /// tensor of [`Payload::bytes_sent`].
    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64;

    /// Whether `mean` is correct for the first step of one tensor, tensor 0, whose values on rank `r` are written by
    /// `gradient(r, values)`. Its shape is the [`squarest`] one. The check runs on this rank alone, from the definition
    /// of the method. `bench allreduce` does not time a method that fails it.
    fn is_mean(
        &self,
        mean: &[f32],
        job: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool;
}

impl dyn Method {
    /// Whether both have the same name, whatever their settings are.
    pub fn same_kind(&self, other: &dyn Method) -> bool {
        self.name() == other.name()
    }
}

/// Methods are equal if their names and settings are.
impl PartialEq for dyn Method {
    fn eq(&self, other: &dyn Method) -> bool {
        self.same_kind(other) && self.settings() == other.settings()
    }
}

impl Eq for dyn Method {}

impl Hash for dyn Method {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
        self.settings().hash(state);
    }
}

impl fmt::Debug for dyn Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_equal_if_their_settings_are() {
        let of_rank = |rank: usize| -> &'static dyn Method { powersgd::PowerSgd::of_rank(rank) };
        assert!(of_rank(4) == of(Gradients::PowerSgd) && of_rank(4) != of_rank(2));
        assert!(of_rank(4).same_kind(of_rank(2)) && !of_rank(4).same_kind(of(Gradients::Ternary)));
        let share = |rank| Share::complete(of_rank(rank), vec![vec![40, 30]]);
        let known = std::collections::HashSet::from([share(2)]);
        assert!(known.contains(&share(2)) && !known.contains(&share(4)));
        let job = job::Exchange { powersgd_rank: 2, ..job::Exchange::default() };
        assert!(with_settings(of_rank(7), &job) == of_rank(2));
        assert!(with_settings(&float32::Float32, &job) == of(Gradients::Float32));
    }
}
