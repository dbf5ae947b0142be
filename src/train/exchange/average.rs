//! One step of the exchange: one thread computes gradients, another averages them.

use std::io;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;

use ternflock_collectives::Error as Failure;

use super::method::{Key, ReductionPath};
use super::pipeline::{self, Ready};
use super::{Agreed, Exchange};
use ternflock_base::error::{Error, Result};
use ternflock_report::Phases;
use ternflock_tensor::within;
use ternflock_world::World;

/// Receives each part of the gradients as soon as it is final, and whether the loss is finite.
pub type GradientSink<'g, 'a> = dyn FnMut(bool, &'a mut [f32]) + 'g;

/// What one rank contributes to a step in addition to its gradients.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Local {
    pub stop: bool,
    /// Its loss is NaN or infinite.
    pub non_finite: bool,
}

impl Exchange {
    /// Runs `compute`, which delivers the gradients part by part, and replaces each part by its mean over all
    /// ranks, bit-identical on every rank. If it can, it averages while `compute` is still working on later
    /// parts; the result is the same. Adds the time taken to `phases`.
    ///
    /// # Errors
    /// The error of `compute` on this rank, in which case its peers wait in vain; [`Error::Exchange`] when
    /// ranks are late or gone.
    pub fn average<'a, T: Send>(
        &'a mut self,
        world: &mut World,
        step: u64,
        stop: bool,
        phases: &mut Phases,
        compute: impl FnOnce(&[usize], &mut GradientSink<'_, 'a>) -> Result<T> + Send,
    ) -> Result<(T, Agreed)> {
        let (rank, size) = (world.rank(), world.size());
        let key = Key { seed: self.seed, step, rank, world: size };
        let overlaps = self.would_overlap() && world.allows_threads();
        let path = ReductionPath { algorithm: self.algorithm, coding: self.coding, topology: &self.topology };
        let (parts, count, mut buckets) = (&self.parts, self.buckets.len(), self.buckets.iter_mut());
        let (sender, finished) = channel();
        let (computing, mut averaging) = (AtomicBool::new(overlaps), Phases::default());
        let is_computing = &computing;
        let compute = move || {
            within(move || {
                let (start, mut preparing) = (Instant::now(), 0.0);
                let computed = compute(parts, &mut |finite, gradients| {
                    let Some(bucket) = buckets.next() else { return };
                    let start = Instant::now();
                    bucket.prepare(&key, Local { stop, non_finite: !finite }, gradients);
                    preparing += start.elapsed().as_secs_f64();
                    // There is no receiver left once the ranks have given up on the step.
                    let _ = sender.send(Ready { bucket, gradients });
                });
                let spent = start.elapsed().as_secs_f64();
                is_computing.store(false, Ordering::Relaxed);
                (computed, Phases { compute: spent - preparing, encode: preparing, ..Phases::default() })
            })
        };
        let start = Instant::now();
        let average = || {
            pipeline::average(world.transport(), &key, &path, count, is_computing, finished, &mut averaging)
        };
        let ((computed, spent), averaged) = match overlaps {
            false => (compute(), average()),
            true => thread::scope(|scope| {
                let computing = thread::Builder::new().name("backward".into()).spawn_scoped(scope, compute);
                let computing = computing.map_err(no_thread)?;
                let averaged = average();
                Ok::<_, Error>((computing.join().unwrap_or_else(|panic| resume_unwind(panic)), averaged))
            })?,
        };
        let mut all = spent + averaging;
        all.hidden = (all.busy() - start.elapsed().as_secs_f64()).max(0.0);
        *phases += all;
        let computed = computed?;
        let agreed = averaged.map_err(|failure| at_step(step, failure))?;
        let missing = || Error::Exchange(format!("step {step}: not all gradients arrived"));
        Ok((computed, agreed.ok_or_else(missing)?))
    }
}

fn no_thread(error: io::Error) -> Error {
    Error::Exchange(format!(
        "no thread could be started for the backward pass ({error}); exchange.overlap = \"never\" needs no \
         thread"
    ))
}

/// Adds the step at which the exchange failed to errors that do not name it.
fn at_step(step: u64, failure: Failure) -> Error {
    match failure {
        Failure::Late(_) => failure.into(),
        other => Error::Exchange(format!("step {step}: {other}")),
    }
}
