//! Transports on communicators that the program already has.

use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use ternflock_collectives::all_reduce::ring_f32;
use ternflock_collectives::transport::mpi::rsmpi::environment::{self, Threading};
use ternflock_collectives::transport::mpi::rsmpi::ffi;
use ternflock_collectives::transport::mpi::rsmpi::raw::AsRaw;
use ternflock_collectives::transport::mpi::rsmpi::topology::{
    Color, Communicator, InterCommunicator, SimpleCommunicator,
};
use ternflock_collectives::transport::mpi::rsmpi::traits::FromRaw;
use ternflock_collectives::transport::mpi::{Call, MpiTransport, OnCall};
use ternflock_collectives::{Error, Transport, control};

use crate::fatal::RETURNED;
use crate::launch::Launcher;

const DEADLINE: Duration = Duration::from_secs(60);

/// How long the last rank of [`started_elsewhere`] is late.
const LATE: Duration = Duration::from_secs(1);

/// Ranks of the same parity, in reverse order.
fn half(world: &impl Communicator) -> SimpleCommunicator {
    let rank = world.rank();
    world.split_by_color_with_key(Color::with_value(rank % 2), -rank).expect("every rank has a colour")
}

/// Two halves of the ranks communicate at the same time, while messages between all ranks are in flight.
pub fn halves(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    let (next, previous) = ((rank + 1) % world, (rank + world - 1) % world);
    transport.send(next, vec![7; 10]).expect("sends");

    let mut inner = MpiTransport::over(&half(&SimpleCommunicator::world()), DEADLINE, None).expect("joins");
    let mut members: Vec<usize> = (0..world).filter(|other| other % 2 == rank % 2).collect();
    members.reverse();
    assert_eq!(inner.world(), members.len());
    assert_eq!(members[inner.rank()], rank);
    assert_eq!(inner.nodes(), vec![0; members.len()]);
    let ranks = control::all_gather(&mut inner, &[rank as u64]).expect("gathers");
    assert!(ranks.into_iter().eq(members.iter().map(|member| *member as u64)));
    let mut values = vec![rank as f32; 1000];
    ring_f32::sum(&mut inner, 64, &mut values).expect("sums");
    assert_eq!(values, vec![members.iter().sum::<usize>() as f32; 1000]);
    drop(inner);

    assert_eq!(transport.recv(previous, 10).expect("the message of the whole is still there"), [7; 10]);
    transport.flush().expect("leaves");
}

/// Handles that are not communicators of this process, or that come from a thread that may not call MPI.
pub fn refused(transport: &mut MpiTransport) {
    let reason = |joined: Result<MpiTransport, Error>| match joined.map(drop).expect_err("is refused") {
        Error::Join(reason) => reason,
        other => panic!("{other}"),
    };
    // SAFETY: the null handle is allowed.
    let null = unsafe { MpiTransport::from_raw(ffi::RSMPI_COMM_NULL, DEADLINE, None) };
    assert!(reason(null).contains("MPI_COMM_NULL"));

    let world = SimpleCommunicator::world();
    let elsewhere = || reason(MpiTransport::over(&SimpleCommunicator::world(), DEADLINE, None));
    let reason_elsewhere = thread::scope(|scope| scope.spawn(elsewhere).join()).expect("no panic");
    assert!(reason_elsewhere.contains("thread"), "{reason_elsewhere}");

    let (half, other) = (half(&world), 1 - world.rank() % 2);
    let leader = (0..world.size()).rev().find(|rank| rank % 2 == other).expect("a rank of the other half");
    // SAFETY: reads a constant of the MPI library, which the call replaces with a communicator that belongs to `inter`.
    let inter = unsafe {
        let mut inter = ffi::RSMPI_COMM_NULL;
        ffi::MPI_Intercomm_create(half.as_raw(), 0, world.as_raw(), leader, 0, &mut inter);
        InterCommunicator::from_raw(inter)
    };
    assert!(reason(MpiTransport::over(&inter, DEADLINE, None)).contains("inter-communicator"));
    control::barrier(transport).expect("the ranks are still together");
}

/// The acts of jobs whose ranks start MPI themselves, and whose ranks are those of the example.
const ELSEWHERE: &str = "started_elsewhere";
const EXAMPLE: &str = "example";

/// Runs the act of this name, if it is one of these.
pub fn act(name: &str) -> Option<Result<(), String>> {
    match name {
        ELSEWHERE => Some(start_mpi()),
        EXAMPLE => {
            crate::example::main();
            Some(Ok(()))
        }
        _ => None,
    }
}

/// The example `mpi` of the crate runs, and its assertions hold.
pub fn example(launcher: &Launcher, ranks: usize) {
    let end = launcher.run_self(ranks, &["--act", EXAMPLE]).expect("mpirun starts");
    assert_eq!(end.code, Some(RETURNED.into()), "{}", end.output);
    assert!(end.output.contains("2 ranks of"), "{}", end.output);
}

/// MPI continues after the transport has been dropped.
pub fn started_elsewhere(launcher: &Launcher, ranks: usize) {
    let end = launcher.run_self(ranks, &["--act", ELSEWHERE]).expect("mpirun starts");
    assert_eq!(end.code, Some(RETURNED.into()), "{}", end.output);
}

/// The act of each rank of [`started_elsewhere`].
fn start_mpi() -> Result<(), String> {
    let says = |error: Error| error.to_string();
    let early = MpiTransport::over(&SimpleCommunicator::world(), DEADLINE, None);
    assert!(matches!(early, Err(Error::Join(_))), "MPI has not started");
    let (universe, _) =
        environment::initialize_with_threading(Threading::Single).ok_or("MPI runs already")?;
    let world = universe.world();
    let last = world.size() - 1;

    let seen = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&seen);
    let on_call: OnCall = Arc::new(move |call, _| sink.lock().expect("no panic").push(call));
    if world.rank() == last {
        thread::sleep(LATE);
    }
    // SAFETY: the world is valid.
    let mut transport =
        unsafe { MpiTransport::from_raw(world.as_raw(), DEADLINE, Some(on_call)) }.map_err(says)?;
    assert!(world.rank() == last || seen.lock().expect("no panic").contains(&Call::Duplicate), "{seen:?}");
    assert!(matches!(MpiTransport::init(DEADLINE, None), Err(Error::Init(_))));
    control::barrier(&mut transport).map_err(says)?;
    drop(transport);

    assert!(environment::is_initialized() && !environment::is_finalized());
    let mut again = MpiTransport::over(&world, DEADLINE, None).map_err(says)?;
    let ranks = control::all_gather(&mut again, &[world.rank() as u64]).map_err(says)?;
    assert!(ranks.into_iter().eq(0..=last as u64));
    // A transport that outlives MPI does nothing when it is dropped.
    control::barrier(&mut again).map_err(says)?;
    drop(universe);
    assert!(environment::is_finalized());
    drop(again);
    Ok(())
}
