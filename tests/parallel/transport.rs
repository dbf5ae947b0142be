//! Messages between MPI ranks.

use std::thread;
use std::time::{Duration, Instant};

use ternflock_collectives::transport::mpi::{self, MpiTransport, ThreadLevel};
use ternflock_collectives::transport::{Lane, Length};
use ternflock_collectives::{Error, Transport, control};

use crate::fatal::{LONG, RETURNED, end_of};
use crate::launch::Launcher;

fn ring(transport: &MpiTransport) -> (usize, usize) {
    let (rank, world) = (transport.rank(), transport.world());
    ((rank + 1) % world, (rank + world - 1) % world)
}

/// 8 MB around the ring, several at once. Flushing before receiving would deadlock if a rank that waits for
/// its own sends did not receive those of others.
pub fn large_messages(transport: &mut MpiTransport) {
    const WORDS: usize = 1 << 20;
    let (next, previous) = ring(transport);
    let contents = |rank: usize, message: u64| {
        (0..WORDS as u64).map(move |word| word << 16 | (rank as u64) << 8 | message)
    };
    for message in 0..3 {
        let mut buffer = transport.buffer(WORDS);
        buffer.iter_mut().zip(contents(transport.rank(), message)).for_each(|(word, value)| *word = value);
        transport.send(next, buffer).expect("sends");
    }
    transport.flush().expect("the next rank takes the messages");
    for message in 0..3 {
        let buffer = transport.recv(previous, WORDS).expect("receives");
        assert!(buffer.iter().copied().eq(contents(previous, message)), "message {message} has other words");
        transport.recycle(buffer);
    }
}

/// Messages of very different lengths take different paths through an MPI library, and still arrive in order
/// from each rank, in whatever order the ranks are read.
pub fn order(transport: &mut MpiTransport) {
    const LENGTHS: [usize; 8] = [1, 100_000, 0, 2, 5_000, 300_000, 3, 500];
    let (rank, world) = (transport.rank(), transport.world());
    for peer in (0..world).filter(|peer| *peer != rank) {
        for (message, length) in LENGTHS.into_iter().enumerate() {
            transport.send(peer, vec![(rank * 100 + message) as u64; length]).expect("sends");
        }
    }
    for peer in (0..world).rev().filter(|peer| *peer != rank) {
        for (message, length) in LENGTHS.into_iter().enumerate() {
            let received = transport.recv(peer, length).expect("receives");
            assert!(
                received.iter().all(|word| *word == (peer * 100 + message) as u64),
                "message {message} of {peer}"
            );
        }
    }
    transport.flush().expect("all have left");
}

/// Lanes do not wait for each other: the message that is received last was sent first, and is large.
pub fn lanes(transport: &mut MpiTransport) {
    const LANES: [(Lane, usize); 3] = [(Lane::Bulk, 300_000), (Lane::Ahead, 40), (Lane::Notes, 3)];
    let (next, previous) = ring(transport);
    let word = |rank: usize, lane: Lane, message: u64| 100 * rank as u64 + 10 * lane as u64 + message;
    for message in 0..3 {
        for (lane, words) in LANES {
            let content = word(transport.rank(), lane, message);
            transport.send_on(lane, next, vec![content; words]).expect("sends");
        }
    }
    for (lane, words) in LANES.into_iter().rev() {
        for message in 0..3 {
            let received = transport.recv_on(lane, previous, words).expect("receives");
            let content = word(previous, lane, message);
            assert!(received.iter().all(|word| *word == content), "message {message} of {lane:?}");
        }
    }
    transport.flush().expect("all have left");
}

/// Rank 0 waits in vain for the last rank, reports it in time, and still gets the message when it arrives.
pub fn late_peer(transport: &mut MpiTransport) {
    let last = transport.world() - 1;
    if transport.rank() == 0 {
        let patience = Duration::from_millis(150);
        let before = transport.set_deadline(patience);
        let start = Instant::now();
        let error = transport.recv(last, 5).expect_err("nothing was sent");
        assert!(start.elapsed() >= patience);
        transport.set_deadline(before);
        match error {
            Error::Timeout { rank: 0, peer, .. } if peer == last => {}
            other => panic!("{other}"),
        }
        transport.send(last, vec![1]).expect("sends");
        assert_eq!(transport.recv(last, 5).expect("comes now"), [8; 5]);
    } else if transport.rank() == last {
        transport.recv(0, 1).expect("rank 0 has given up");
        transport.send(0, vec![8; 5]).expect("sends");
        transport.flush().expect("leaves");
    }
}

/// Shorter and longer messages, small and large, are refused with both lengths, and the next one is read.
pub fn wrong_length(transport: &mut MpiTransport) {
    const SENT: [usize; 5] = [0, 3, 200, 40_000, 400_000];
    let (next, previous) = ring(transport);
    for length in SENT {
        transport.send(next, vec![1; length]).expect("sends");
    }
    transport.send(next, vec![2; 100]).expect("sends");
    for got_words in SENT {
        let error = transport.recv(previous, 100).expect_err("another length");
        let rank = transport.rank();
        let expected = Length::Exactly(100);
        assert_eq!(error, Error::LengthMismatch { rank, peer: previous, expected, got_words });
    }
    assert_eq!(transport.recv(previous, 100).expect("the right length"), [2; 100]);
    transport.flush().expect("leaves");
}

/// The library and the host have names, the ranks have nodes, and MPI starts only once.
pub fn describes_itself(transport: &mut MpiTransport) {
    assert!(mpi::library_version().contains('.'), "{:?}", mpi::library_version());
    assert!(!mpi::library_version().contains('\n'));
    assert!(!transport.processor_name().is_empty());
    // The launcher of these tests starts all ranks on this machine.
    assert_eq!(transport.nodes(), vec![0; transport.world()]);
    assert!(transport.thread_level() >= ThreadLevel::Funneled);
    assert!(matches!(MpiTransport::init(Duration::ZERO, None), Err(Error::Init(_))));
}

/// The acts of jobs whose ranks have no thread support, and whose ranks leave notes or another message
/// behind.
pub const SINGLE: &str = "single";
pub const UNREAD: &str = "unread";
pub const STRAY: &str = "stray";

/// All is well below `MPI_THREAD_FUNNELED`, too.
pub fn thread_level(launcher: &Launcher, ranks: usize) {
    let end = launcher.run_self(ranks, &["--act", SINGLE]).expect("mpirun starts");
    assert_eq!(end.code, Some(RETURNED.into()), "{}", end.output);
}

/// What each rank of [`thread_level`] does.
pub fn alone_in_its_process(transport: &mut MpiTransport) -> Result<(), String> {
    large_messages(transport);
    let rank = transport.rank() as u64;
    let ranks = control::all_gather(transport, &[rank]).map_err(|error| error.to_string())?;
    assert!(ranks.into_iter().eq(0..transport.world() as u64));
    Ok(())
}

/// Notes that nobody reads do not keep a job from ending.
pub fn notes_left(launcher: &Launcher, ranks: usize) {
    let end = launcher.run_self(ranks, &["--act", UNREAD]).expect("mpirun starts");
    assert_eq!(end.code, Some(RETURNED.into()), "{}", end.output);
}

/// What each rank of [`notes_left`] does: the last sends to all others until just before the end, small notes and some
/// that only leave when their receiver lets them.
pub fn leave_notes(transport: &mut MpiTransport) -> Result<(), String> {
    let last = transport.world() - 1;
    control::barrier(transport).map_err(|error| error.to_string())?;
    if transport.rank() == last {
        for peer in 0..last {
            for words in [2, 2, 100_000, 2] {
                transport.send_on(Lane::Notes, peer, vec![1; words]).map_err(|error| error.to_string())?;
            }
        }
    }
    // Nobody waits for notes to leave.
    transport.flush().map_err(|error| error.to_string())
}

/// A rank with a message that is never received cannot end MPI; the others do not wait for it to do so.
pub fn stray_left(launcher: &Launcher, ranks: usize) {
    end_of(STRAY, launcher, ranks);
}

/// What each rank of [`stray_left`] does. Rank 0 has the stray before the last message of the barrier, and takes its time
/// after its transport has been dropped.
pub fn leave_stray(transport: &mut MpiTransport) -> Result<(), String> {
    extern "C" fn linger() {
        thread::sleep(LONG);
    }
    if transport.rank() == transport.world() - 1 {
        transport.send_on(Lane::Ahead, 0, vec![1; 3]).map_err(|error| error.to_string())?;
    }
    if transport.rank() == 0 {
        // SAFETY: the function is safe to call when the process exits.
        assert_eq!(unsafe { libc::atexit(linger) }, 0);
    }
    control::barrier(transport).map_err(|error| error.to_string())
}

/// The library's own sum, and its limits.
pub fn library_sum(transport: &mut MpiTransport) {
    let (rank, world) = (transport.rank(), transport.world());
    for length in [0, 1, 1000, 300_000] {
        let mut sums: Vec<f32> = (0..length).map(|index| (index % 1000 + rank) as f32).collect();
        transport.allreduce_f32(&mut sums).expect("sums");
        let ranks = world * (world - 1) / 2;
        assert!(sums.iter().enumerate().all(|(index, sum)| *sum == (index % 1000 * world + ranks) as f32));
    }
}

/// One message of more than 2 GiB.
pub fn giant(transport: &mut MpiTransport) {
    const WORDS: usize = (1 << 28) + 11;
    let word = |index: usize| (index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    if transport.rank() == 0 {
        transport.send(1, (0..WORDS).map(word).collect()).expect("sends");
        transport.flush().expect("leaves");
    } else {
        let message = transport.recv(0, WORDS).expect("receives");
        assert!(message.into_iter().enumerate().all(|(index, received)| received == word(index)));
    }
}
