//! How a transport gets its communicator: it starts MPI itself, or duplicates a communicator that a program already has.

use std::ffi::c_int;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::time::Duration;

use mpi::environment::{self, Universe};
use mpi::ffi;
use mpi::topology::{Communicator, SimpleCommunicator};
use mpi::traits::{AsRaw, FromRaw};

use super::closing::NoteCounts;
use super::oversight::{Inside, Oversight};
use super::transfer::check;
use super::{Call, MpiTransport, OnCall, ThreadLevel, launch, nodes, tuning};
use crate::transport::Pool;
use crate::{Error, Result};

impl MpiTransport {
    /// Starts MPI in this process with `MPI_THREAD_FUNNELED` and joins the job's world. Every wait of the transport lasts
    /// at most `deadline`. Waits inside the library ([`Call`]) have no deadline. While this process is in such a call,
    /// `on_call` is told how long the call has lasted, and may end the process.
    ///
    /// Call it where the program starts, before other threads read or change the environment: it sets parameters of Open
    /// MPI's TCP transport in the environment if they are not set.
    ///
    /// # Errors
    /// [`Error::Init`] if MPI was started before, [`Error::Mpi`] if it fails, [`Error::Timeout`] if a rank does not
    /// report its node in time.
    pub fn init(deadline: Duration, on_call: Option<OnCall>) -> Result<Self> {
        Self::init_with(ThreadLevel::Funneled, deadline, on_call)
    }

    /// Like [`MpiTransport::init`], with another level of thread support. The library may offer less, or
    /// more: [`MpiTransport::thread_level`] is the actual level. Whatever it is, only one thread calls MPI.
    ///
    /// # Errors
    /// Those of [`MpiTransport::init`].
    pub fn init_with(level: ThreadLevel, deadline: Duration, on_call: Option<OnCall>) -> Result<Self> {
        if !environment::is_initialized() {
            // SAFETY: MPI starts at the start of the program. Threads that a library has started by then
            // compute or wait for work.
            unsafe { tuning::set_defaults() };
        }
        let oversight = Oversight::new(on_call);
        let inside = enter(&oversight, Call::Init, Error::Init)?;
        let (universe, thread_level) = environment::initialize_with_threading(level).ok_or_else(|| {
            Error::Init("this process has started it before, and it can only start once".into())
        })?;
        drop(inside);
        launch::pause_after_start();
        // SAFETY: the world is valid as long as MPI runs, and the transport ends MPI.
        unsafe { Self::start(universe.world().as_raw(), Some(universe), thread_level, deadline, oversight) }
    }

    /// Joins the ranks of `communicator`, all of which must call this together. The transport duplicates the
    /// communicator, so its messages never mix with others. Its ranks and nodes are those of `communicator`.
    /// `deadline` and `on_call` are those of [`MpiTransport::init`].
    ///
    /// The program has started MPI and ends it, after the transport has been dropped. `on_call` does not
    /// watch the program's own calls of MPI, including `MPI_Finalize`. The parameters of Open MPI's TCP
    /// transport that [`MpiTransport::init`] sets are left alone, because they are read when MPI starts.
    /// [`abort`](super::abort) ends all ranks of `MPI_COMM_WORLD`, also those outside the communicator.
    ///
    /// Below `MPI_THREAD_SERIALIZED`, only the thread that started MPI can call this. At
    /// `MPI_THREAD_SERIALIZED`, no other thread may be in an MPI call while the transport is in use.
    ///
    /// # Errors
    /// [`Error::Join`] if MPI is not running, for a call from the wrong thread and for an inter-communicator;
    /// [`Error::Mpi`] if MPI fails; [`Error::Timeout`] if a rank does not report its node in time.
    ///
    /// # Examples
    /// ```no_run
    /// use std::time::Duration;
    /// use ternflock_collectives::transport::mpi::MpiTransport;
    /// use ternflock_collectives::transport::mpi::rsmpi;
    /// use ternflock_collectives::transport::mpi::rsmpi::topology::{Color, Communicator};
    /// use ternflock_collectives::{Transport, control};
    ///
    /// let universe = rsmpi::initialize().expect("MPI starts");
    /// let world = universe.world();
    /// let half = world.split_by_color(Color::with_value(world.rank() % 2)).expect("every rank has a colour");
    /// let mut transport = MpiTransport::over(&half, Duration::from_secs(60), None)?;
    /// control::barrier(&mut transport)?;
    /// drop(transport);
    /// # Ok::<(), ternflock_collectives::Error>(())
    /// ```
    pub fn over<C: Communicator>(
        communicator: &C,
        deadline: Duration,
        on_call: Option<OnCall>,
    ) -> Result<Self> {
        // SAFETY: a borrowed communicator is valid, and it is checked that MPI runs.
        unsafe { Self::from_raw(communicator.as_raw(), deadline, on_call) }
    }

    /// [`MpiTransport::over`] for a raw handle, for communicators that come from C or from other bindings.
    ///
    /// # Safety
    /// `communicator` is `MPI_COMM_NULL` or a valid communicator of the MPI library that this crate is linked with, until
    /// this function returns.
    ///
    /// # Errors
    /// Those of [`MpiTransport::over`]; [`Error::Join`] for `MPI_COMM_NULL`.
    pub unsafe fn from_raw(
        communicator: ffi::MPI_Comm,
        deadline: Duration,
        on_call: Option<OnCall>,
    ) -> Result<Self> {
        let refuse = |reason: &str| Err(Error::Join(reason.into()));
        if !launch::is_running() {
            return refuse("MPI is not running: it was not started, or has ended");
        }
        let thread_level = environment::threading_support();
        if thread_level < ThreadLevel::Serialized && !is_main_thread()? {
            return refuse("MPI allows calls only from the thread that has started it, and this is another");
        }
        // SAFETY: reads a constant of the MPI library.
        if communicator == unsafe { ffi::RSMPI_COMM_NULL } {
            return refuse("it is MPI_COMM_NULL, so this process is not one of its ranks");
        }
        let mut is_inter: c_int = 0;
        // SAFETY: the communicator is valid by the caller's promise, and the flag is a local.
        check(0, "MPI_Comm_test_inter", unsafe { ffi::MPI_Comm_test_inter(communicator, &mut is_inter) })?;
        if is_inter != 0 {
            return refuse("it is an inter-communicator, whose ranks are in two groups");
        }
        // SAFETY: the communicator is valid by the caller's promise.
        unsafe { Self::start(communicator, None, thread_level, deadline, Oversight::new(on_call)) }
    }

    /// A transport over a duplicate of `communicator`.
    ///
    /// # Safety
    /// MPI is running, and `communicator` is a valid intra-communicator.
    unsafe fn start(
        communicator: ffi::MPI_Comm,
        universe: Option<Universe>,
        thread_level: ThreadLevel,
        deadline: Duration,
        oversight: Oversight,
    ) -> Result<Self> {
        let variant = if universe.is_some() { Error::Init } else { Error::Join };
        // Messages on a separate communicator cannot be confused with those of other code in this process.
        let inside = enter(&oversight, Call::Duplicate, variant)?;
        // SAFETY: the caller's promise.
        let communicator = unsafe { duplicate(communicator) }?;
        drop(inside);
        // SAFETY: the communicator is valid and this call keeps no pointer.
        let code = unsafe { ffi::MPI_Comm_set_errhandler(communicator.as_raw(), ffi::RSMPI_ERRORS_RETURN) };
        let rank = communicator.rank() as usize;
        check(rank, "MPI_Comm_set_errhandler", code)?;
        let inside = enter(&oversight, Call::Split, variant)?;
        let (world, node) = (communicator.size() as usize, nodes::lowest_neighbour(&communicator));
        drop(inside);
        let mut transport = MpiTransport {
            rank,
            nodes: vec![0; world],
            deadline,
            pool: Pool::default(),
            sends: Default::default(),
            notes: NoteCounts::new(world),
            arrivals: (0..world).map(|_| Default::default()).collect(),
            communicator: ManuallyDrop::new(communicator),
            universe: ManuallyDrop::new(universe),
            oversight,
            thread_level,
            only_this_thread: PhantomData,
        };
        match nodes::of(&mut transport, node) {
            Ok(nodes) => transport.nodes = nodes,
            Err(error) => {
                // Closing does not wait again for ranks that have not arrived.
                transport.deadline = Duration::ZERO;
                return Err(error);
            }
        }
        Ok(transport)
    }
}

/// Marks this process as inside `call`. `variant` is the error if the watching thread cannot be started.
fn enter(oversight: &Oversight, call: Call, variant: fn(String) -> Error) -> Result<Inside<'_>> {
    let refused = |error| variant(format!("the thread that watches over it cannot be started: {error}"));
    oversight.enter(call).map_err(refused)
}

/// Whether this thread is the one that started MPI.
fn is_main_thread() -> Result<bool> {
    let mut is_main: c_int = 0;
    // SAFETY: MPI is running, and the flag is a local.
    check(0, "MPI_Is_thread_main", unsafe { ffi::MPI_Is_thread_main(&mut is_main) })?;
    Ok(is_main != 0)
}

/// A duplicate of `communicator`. Collective: a [`Call::Duplicate`].
///
/// # Safety
/// MPI is running, and `communicator` is a valid intra-communicator.
unsafe fn duplicate(communicator: ffi::MPI_Comm) -> Result<SimpleCommunicator> {
    // SAFETY: reads a constant of the MPI library.
    let mut duplicate = unsafe { ffi::RSMPI_COMM_NULL };
    // SAFETY: the communicator is valid by the caller's promise, and the handle is a local.
    check(0, "MPI_Comm_dup", unsafe { ffi::MPI_Comm_dup(communicator, &mut duplicate) })?;
    // SAFETY: the duplicate of an intra-communicator is an intra-communicator, and no other code owns it.
    Ok(unsafe { SimpleCommunicator::from_raw(duplicate) })
}
