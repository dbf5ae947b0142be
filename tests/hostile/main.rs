//! Runs the program on crafted files. Every command ends by itself within a deadline and in limited memory, with a
//! documented exit code and a message that names the file.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod checkpoints;
mod mutations;
mod special_files;

use std::path::Path;
use std::process::Command;
use std::{fs, process};

use support::program::{Finished, Place, finish};

/// The path of the program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ternflock");

/// The address space limit of the program in kB. OpenBLAS and the libraries that it links take up most of a GB.
const ADDRESS_SPACE: u64 = 3_000_000;

/// All exit codes in the help except 101, which is a bug.
const DOCUMENTED: [i32; 8] = [0, 2, 3, 4, 5, 6, 7, 75];

/// Runs the program in `place` with `arguments` and limited memory.
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

/// Writes a header to the checkpoint at `path` that matches its content, as its writer would have done.
fn reseal(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    seal(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// Makes the header of the checkpoint `bytes` match the rest.
fn seal(bytes: &mut [u8]) {
    let digest = xxhash_rust::xxh3::xxh3_128(&bytes[512..]);
    let line = format!("ternflock-checkpoint 1 {} {digest:032x}\n", bytes.len() - 512);
    bytes[..512].fill(0);
    bytes[..line.len()].copy_from_slice(line.as_bytes());
}

/// The checkpoint of a run of `tiny.toml` in a directory that [`trained`] made.
const CHECKPOINT: &str = "run/checkpoints/step-0000000020.h5";

/// A directory in which `tiny.toml` has been trained.
fn trained() -> Place {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place
}
