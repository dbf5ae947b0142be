//! Whether a network computes what another one does: a shrunk network what it was cut out of.
//!
//! The two add up the same numbers, but for zeros, in another order. By Higham and Mary ("A new approach to probabilistic
//! rounding error analysis", SIAM J. Sci. Comput. 41, 2019) a sum of n products in which each rounding errs by at most u at random
//! is off by no more than lambda sqrt(n) u of the sum of the products' sizes, with a probability that goes to 1 as exp(-lambda^2 / 2).
//! Here n is the longest sum of each layer, all layers (and steps of recurrent ones) together, u = 2^-24, lambda =
//! `LAMBDA`, and what stands for the sizes is the largest logit.

use serde::Serialize;

use super::Contestant;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Graph, Shape};

/// Roundings are not wholly independent, and layers may make them larger: so much room is left.
const LAMBDA: f64 = 16.0;

/// How far a network is from the first.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The largest difference of two logits.
    pub largest_difference: f64,
    /// What rounding can explain.
    pub tolerance: f64,
    /// The largest logit of the first network.
    pub largest_logit: f64,
}

/// Runs both networks from the beginning on the same inputs, and compares all logits.
///
/// # Errors
/// [`Error::Usage`] when their outputs have different shapes; [`Error::Checkpoint`] of `other`, when it differs from `first` by
/// more than rounding explains, or a logit is not finite.
pub fn compare(first: &mut Contestant, other: &mut Contestant) -> Result<Verdict> {
    let (input, output) =
        (|c: &Contestant| c.network.graph().input(), |c: &Contestant| c.network.graph().output());
    if (input(first), output(first), first.batch) != (input(other), output(other), other.batch) {
        let says = |c: &Contestant| format!("makes {} of {}", output(c).described(), input(c).described());
        let (one, two) = (says(first), says(other));
        return Err(Error::Usage(format!(
            "--verify: `{}` {one}, but `{}` {two}: they cannot compute the same",
            first.name, other.name
        )));
    }
    let tolerance = tolerance(first.network.graph())?.max(tolerance(other.network.graph())?);
    let expected = first.first_pass().to_vec();
    let found = other.first_pass();
    let largest_logit = expected.iter().fold(0.0f64, |largest, &logit| largest.max(f64::from(logit).abs()));
    let difference = |(expected, found): (&f32, &f32)| (f64::from(*expected) - f64::from(*found)).abs();
    let differences = expected.iter().zip(found).map(difference).enumerate();
    // By total order, in which a NaN is the largest.
    let (place, largest_difference) = differences.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let verdict = Verdict { largest_difference, tolerance: tolerance * largest_logit, largest_logit };
    let explained = largest_difference <= verdict.tolerance;
    if !explained {
        let message = format!(
            "does not compute what `{}` does: of {} logits number {place} is {}, not {}; rounding explains {:.1e}, not {:.1e}",
            first.name,
            expected.len(),
            found[place],
            expected[place],
            verdict.tolerance,
            largest_difference
        );
        return Err(Error::checkpoint(&other.name, message));
    }
    Ok(verdict)
}

/// What rounding can change of a logit, as a share of the largest.
fn tolerance(graph: &Graph) -> Result<f64> {
    let mut sums = 0.0;
    for index in 0..graph.layers().len() {
        // A layer's work is a sum for each number of its output; a few operations more for one that has none.
        let (work, outputs) = (graph.multiply_adds(index)? as f64, graph.shape(index + 1).elements() as f64);
        let longest = work / outputs + 8.0;
        // What a recurrent layer has made of a step it reads at the next.
        let steps = match graph.shape(index + 1) {
            Shape::Sequence { steps, .. } if graph.layers()[index].layer.is_recurrent() => steps as f64,
            _ => 1.0,
        };
        sums += steps * longest;
    }
    Ok(LAMBDA * sums.sqrt() * 2f64.powi(-24))
}
