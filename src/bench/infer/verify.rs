//! Whether a network computes the same as another one, for example a shrunk network and its original.
//!
//! The two networks add the same numbers, except zeros, in another order. According to Higham and Mary ("A
//! new approach to probabilistic rounding error analysis", SIAM J. Sci. Comput. 41, 2019) a sum of n products
//! with random rounding errors of at most u is off by at most lambda sqrt(n) u times the sum of the products'
//! magnitudes. This holds with a probability of 1 minus a term that falls as exp(-lambda^2 / 2). Here n is
//! the length of the longest sum of each layer, added over all layers (and steps of recurrent ones), u =
//! 2^-24, lambda = `LAMBDA`, and the largest logit stands for the sum of magnitudes. With bf16 operands, a
//! difference in the last bits of a layer can change how the next layer rounds its operands: u = 2^-8.

use serde::Serialize;

use super::Contestant;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Network, Shape};
use ternflock_tensor::Precision;

/// Rounding errors are not entirely independent, and layers may amplify them. This factor leaves room for
/// that.
const LAMBDA: f64 = 16.0;

/// The difference between a network and the first one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The largest difference between two logits.
    pub largest_difference: f64,
    /// The largest difference that rounding can explain.
    pub tolerance: f64,
    /// The largest logit of the first network.
    pub largest_logit: f64,
}

/// Runs both networks from a zero state on the same inputs and compares all logits.
///
/// # Errors
/// [`Error::Usage`] if their outputs have different shapes; [`Error::Checkpoint`] for `other` if it differs
/// from `first` by more than rounding explains, or if a logit is not finite.
pub fn compare(first: &mut Contestant, other: &mut Contestant) -> Result<Verdict> {
    let (input, output) =
        (|c: &Contestant| c.network.graph().input(), |c: &Contestant| c.network.graph().output());
    if (input(first), output(first), first.batch) != (input(other), output(other), other.batch) {
        let says =
            |c: &Contestant| format!("computes {} from {}", output(c).described(), input(c).described());
        let (one, two) = (says(first), says(other));
        return Err(Error::Usage(format!(
            "--verify: `{}` {one}, but `{}` {two}: they cannot compute the same",
            first.name, other.name
        )));
    }
    let tolerance = tolerance(&first.network)?.max(tolerance(&other.network)?);
    let expected = first.first_pass().to_vec();
    let found = other.first_pass();
    let largest_logit = expected.iter().fold(0.0f64, |largest, &logit| largest.max(f64::from(logit).abs()));
    let difference = |(expected, found): (&f32, &f32)| (f64::from(*expected) - f64::from(*found)).abs();
    let differences = expected.iter().zip(found).map(difference).enumerate();
    // In the total order of floats, NaN is the largest.
    let (place, largest_difference) = differences.max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
    let verdict = Verdict { largest_difference, tolerance: tolerance * largest_logit, largest_logit };
    let explained = largest_difference <= verdict.tolerance;
    if !explained {
        let message = format!(
            "does not compute the same as `{}`: of {} logits, number {place} is {}, not {}; rounding \
             explains {:.1e}, not {:.1e}",
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

/// The change of a logit that rounding can explain, relative to the largest logit.
fn tolerance(network: &Network) -> Result<f64> {
    let (graph, mut sums) = (network.graph(), 0.0);
    for index in 0..graph.layers().len() {
        // The work of a layer is one sum per output element, or a few operations for a layer without sums.
        let (work, outputs) = (graph.multiply_adds(index)? as f64, graph.shape(index + 1).elements() as f64);
        let longest = work / outputs + 8.0;
        // A recurrent layer reads the result of a step at the next step.
        let steps = match graph.shape(index + 1) {
            Shape::Sequence { steps, .. } if graph.layers()[index].layer.is_recurrent() => steps as f64,
            _ => 1.0,
        };
        sums += steps * longest;
    }
    let bits = match network.precision() {
        Precision::Float32 => 24,
        Precision::Bf16 => 8,
    };
    Ok(LAMBDA * sums.sqrt() * 2f64.powi(-bits))
}
