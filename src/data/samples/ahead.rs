//! Reads the next batch in another thread while the network computes with the present one.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use super::Samples;
use ternflock_base::error::{Error, Result};
use ternflock_nn::Targets;

/// The time after which a batch that has not been read is an error.
const PATIENCE: Duration = Duration::from_secs(600);

/// The samples of a batch. The buffers are used again for the next one.
#[derive(Default)]
pub(super) struct Batch {
    /// Their numbers.
    pub numbers: Vec<usize>,
    /// Their inputs, one after another.
    pub inputs: Vec<f32>,
    /// Their targets.
    pub targets: Targets,
}

impl Batch {
    /// Reads the samples `numbers`.
    pub fn read(&mut self, samples: &dyn Samples) -> Result<()> {
        self.inputs.resize(self.numbers.len() * samples.input().elements(), 0.0);
        samples.read(&self.numbers, &mut self.inputs, &mut self.targets)
    }
}

/// The place of a batch: a step, and the positions in its global batch.
pub(super) type Place = (u64, Range<usize>);

/// A batch that the thread has returned.
pub(super) struct Taken {
    pub batch: Batch,
    /// Whether it could be read; `None` if it is not the one that was wanted.
    pub read: Option<Result<()>>,
}

/// A thread that reads one batch at a time.
pub(super) struct ReadAhead {
    /// `None` once this is dropped.
    requests: Option<SyncSender<Batch>>,
    batches: Receiver<(Batch, Result<()>)>,
    thread: Option<JoinHandle<()>>,
    /// The batch that is being read.
    pending: Option<Place>,
}

impl ReadAhead {
    /// Starts the thread, which reads from `samples`.
    ///
    /// # Errors
    /// If the system has no thread.
    pub fn new(samples: Arc<dyn Samples>) -> Result<ReadAhead> {
        let (requests, wanted) = sync_channel::<Batch>(1);
        let (done, batches) = sync_channel(1);
        let read = move || {
            for mut batch in wanted {
                let result = batch.read(&*samples);
                if done.send((batch, result)).is_err() {
                    return;
                }
            }
        };
        let thread = Builder::new().name("read ahead".into()).spawn(read);
        let thread = thread.map_err(|error| Error::Usage(format!("no thread to read data with: {error}")))?;
        Ok(ReadAhead { requests: Some(requests), batches, thread: Some(thread), pending: None })
    }

    /// Begins to read `batch`, which is the one at `place`. The batch before has been taken.
    pub fn begin(&mut self, place: Place, batch: Batch) {
        // If the thread has ended, `take` reports it.
        if let Some(requests) = &self.requests {
            drop(requests.send(batch));
        }
        self.pending = Some(place);
    }

    /// The batch that was begun, which may be the one at `place`; `None` if none was begun.
    ///
    /// # Errors
    /// If the thread has ended or does not answer.
    pub fn take(&mut self, place: &Place) -> Result<Option<Taken>> {
        let Some(pending) = self.pending.take() else { return Ok(None) };
        match self.batches.recv_timeout(PATIENCE) {
            Ok((batch, result)) => Ok(Some(Taken { batch, read: (pending == *place).then_some(result) })),
            Err(RecvTimeoutError::Timeout) => {
                Err(Error::data("data", format!("a batch was not read within {} s", PATIENCE.as_secs())))
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(Error::data("data", "the thread that reads has ended"))
            }
        }
    }
}

impl Drop for ReadAhead {
    /// Waits for the thread: a library that it reads with must not be closed under it.
    fn drop(&mut self) {
        self.requests = None;
        self.thread.take().map(JoinHandle::join);
    }
}
