//! One rank of a job: runs the cases together with the other ranks.

use std::process::ExitCode;
use std::time::Duration;

use ternflock_collectives::transport::mpi::ThreadLevel::{Funneled, Single};
use ternflock_collectives::transport::mpi::{self, MpiTransport};
use ternflock_collectives::{Transport, control};

use crate::options::Options;
use crate::outside::passed;
use crate::{Body, communicators, fatal, transport};

/// Long enough for more ranks than cores on a loaded machine, shorter than the patience of the process outside.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs the cases that `options` select. A case that fails panics, which ends the job; so does an error.
pub fn run(options: &Options) -> Result<ExitCode, String> {
    if let Some(done) = options.act.as_deref().and_then(communicators::act) {
        return done.map(|()| ExitCode::from(fatal::RETURNED));
    }
    let level = if options.act.as_deref() == Some(transport::SINGLE) { Single } else { Funneled };
    let mut transport = MpiTransport::init_with(level, DEADLINE, None).map_err(|error| error.to_string())?;
    mpi::abort_on_panic();
    let done = match &options.act {
        Some(name) => fatal::act(name, &mut transport).map(|()| ExitCode::from(fatal::RETURNED)),
        None => run_cases(options, &mut transport).map(|()| ExitCode::SUCCESS),
    };
    if let Err(message) = &done {
        eprintln!("parallel tests: {message}");
        mpi::abort(1);
    }
    done
}

fn run_cases(options: &Options, transport: &mut MpiTransport) -> Result<(), String> {
    for case in options.cases() {
        let label = case.label(transport.world());
        let Body::Ranks(run) = case.body else { continue };
        if case.worlds.contains(&transport.world()) && options.select(&label) {
            run(transport);
            // All ranks have passed, or the job ends here.
            meet(transport, &label)?;
            if transport.rank() == 0 {
                println!("{}", passed(&label));
            }
            // The line is written before the next case can end the job.
            meet(transport, &label)?;
        }
    }
    Ok(())
}

fn meet(transport: &mut MpiTransport, label: &str) -> Result<(), String> {
    control::barrier(transport).map_err(|error| format!("after {label}: {error}"))
}
