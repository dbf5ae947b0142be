//! The collective operations of a [`World`]: gather, average, broadcast, agree.

use ternflock_collectives::all_reduce::ring_f32;
use ternflock_collectives::transport::packed;
use ternflock_collectives::{Transport, control};

use super::World;
use super::words::{to_record, to_text, to_words};
use ternflock_base::error::{Error, Kind, Result};

impl World {
    /// The records of all ranks, in rank order.
    pub fn gather<const N: usize>(&mut self, record: [u64; N]) -> Result<Vec<[u64; N]>> {
        let words = control::all_gather(&mut self.transport, &record)?;
        Ok(words.as_chunks().0.to_vec())
    }

    /// The values of all ranks on rank 0, in rank order, and an empty vector on the others. All ranks must
    /// pass the same number of values.
    pub fn gather_to_root(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        let words = values.len().div_ceil(2);
        // A rank sends when rank 0 requests it, so that rank 0 holds one message at a time.
        if self.rank() > 0 {
            self.transport.recv(0, 0)?;
            let message = packed(&mut self.transport, values);
            self.transport.send(0, message).and_then(|()| self.transport.flush())?;
            return Ok(Vec::new());
        }
        let mut all = Vec::with_capacity(self.size() * values.len());
        all.extend_from_slice(values);
        for rank in 1..self.size() {
            let ask = self.transport.buffer(0);
            self.transport.send(rank, ask)?;
            let message = self.transport.recv(rank, words)?;
            all.extend_from_slice(&bytemuck::cast_slice(&message)[..values.len()]);
            self.transport.recycle(message);
        }
        Ok(all)
    }

    /// Replaces `values` with their mean over the ranks, with the same bits on each rank. All ranks must pass
    /// the same number of values.
    pub fn mean(&mut self, values: &mut [f32]) -> Result<()> {
        if self.size() > 1 && !values.is_empty() {
            ring_f32::sum(&mut self.transport, ring_f32::SEGMENT, values)?;
            let share = 1.0 / self.size() as f32;
            values.iter_mut().for_each(|value| *value *= share);
        }
        Ok(())
    }

    /// [`World::mean`] with one `MPI_Allreduce`, as a baseline for benchmarks. It has no deadline and sums in
    /// another order.
    ///
    /// # Errors
    /// [`Error::Usage`] for several ranks without MPI; [`Error::Exchange`] when the library fails.
    pub fn mpi_mean(&mut self, values: &mut [f32]) -> Result<()> {
        match &self.mpi {
            Some(mpi) => mpi.allreduce_f32(values)?,
            None if self.size() > 1 => {
                return Err(Error::Usage("these ranks do not use MPI, so there is no MPI_Allreduce".into()));
            }
            None => {}
        }
        let share = 1.0 / self.size() as f32;
        values.iter_mut().for_each(|value| *value *= share);
        Ok(())
    }

    /// Returns the value of `result` if all ranks were successful. If several ranks failed, the error of the lowest one
    /// counts, and all other ranks return [`Error::Elsewhere`]. A failure is thus reported once, and no rank waits for one
    /// that has given up.
    pub fn all_or_none<T>(&mut self, result: Result<T>) -> Result<T> {
        let mine = result.as_ref().err().map_or(0, |error| u64::from(error.kind() as u8));
        let all = self.gather([mine])?;
        let Some(rank) = all.iter().position(|[number]| *number != 0) else { return result };
        match result {
            Err(error) if rank == self.rank() => Err(Error::OnAllRanks(Box::new(error))),
            _ => {
                let kind = Kind::from_number(all[rank][0] as u8).unwrap_or(Kind::Exchange);
                Err(Error::Elsewhere { rank, kind })
            }
        }
    }

    /// Returns an error unless `value` is the same on all ranks. `what` names it in the message.
    pub fn agree(&mut self, what: &str, value: u64) -> Result<()> {
        Ok(control::agree(&mut self.transport, what, value)?)
    }

    /// Rank 0's `text`, on every rank.
    pub fn broadcast(&mut self, text: &str) -> Result<String> {
        let mut words = to_words(text.as_bytes());
        control::broadcast(&mut self.transport, &mut words)?;
        to_text(&words)
    }

    /// Replaces `values` with those of rank 0. All ranks must pass the same number of values.
    pub fn broadcast_values(&mut self, values: &mut [f32]) -> Result<()> {
        let mut words = vec![0; values.len().div_ceil(2)];
        bytemuck::cast_slice_mut(&mut words)[..values.len()].copy_from_slice(values);
        control::broadcast(&mut self.transport, &mut words)?;
        values.copy_from_slice(&bytemuck::cast_slice(&words)[..values.len()]);
        Ok(())
    }

    /// Gathers the texts of all ranks on every rank, at most 248 bytes of each.
    pub fn texts(&mut self, text: &str) -> Result<Vec<String>> {
        self.gather(to_record(text))?.iter().map(|record| to_text(record)).collect()
    }

    /// The `text` of rank `rank` on every rank, at most 248 bytes of it.
    pub fn broadcast_from(&mut self, rank: usize, text: &str) -> Result<String> {
        Ok(self.texts(text)?.swap_remove(rank))
    }
}
