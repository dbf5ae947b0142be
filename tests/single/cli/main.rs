//! The command line: the real program as one process without a launcher, its exit codes and its output.
//!
//! Every test runs it in a temporary directory of its own ([`support::program::Place`]) and ends it at a deadline.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod bench;
mod check;
mod checkpoints;
mod compress;
mod compression;
mod data;
mod docs;
mod export;
mod files;
mod forecast;
mod help;
mod infer;
mod init;
mod job;
mod landscape;
mod launch;
mod limits;
mod precision;
mod predict;
mod processor;
mod resume;
mod run_dir;
mod sample;
mod signals;
mod streams;
mod sweep;
mod train;
mod validation;

/// The path of the program.
const PROGRAM: &str = env!("CARGO_BIN_EXE_ternflock");
