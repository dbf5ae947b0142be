//! From final gradients to their means, bucket by bucket, on the thread that owns the transport.
//!
//! No part of a bucket can be encoded before its scales are agreed on, which takes log2(P) messages one after
//! another, rounded up. To keep the wire busy, scales are sent in a lane of their own while the payload of
//! the previous bucket is still being reduced: every wait for a payload also advances scales.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::{Duration, Instant};

use ternflock_collectives::Result;
use ternflock_collectives::control::Reduction;
use ternflock_collectives::transport::{Lane, Transport, Wait};

use super::Agreed;
use super::bucket::Bucket;
use super::method::{Key, ReductionPath};
use ternflock_report::Phases;

/// A bucket whose gradients are final on this rank, with those gradients.
pub struct Ready<'a> {
    /// The bucket, prepared.
    pub bucket: &'a mut Bucket,
    /// Its gradients.
    pub gradients: &'a mut [f32],
}

/// How long this thread sleeps between two checks for the next bucket while nothing is being sent. Each check
/// interrupts the backward pass, which may run on the same core.
const IDLE: Duration = Duration::from_millis(2);

/// Averages `count` buckets in the order of their arrival, while another thread is `computing` them or after
/// all have been computed. None if fewer arrive because computing them failed.
pub fn average<'a>(
    transport: &mut dyn Transport,
    key: &Key,
    path: &ReductionPath,
    count: usize,
    computing: &'a AtomicBool,
    finished: Receiver<Ready<'a>>,
    phases: &mut Phases,
) -> Result<Option<Agreed>> {
    let mut scales =
        ScalePipeline { finished, travelling: None, agreed: VecDeque::with_capacity(count), computing };
    let mut all = Agreed::default();
    for _ in 0..count {
        let Some((Ready { bucket, gradients }, agreed)) = scales.next(transport, key, phases)? else {
            return Ok(None);
        };
        all.stop |= agreed.stop;
        if agreed.non_finite.is_some() {
            return Ok(Some(Agreed { non_finite: agreed.non_finite, ..all }));
        }
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();
        bucket.encode(key, gradients);
        phases.encode += lap();
        transport.set_context(format_args!("step {}, gradients of {}", key.step, bucket.name()));
        let mut overlapped = OverlappedTransport { transport: &mut *transport, scales: &mut scales, key };
        bucket.reduce(&mut overlapped, path, gradients)?;
        let computing = bucket.computing();
        phases.encode += computing;
        phases.exchange += lap() - computing;
        bucket.decode(key, gradients);
        phases.decode += lap();
    }
    Ok(Some(all))
}

/// Buckets between the backward pass and their reduction.
struct ScalePipeline<'a> {
    finished: Receiver<Ready<'a>>,
    /// The bucket whose scales are being reduced; one at a time, so that all ranks send them in the same
    /// order.
    travelling: Option<(Ready<'a>, Reduction)>,
    /// The buckets whose scales have arrived.
    agreed: VecDeque<(Ready<'a>, Agreed)>,
    /// Whether another thread is still computing.
    computing: &'a AtomicBool,
}

impl<'a> ScalePipeline<'a> {
    /// Advances scales as far as possible without waiting. False once no more buckets will arrive.
    fn progress(&mut self, transport: &mut dyn Transport, key: &Key) -> Result<bool> {
        loop {
            if let Some((ready, reduction)) = &mut self.travelling {
                if !reduction.progress(transport, ready.bucket.words())? {
                    return Ok(true);
                }
                if let Some((ready, _)) = self.travelling.take() {
                    let agreed = ready.bucket.agreed(key)?;
                    self.agreed.push_back((ready, agreed));
                }
            }
            // After a value that is not finite no rank continues, and none may send messages that others will
            // not receive.
            if self.agreed.back().is_some_and(|(_, agreed)| agreed.non_finite.is_some()) {
                return Ok(true);
            }
            match self.finished.try_recv() {
                Ok(ready) => self.send_off(ready),
                Err(TryRecvError::Empty) => return Ok(true),
                Err(TryRecvError::Disconnected) => return Ok(false),
            }
        }
    }

    /// Starts sending the scales of `ready`.
    fn send_off(&mut self, ready: Ready<'a>) {
        let reduction = ready.bucket.reduction(Lane::Ahead);
        self.travelling = Some((ready, reduction));
    }

    /// `wait`, sleeping in between as long as the backward pass needs the core.
    fn considerate(&self, wait: &Wait) -> Wait {
        Wait { naps: self.computing.load(Ordering::Relaxed), ..*wait }
    }

    /// Waits for the next bucket to encode and reduce.
    fn next(
        &mut self,
        transport: &mut dyn Transport,
        key: &Key,
        phases: &mut Phases,
    ) -> Result<Option<(Ready<'a>, Agreed)>> {
        let mut since = Instant::now();
        loop {
            let open = self.progress(transport, key)?;
            if let Some(next) = self.agreed.pop_front() {
                phases.wait += since.elapsed().as_secs_f64();
                return Ok(Some(next));
            }
            match &mut self.travelling {
                Some((ready, reduction)) => {
                    transport.set_context(format_args!(
                        "step {}, scales of {}",
                        key.step,
                        ready.bucket.name()
                    ));
                    let wait = reduction.wait(transport, ready.bucket.words().len());
                    transport.pause(&self.considerate(&wait))?;
                }
                None if !open => return Ok(None),
                // There is nothing to send before the backward pass has finished the next bucket.
                None => {
                    transport.pending()?;
                    if let Ok(ready) = self.finished.recv_timeout(IDLE) {
                        self.send_off(ready);
                    }
                    since = Instant::now();
                }
            }
        }
    }
}

/// A transport that advances scales while it waits.
struct OverlappedTransport<'t, 'a> {
    transport: &'t mut dyn Transport,
    scales: &'t mut ScalePipeline<'a>,
    key: &'t Key,
}

impl Transport for OverlappedTransport<'_, '_> {
    ternflock_collectives::forward_transport!(
        transport: rank world nodes deadline set_context context buffer recycle send_on poll pending
    );

    fn pause(&mut self, wait: &Wait) -> Result<()> {
        self.scales.progress(self.transport, self.key)?;
        self.transport.pause(&self.scales.considerate(wait))
    }
}
