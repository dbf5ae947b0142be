//! The log of a run: events, on every rank to its caller and on rank 0 to the run directory too.

use std::path::PathBuf;

use crate::run::log_interval::LogInterval;
use crate::step::trainer::{Step, Trainer};
use ternflock_base::error::Result;
use ternflock_report::{Event, Metrics};
use ternflock_world::World;

/// The sinks of the events of a run, and the steps since the last training line.
pub(crate) struct RunLog<'a> {
    sink: &'a mut dyn FnMut(&Event),
    /// On rank 0, once it is known at which step the run begins.
    metrics: Option<Metrics>,
    interval: LogInterval,
}

impl<'a> RunLog<'a> {
    /// A log that writes to `sink` only.
    pub fn new(sink: &'a mut dyn FnMut(&Event)) -> RunLog<'a> {
        RunLog { sink, metrics: None, interval: LogInterval::default() }
    }

    /// Makes rank 0 write events to `path` as well. Events in this file about steps after `step` are dropped, because the run
    /// does these steps again.
    ///
    /// # Errors
    /// If rank 0 cannot open the file, on all ranks.
    pub fn open(&mut self, path: PathBuf, step: u64, world: &mut World) -> Result<()> {
        let metrics = (world.rank() == 0).then(|| Metrics::open(path, step)).transpose();
        self.metrics = world.all_or_none(metrics)?;
        Ok(())
    }

    /// Logs `event`.
    pub fn write(&mut self, event: Event) -> Result<()> {
        (self.sink)(&event);
        self.metrics.as_mut().map_or(Ok(()), |metrics| metrics.write(&event))
    }

    /// Logs a note at `step`.
    pub fn note(&mut self, step: u64, text: String) -> Result<()> {
        self.write(Event::Note { step, text })
    }

    /// Adds a step to the next training line.
    pub fn add(&mut self, step: &Step) {
        self.interval.add(step);
    }

    /// Logs the training line about the steps of all ranks since the last line, if there were any.
    pub fn write_interval(&mut self, world: &mut World, trainer: &Trainer) -> Result<()> {
        match self.interval.finish(world, trainer)? {
            Some(event) => self.write(event),
            None => Ok(()),
        }
    }

    /// Waits until all events written so far are on the disk.
    pub fn sync(&self) -> Result<()> {
        self.metrics.as_ref().map_or(Ok(()), Metrics::sync)
    }
}
