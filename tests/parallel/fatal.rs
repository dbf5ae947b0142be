//! Jobs in which one rank fails while the others wait for it: the entire job must end at once, and not with
//! success.

use std::thread;
use std::time::Duration;

use ternflock_collectives::Transport;
use ternflock_collectives::transport::mpi::{self, MpiTransport};

use crate::launch::Launcher;
use crate::running::Finished;
use crate::transport::{SINGLE, STRAY, UNREAD, alone_in_its_process, leave_notes, leave_stray};

/// Exit code of a rank whose act returns.
pub const RETURNED: u8 = 3;

/// The time in which a job must end, far below the time that its other ranks would wait or sleep.
const SOON_SECONDS: f64 = 20.0;
pub const LONG: Duration = Duration::from_secs(60);

/// Runs the act that [`end_of`] asks for.
pub fn act(name: &str, transport: &mut MpiTransport) -> Result<(), String> {
    let (rank, last) = (transport.rank(), transport.world() - 1);
    match name {
        SINGLE => return alone_in_its_process(transport),
        UNREAD => return leave_notes(transport),
        STRAY => return leave_stray(transport),
        _ => {}
    }
    if rank != last {
        if name == "message_nobody_takes" {
            thread::sleep(LONG);
        }
        return transport.recv(last, 1).map(drop).map_err(|error| error.to_string());
    }
    match name {
        "panic" => panic!("rank {rank} has a bad day"),
        "panic_beside" => {
            // Like a backward pass that panics while this thread, the only one that calls MPI, waits for
            // peers.
            thread::spawn(move || panic!("rank {rank} has a bad day"));
            transport.recv(0, 1).map_err(|error| error.to_string())?;
        }
        "abort" => mpi::abort(7),
        "killed" => {
            // SAFETY: a plain system call, on this process itself.
            unsafe { libc::raise(libc::SIGKILL) };
        }
        "message_nobody_takes" => {
            transport.set_deadline(Duration::from_millis(200));
            // Too large to leave while its receiver is busy.
            transport.send(0, vec![0; 1 << 20]).map_err(|error| error.to_string())?;
        }
        other => return Err(format!("no act is called {other}")),
    }
    Ok(())
}

pub fn end_of(act: &str, launcher: &Launcher, ranks: usize) -> Finished {
    let end = launcher.run_self(ranks, &["--act", act]).expect("mpirun starts");
    assert!(end.seconds < SOON_SECONDS, "took {} s:\n{}", end.seconds, end.output);
    assert_ne!(end.code, Some(0), "{}", end.output);
    end
}

pub fn panic(launcher: &Launcher, ranks: usize) {
    let end = end_of("panic", launcher, ranks);
    assert!(end.output.contains("has a bad day"), "the message is lost:\n{}", end.output);
}

pub fn panic_beside(launcher: &Launcher, ranks: usize) {
    let end = end_of("panic_beside", launcher, ranks);
    assert!(end.output.contains("has a bad day"), "the message is lost:\n{}", end.output);
}

pub fn abort(launcher: &Launcher, ranks: usize) {
    assert_eq!(end_of("abort", launcher, ranks).code, Some(7));
}

pub fn killed(launcher: &Launcher, ranks: usize) {
    end_of("killed", launcher, ranks);
}

pub fn message_nobody_takes(launcher: &Launcher, ranks: usize) {
    end_of("message_nobody_takes", launcher, ranks);
}
