//! Run directories in which something is damaged, or is not what it seems: every command ends, with a documented exit code
//! and a message that names the file, and nothing outside of the directory is touched. Where the damage is harmless, the
//! run resumes to the same bits.
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
