//! The real program against files that lie: every command ends by itself, within a deadline and in limited memory, with an exit
//! code of its own and a message that names the file.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod checkpoints;
mod mutations;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../single/cli/program.rs"]
mod program;
#[allow(dead_code, reason = "shared with the tests of the command line")]
#[path = "../single/cli/running.rs"]
mod running;
mod special_files;

use std::path::Path;
use std::process::Command;
use std::{fs, process};

use program::{Finished, Place, finish};

/// The address space that the program gets, in kB; OpenBLAS and the libraries that it links take up most of a GB.
const ADDRESS_SPACE: u64 = 3_000_000;

/// Exit codes that a user can act on: all that the help lists, but for 101, a bug.
const DOCUMENTED: [i32; 8] = [0, 2, 3, 4, 5, 6, 7, 75];

/// Runs the program in `place` with `arguments` in limited memory.
fn run(place: &Place, arguments: &[&str]) -> Finished {
    let program = place.command(arguments);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v {ADDRESS_SPACE}; exec \"$0\" \"$@\"")]);
    command.arg(program.get_program()).args(program.get_args());
    for (name, value) in program.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(program.get_current_dir().unwrap()).stdin(process::Stdio::null());
    finish(&mut command)
}

/// Gives the checkpoint at `path` a header that fits whatever it holds, as its writer would have made it.
fn reseal(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    seal(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Makes the header of the checkpoint `bytes` fit the rest.
fn seal(bytes: &mut [u8]) {
    let digest = xxhash_rust::xxh3::xxh3_128(&bytes[512..]);
    let line = format!("ternflock-checkpoint 1 {} {digest:032x}\n", bytes.len() - 512);
    bytes[..512].fill(0);
    bytes[..line.len()].copy_from_slice(line.as_bytes());
}

/// The checkpoint of a run of `tiny.toml` in a place that [`trained`] made.
const CHECKPOINT: &str = "run/checkpoints/step-0000000020.h5";

/// A place where `tiny.toml` has been trained.
fn trained() -> Place {
    let place = Place::new();
    place.run("train tiny.toml --run-dir run").ended(0);
    place
}
