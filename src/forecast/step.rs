//! Assembles a step from its parts: the exchange of a bucket starts when its gradients are final and the
//! bucket before it is done.

use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_collectives::control;
use ternflock_collectives::topology::Topology;

use super::machine::{Compute, Model};
use ternflock_base::error::Result;
use ternflock_bench::scaling::WayTime;
use ternflock_report::Phases;
use ternflock_train::agreed_words;
use ternflock_train::method::{Averaging, ReductionPath, Share};

/// The time of a step and of its phases.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// The total time.
    pub seconds: f64,
    /// Its phases.
    pub phases: Phases,
}

/// A step whose `buckets` take the times that `exchange` returns, in parallel with the backward pass if it
/// `overlaps`. With an exchange per `every` steps, this is their mean: the exchange comes after a backward pass.
///
/// # Errors
/// Those of `exchange`.
pub fn step(
    buckets: &[(usize, Vec<Share>)],
    compute: &Compute,
    overlaps: bool,
    every: u64,
    mut exchange: impl FnMut(&[Share]) -> Result<Phases>,
) -> Result<Step> {
    let mut phases = Phases { compute: compute.seconds, update: compute.update, ..Phases::default() };
    let mut end = 0.0_f64;
    for (layer, shares) in buckets {
        let bucket = exchange(shares)?.divided_by(every as f64);
        let left = if overlaps && every == 1 { compute.left[*layer] } else { 0.0 };
        end = end.max(compute.seconds - left) + bucket.busy();
        phases += bucket;
    }
    let seconds = end.max(compute.seconds) + compute.update;
    phases.hidden = (phases.busy() - seconds).max(0.0);
    Ok(Step { seconds, phases })
}

/// The step in the format of measured steps.
pub fn report(
    way: Averaging,
    step: &Step,
    model: &Model,
    topology: &Topology,
    every: u64,
    global_batch: usize,
) -> WayTime {
    let buckets = model.buckets(way.method, global_batch.saturating_mul(every as usize));
    let bytes: u64 = buckets.iter().map(|(_, shares)| bytes_sent(way.algorithm, shares, topology)).sum();
    WayTime {
        way: way.name().into(),
        step_s: step.seconds,
        fastest_s: step.seconds,
        slowest_s: step.seconds,
        rate: (global_batch * model.labels) as f64 / step.seconds,
        bytes_sent: vec![bytes / every],
        phases: vec![step.phases],
    }
}

/// Bytes that rank 0 sends for a bucket, at most.
fn bytes_sent(algorithm: Algorithm, shares: &[Share], topology: &Topology) -> u64 {
    let agreed = control::max_traffic(agreed_words(shares), topology.world()).bytes_sent;
    let path = ReductionPath { algorithm, coding: Coding::Never, topology };
    let payloads = shares.iter().map(|share| share.method.predicted_bytes(&share.payload_shapes(), &path, 0));
    agreed + payloads.sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(overlaps: bool, wire: f64) -> Step {
        took_every(1, overlaps, wire)
    }

    fn took_every(every: u64, overlaps: bool, wire: f64) -> Step {
        let compute = Compute { seconds: 10.0, update: 1.0, left: vec![0.0, 2.0, 5.0], threads: 1 };
        let buckets = [2, 1, 0].map(|layer| (layer, Vec::new()));
        step(&buckets, &compute, overlaps, every, |_| Ok(Phases { exchange: wire, ..Phases::default() }))
            .unwrap()
    }

    #[test]
    fn without_overlap_all_of_it_counts() {
        let Step { seconds, phases } = took(false, 2.0);
        assert_eq!((seconds, phases.exchange, phases.hidden), (17.0, 6.0, 0.0));
    }

    /// Four steps of 11 s, and 6 s of exchange after the last of them.
    #[test]
    fn local_steps_share_an_exchange() {
        for overlaps in [false, true] {
            let Step { seconds, phases } = took_every(4, overlaps, 2.0);
            assert_eq!((seconds, phases.exchange, phases.hidden), (12.5, 1.5, 0.0));
        }
    }

    /// The buckets are ready at 5, 8 and 10 s.
    #[test]
    fn beside_the_backward_pass_what_is_left_counts() {
        assert_eq!((took(true, 2.0).seconds, took(true, 2.0).phases.hidden), (13.0, 4.0));
        assert_eq!((took(true, 4.0).seconds, took(true, 0.5).seconds), (18.0, 11.5));
        assert_eq!(took(true, 0.0).seconds, 11.0);
    }
}
