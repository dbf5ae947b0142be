//! The command line, with one file per subcommand. Only this crate prints and ends the process.

mod arguments;
mod bench;
mod check;
mod compress;
mod data;
mod eval;
mod exit;
mod export;
mod forecast;
mod help;
mod init;
mod inspect;
mod job;
mod launch;
mod launcher;
mod numbers;
mod output;
mod overdue;
mod predict;
mod sample;
mod signals;
mod stages;
mod streams;
mod sweep;
mod table;
mod terminal;
mod train;
mod unknown;
mod visible;

use std::process::ExitCode;

use clap::FromArgMatches;

use arguments::{Arguments, Command};

use ternflock_base::error::Error;
use ternflock_tensor::{Trouble, blas, blas_computes};

/// Parses the command line, runs the command, and returns the exit code.
pub fn main() -> ExitCode {
    signals::let_large_writes_fail();
    let arguments = arguments();
    if let Err(code) = look_at_blas(&arguments.command) {
        return code;
    }
    match arguments.command {
        Command::Init(arguments) => init::main(&arguments),
        Command::Train(arguments) => train::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Eval(arguments) => eval::main(&arguments),
        Command::Inspect(arguments) => inspect::main(&arguments),
        Command::Compress(arguments) => compress::main(&arguments),
        Command::Export(arguments) => export::main(&arguments),
        Command::Predict(arguments) => predict::main(&arguments),
        Command::Sample(arguments) => sample::main(&arguments),
        Command::Sweep(arguments) => sweep::main(&arguments),
        Command::Data(arguments) => data::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Job(arguments) => job::main(&arguments),
        Command::Forecast(arguments) => forecast::main(&arguments),
    }
}

/// Parses the command line. Ends this process after printing help, or with an error.
fn arguments() -> Arguments {
    let parsed = help::command().try_get_matches().and_then(|matches| Arguments::from_arg_matches(&matches));
    parsed.unwrap_or_else(|error| {
        let words: Vec<String> =
            std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        let error = unknown::explain(error, &words);
        if error.use_stderr() && words.iter().any(|word| visible::visible(word) != *word) {
            // Without clap's colours, which the reader could not tell from colours in the arguments.
            streams::log(error.render());
            std::process::exit(error.exit_code());
        }
        error.exit()
    })
}

/// Only the first process reports problems with the BLAS kernels, and only if BLAS computes; a training run reports
/// them in its first lines. Kernels that would crash the process are refused here, before the first product.
fn look_at_blas(command: &Command) -> Result<(), ExitCode> {
    let computes = match command {
        Command::Init(_)
        | Command::Check(_)
        | Command::Eval(_)
        | Command::Predict(_)
        | Command::Sample(_)
        | Command::Compress(_)
        | Command::Bench(_)
        | Command::Forecast(_) => true,
        // The ranks of a training run agree on it; the runs of a sweep are separate processes.
        Command::Train(_)
        | Command::Sweep(_)
        | Command::Inspect(_)
        | Command::Export(_)
        | Command::Data(_)
        | Command::Job(_) => false,
    };
    // The instruction set decides whether BLAS computes. One that this processor lacks is refused where it is used.
    let chosen = command.instructions().is_none_or(|instructions| instructions.choose().is_ok());
    let computes = computes && chosen && blas_computes();
    match &blas().trouble {
        Some(Trouble::Impossible(text)) if computes => Err(exit::fail(&Error::Usage(text.clone()))),
        Some(Trouble::Slow(text) | Trouble::Ignored(text)) if computes && !launcher::is_not_first() => {
            streams::log(format_args!("ternflock: warning: {text}"));
            Ok(())
        }
        _ => Ok(()),
    }
}
