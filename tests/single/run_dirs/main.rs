//! Run directories with damaged or disguised entries. Every command ends with a documented exit code and a message that
//! names the file, and nothing outside the directory is touched. If the damage is harmless, the resumed run produces
//! bit-identical results.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod damage;
mod escapes;
mod names;
#[path = "../cli/program.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod program;
mod read;
mod resume;
#[path = "../cli/running.rs"]
#[allow(dead_code, reason = "the tests of the command line use the rest")]
mod running;
mod state;
mod sweep;
