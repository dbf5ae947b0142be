//! The ranks as the trainer sees them: a few agreements, over any transport.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use ternflock_collectives::all_reduce::ring_f32;
use ternflock_collectives::cost::{Costs, measure};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::mpi::{self, MpiTransport, ThreadLevel};
pub use ternflock_collectives::transport::mpi::{Call, OnCall};
use ternflock_collectives::transport::packed;
use ternflock_collectives::transport::threads;
pub use ternflock_collectives::transport::watch::Late;
use ternflock_collectives::transport::watch::Watched;
use ternflock_collectives::{Transport, control};

use ternflock_base::error::{Error, Kind, Result};
use ternflock_base::io::read_system;
use ternflock_job::Exchange;

/// This rank among all ranks.
pub struct World {
    transport: Metered<Watched<Box<dyn Transport>, Report>>,
    allows_threads: bool,
    /// The MPI library's own collectives. Lives as long as the transport, which is never given away.
    mpi: Option<mpi::Baseline>,
}

/// What is told of a rank that is late, on each rank that waits for it.
pub type Report = Box<dyn FnMut(&Late)>;

/// How long ranks wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until the late rank is named, in a warning.
    pub warn_after: Duration,
    /// Until the wait ends in an error.
    pub deadline: Duration,
}

impl Patience {
    /// What `job` asks for.
    pub fn of(job: &Exchange) -> Patience {
        let [warn_after, deadline] = [job.warn_after, job.timeout].map(Duration::from_secs_f64);
        Patience { warn_after, deadline }
    }
}

impl World {
    /// The ranks that `transport` reaches, all of them on the machine called `host`. Waits that last `warn_after` go to
    /// `report`.
    pub fn new(transport: Box<dyn Transport>, host: &str, warn_after: Duration, report: Report) -> World {
        let hosts = vec![host.to_owned(); transport.world()];
        World {
            transport: Metered::new(Watched::new(transport, hosts, warn_after, report)),
            allows_threads: true,
            mpi: None,
        }
    }

    /// A world of this process alone, without MPI: it waits for nobody.
    pub fn alone() -> World {
        let host = read_system(Path::new("/proc/sys/kernel/hostname")).unwrap_or_default();
        World::new(Box::new(threads::solo(Duration::MAX)), host.trim(), Duration::MAX, Box::new(|_| {}))
    }

    /// Starts MPI and joins the ranks of this job; from now on a panic ends all of them. `report` is told about late ranks,
    /// and `on_call` about MPI calls in progress.
    ///
    /// # Errors
    /// [`Error::Exchange`] if MPI cannot be started, or a rank does not come.
    pub fn join(patience: Patience, report: Report, on_call: OnCall) -> Result<World> {
        let mut transport = MpiTransport::init(patience.deadline, Some(on_call))?;
        mpi::abort_on_panic();
        // SAFETY: the world keeps both, and drops them together.
        let mpi = Some(unsafe { transport.baseline() });
        let allows_threads = transport.thread_level() >= ThreadLevel::Funneled;
        let host = to_record(&transport.processor_name());
        let hosts = control::all_gather(&mut transport, &host)?;
        let hosts = hosts.chunks(host.len()).map(to_text).collect::<Result<_>>()?;
        let watched =
            Watched::new(Box::new(transport) as Box<dyn Transport>, hosts, patience.warn_after, report);
        Ok(World { transport: Metered::new(watched), allows_threads, mpi })
    }

    /// The MPI library that [`World::join`] uses.
    pub fn mpi_library() -> String {
        mpi::library_version()
    }

    /// Ends every process of this job, now, with exit code `code`.
    pub fn abort(code: i32) -> ! {
        mpi::abort(code)
    }

    /// This rank, from 0.
    pub fn rank(&self) -> usize {
        self.transport.rank()
    }

    /// The number of ranks.
    pub fn size(&self) -> usize {
        self.transport.world()
    }

    /// The machine this rank runs on.
    pub fn host(&self) -> &str {
        &self.transport.inner().hosts()[self.rank()]
    }

    /// The node that each rank runs on, by rank; ranks of one node share memory.
    pub fn nodes(&self) -> &[usize] {
        self.transport.nodes()
    }

    /// Whether other threads may compute while this one exchanges: under MPI, from `MPI_THREAD_FUNNELED` on.
    pub fn allows_threads(&self) -> bool {
        self.allows_threads
    }

    /// The same world as under an MPI that allows none.
    pub fn without_threads(self) -> World {
        World { allows_threads: false, ..self }
    }

    /// Says what the ranks exchange from here on, for warnings and errors about a rank that is late.
    pub fn set_context(&mut self, context: fmt::Arguments<'_>) {
        self.transport.set_context(context);
    }

    /// The ranks on their nodes.
    pub fn topology(&self) -> Topology {
        Topology::new(self.transport.nodes().to_vec())
    }

    /// Everything counted so far.
    pub fn traffic(&self) -> Traffic {
        self.transport.reading()
    }

    /// What the ranks and the links between them cost, measured by all of them together.
    ///
    /// # Errors
    /// [`Error::Exchange`] when ranks are late or gone.
    pub fn costs(&mut self) -> Result<Costs> {
        self.set_context(format_args!("measuring what an exchange takes"));
        let topology = self.topology();
        Ok(measure(self.transport(), &topology)?)
    }

    /// What collectives run on.
    pub(super) fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }

    /// The records of all ranks, in rank order.
    pub fn gather<const N: usize>(&mut self, record: [u64; N]) -> Result<Vec<[u64; N]>> {
        let words = control::all_gather(&mut self.transport, &record)?;
        Ok(words.as_chunks().0.to_vec())
    }

    /// The values of all ranks, as many on each, one rank after the other, on rank 0; nothing on the others.
    pub fn collect(&mut self, values: &[f32]) -> Result<Vec<f32>> {
        let words = values.len().div_ceil(2);
        // A rank sends when rank 0 asks for it, which so holds one message at a time.
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

    /// Replaces `values`, as many on each rank, by their mean over the ranks: the same bits on each.
    pub fn mean(&mut self, values: &mut [f32]) -> Result<()> {
        if self.size() > 1 && !values.is_empty() {
            ring_f32::sum(&mut self.transport, ring_f32::SEGMENT, values)?;
            let share = 1.0 / self.size() as f32;
            values.iter_mut().for_each(|value| *value *= share);
        }
        Ok(())
    }

    /// [`World::mean`] by one `MPI_Allreduce`, to measure ours against: it has no deadline, and sums in another order.
    ///
    /// # Errors
    /// [`Error::Usage`] for several ranks without MPI; [`Error::Exchange`] when the library fails.
    pub fn mpi_mean(&mut self, values: &mut [f32]) -> Result<()> {
        match &self.mpi {
            Some(mpi) => mpi.allreduce_f32(values)?,
            None if self.size() > 1 => {
                return Err(Error::Usage("these ranks are not MPI's: there is no MPI_Allreduce".into()));
            }
            None => {}
        }
        let share = 1.0 / self.size() as f32;
        values.iter_mut().for_each(|value| *value *= share);
        Ok(())
    }

    /// Goes on only if all ranks were successful: of several failures the lowest rank's is kept, and all other ranks
    /// return [`Error::Elsewhere`]. So a failure is said once, and nobody waits for a rank that has given up.
    pub fn together<T>(&mut self, result: Result<T>) -> Result<T> {
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

    /// Refuses to go on unless `value` is the same on all ranks. `what` names it in the message.
    pub fn agree(&mut self, what: &str, value: u64) -> Result<()> {
        Ok(control::agree(&mut self.transport, what, value)?)
    }

    /// Rank 0's `text`, on every rank.
    pub fn broadcast(&mut self, text: &str) -> Result<String> {
        let mut words = to_words(text.as_bytes());
        control::broadcast(&mut self.transport, &mut words)?;
        to_text(&words)
    }

    /// Replaces `values`, as many on each rank, by rank 0's.
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

    /// The `text` of rank `rank`, on every rank; at most 248 bytes of it.
    pub fn tell(&mut self, rank: usize, text: &str) -> Result<String> {
        Ok(self.texts(text)?.swap_remove(rank))
    }
}

/// The length of `text` in bytes, then its bytes, eight a word.
fn to_words(text: &[u8]) -> Vec<u64> {
    let word = |part: &[u8]| {
        let mut bytes = [0; 8];
        bytes[..part.len()].copy_from_slice(part);
        u64::from_le_bytes(bytes)
    };
    std::iter::once(text.len() as u64).chain(text.chunks(8).map(word)).collect()
}

/// The same for at most 248 bytes of `text`, in as many words whatever its length.
fn to_record(text: &str) -> [u64; 32] {
    let mut record = [0; 32];
    let words = to_words(&text.as_bytes()[..text.len().min(8 * (record.len() - 1))]);
    record[..words.len()].copy_from_slice(&words);
    record
}

/// The inverse of [`to_words`]; words after the text are ignored.
fn to_text(words: &[u64]) -> Result<String> {
    let (length, words) = words.split_first().unwrap_or((&0, &[]));
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    let text = usize::try_from(*length).ok().and_then(|length| bytes.get(..length));
    let text =
        text.ok_or_else(|| Error::Exchange("a rank sent a text that is shorter than it states".into()))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}
