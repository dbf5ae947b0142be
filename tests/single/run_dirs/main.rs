//! Run directories with damaged or disguised entries. Every command ends with a documented exit code and a message that
//! names the file, and nothing outside the directory is touched. If the damage is harmless, the resumed run produces
//! bit-identical results.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod damage;
mod escapes;
mod names;
mod read;
mod resume;
mod state;
mod sweep;

/// The path of the program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ternflock");
