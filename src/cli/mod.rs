//! The command line. One file a subcommand; here alone is anything printed and the process ended.

mod arguments;
mod bench;
mod compress;
mod data;
mod eval;
mod exit;
mod help;
mod inspect;
mod launch;
mod launcher;
mod numbers;
mod predict;
mod stages;
mod streams;
mod sweep;
mod table;
mod terminal;
mod train;
mod unknown;

use std::process::ExitCode;

use clap::FromArgMatches;

use arguments::{Arguments, Command};

/// Parses the command line, does what it says, and returns the exit code.
pub fn main() -> ExitCode {
    match arguments().command {
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

/// The words of the command line, or the end of this process: after help that was asked for, or with what is wrong.
fn arguments() -> Arguments {
    let parsed = help::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| {
        let words: Vec<String> =
            std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        unknown::explain(error, &words).exit()
    })
}
