//! The command line. One file a subcommand; here alone is anything printed and the process ended.

mod arguments;
mod bench;
mod compress;
mod data;
mod eval;
mod exit;
mod inspect;
mod launch;
mod launcher;
mod numbers;
mod output;
mod predict;
mod stages;
mod streams;
mod sweep;
mod table;
mod terminal;
mod train;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Train(arguments) => train::main(&arguments),
        Command::Eval(arguments) => eval::main(&arguments),
        Command::Inspect(arguments) => inspect::main(&arguments),
        Command::Compress(arguments) => compress::main(&arguments),
        Command::Sweep(arguments) => sweep::main(&arguments),
        Command::Data(arguments) => data::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Predict(arguments) => predict::main(&arguments),
    }
}
