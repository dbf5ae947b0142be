//! The ranks as the trainer sees them: a [`World`] and its collective operations, over any transport.

mod agreements;
mod words;

use std::fmt;
use std::path::Path;
use std::time::Duration;

use ternflock_collectives::cost::{Costs, measure};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::mpi::{self, MpiTransport, ThreadLevel};
pub use ternflock_collectives::transport::mpi::{Call, OnCall};
use ternflock_collectives::transport::threads;
pub use ternflock_collectives::transport::watch::Late;
use ternflock_collectives::transport::watch::Watched;
use ternflock_collectives::{Transport, control};

use ternflock_base::error::Result;
use ternflock_base::io::read_system;
use ternflock_job::Exchange;

/// This rank among all ranks.
pub struct World {
    transport: Metered<Watched<Box<dyn Transport>, Report>>,
    allows_threads: bool,
    /// The MPI library's own collectives. They live as long as the transport, which never leaves this struct.
    mpi: Option<mpi::Baseline>,
}

/// Receives the report about a late rank, on each rank that waits for it.
pub type Report = Box<dyn FnMut(&Late)>;

/// How long ranks wait for each other.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The time until a warning names the late rank.
    pub warn_after: Duration,
    /// The time until the wait ends with an error.
    pub deadline: Duration,
}

impl Patience {
    /// The times that `job` sets.
    pub fn of(job: &Exchange) -> Patience {
        let [warn_after, deadline] = [job.warn_after, job.timeout].map(Duration::from_secs_f64);
        Patience { warn_after, deadline }
    }
}

impl World {
    /// The ranks that `transport` reaches, all on the machine called `host`. Waits that last `warn_after` are
    /// passed to `report`.
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

    /// Starts MPI and joins the ranks of this job. From then on, a panic ends all of them. `report` is called
    /// for late ranks, and `on_call` for MPI calls in progress.
    ///
    /// # Errors
    /// [`Error::Exchange`](ternflock_base::error::Error::Exchange) if MPI cannot be started or a rank does
    /// not join.
    pub fn join(patience: Patience, report: Report, on_call: OnCall) -> Result<World> {
        let mut transport = MpiTransport::init(patience.deadline, Some(on_call))?;
        mpi::abort_on_panic();
        // SAFETY: the world keeps both, and drops them together.
        let mpi = Some(unsafe { transport.baseline() });
        let allows_threads = transport.thread_level() >= ThreadLevel::Funneled;
        let host = words::to_record(&transport.processor_name());
        let hosts = control::all_gather(&mut transport, &host)?;
        let hosts = hosts.chunks(host.len()).map(words::to_text).collect::<Result<_>>()?;
        let watched =
            Watched::new(Box::new(transport) as Box<dyn Transport>, hosts, patience.warn_after, report);
        Ok(World { transport: Metered::new(watched), allows_threads, mpi })
    }

    /// The MPI library that [`World::join`] uses.
    pub fn mpi_library() -> String {
        mpi::library_version()
    }

    /// Ends all processes of this job immediately, with the exit code `code`.
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

    /// Whether other threads may compute while this one communicates. MPI must offer at least
    /// `MPI_THREAD_FUNNELED`.
    pub fn allows_threads(&self) -> bool {
        self.allows_threads
    }

    /// The same world without this permission, as with an MPI library that does not give it.
    pub fn without_threads(self) -> World {
        World { allows_threads: false, ..self }
    }

    /// Describes the messages that follow, for warnings and errors about a late rank.
    pub fn set_context(&mut self, context: fmt::Arguments<'_>) {
        self.transport.set_context(context);
    }

    /// The ranks on their nodes.
    pub fn topology(&self) -> Topology {
        Topology::new(self.transport.nodes().to_vec())
    }

    /// The traffic counted so far.
    pub fn traffic(&self) -> Traffic {
        self.transport.reading()
    }

    /// The costs of the ranks and of the links between them, measured by all ranks together.
    ///
    /// # Errors
    /// [`Error::Exchange`](ternflock_base::error::Error::Exchange) if ranks are late or have ended.
    pub fn costs(&mut self) -> Result<Costs> {
        self.set_context(format_args!("measuring the cost of an exchange"));
        let topology = self.topology();
        Ok(measure(self.transport(), &topology)?)
    }

    /// The transport that collectives run on.
    pub fn transport(&mut self) -> &mut dyn Transport {
        &mut self.transport
    }
}
