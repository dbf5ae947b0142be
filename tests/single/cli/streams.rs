//! Readers that close the pipe early, as in `ternflock inspect CHECKPOINT | head -0`, cause neither a failure
//! nor a panic.

use std::process::{Command, Stdio};

use support::program::{Finished, Place, Running, finish};

use crate::PROGRAM;

/// A pipe that nobody reads.
fn closed() -> Stdio {
    std::io::pipe().unwrap().1.into()
}

/// Runs `command` with a standard output that nobody reads.
fn unread(command: &mut Command) -> Finished {
    let file = tempfile::NamedTempFile::new().unwrap();
    let child = command.stdout(closed()).stderr(file.reopen().unwrap()).spawn().unwrap();
    let code = Running(child).end();
    Finished { code, out: String::new(), err: std::fs::read_to_string(file.path()).unwrap() }
}

#[test]
fn nobody_reads_standard_output() {
    let place = Place::new(PROGRAM);
    unread(&mut place.command(&["train", "tiny.toml", "--run-dir", "run"])).ended(0);
    let checkpoint = "run/checkpoints/best.h5";
    for arguments in [
        vec!["--help"],
        vec!["data", "list"],
        vec!["data", "list", "--json"],
        vec!["inspect", checkpoint],
        vec!["inspect", checkpoint, "--json"],
        vec!["eval", checkpoint, "--json"],
    ] {
        // Nothing is printed, except a warning about a processor whose BLAS was told to use slow kernels.
        let read = finish(&mut place.command(&arguments)).ended(0);
        assert!(
            read.err
                .lines()
                .all(|line| line.starts_with("ternflock: warning: ") && line.contains("kernels of BLAS")),
            "{}",
            read.err
        );
        let ended = unread(&mut place.command(&arguments)).ended(0);
        assert_eq!(ended.err, read.err, "{arguments:?}");
    }
}

/// A run does not end when the reader of its log ends.
#[test]
fn nobody_reads_standard_error() {
    let place = Place::new(PROGRAM);
    let mut command =
        place.command(&["train", "tiny.toml", "--run-dir", "run", "--set", "train.log_every=1"]);
    let child = command.stdout(Stdio::null()).stderr(closed()).spawn().unwrap();
    assert_eq!(Running(child).end(), Some(0));
    assert_eq!(place.inspect("run/checkpoints/best.h5")["step"], 20);
}

/// An unprinted result has its own exit code: the work is done and need not be repeated.
#[test]
fn a_full_disk_under_standard_output_is_said() {
    let place = Place::new(PROGRAM);
    let words = ["train", "tiny.toml", "--run-dir", "run"];
    for (words, comfort) in [
        (&["data", "list"][..], "the command itself has succeeded"),
        (&words, "the run is complete and saved"),
    ] {
        let Ok(full) = std::fs::OpenOptions::new().write(true).open("/dev/full") else {
            return eprintln!("skipped: there is no /dev/full here");
        };
        let err = tempfile::NamedTempFile::new().unwrap();
        let child = place.command(words).stdout(full).stderr(err.reopen().unwrap()).spawn().unwrap();
        assert_eq!(Running(child).end(), Some(74));
        let said = std::fs::read_to_string(err.path()).unwrap();
        let line = said.lines().last().unwrap();
        assert!(
            line.starts_with("ternflock: standard output cannot be written: No space left on device"),
            "{said}"
        );
        assert!(line.contains(comfort) && line.ends_with("(exit code 74)"), "{said}");
    }
    assert_eq!(place.inspect("run/checkpoints/best.h5")["step"], 20);
}
