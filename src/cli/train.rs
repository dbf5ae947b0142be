//! `ternflock train`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use super::arguments::Train;
use super::exit::{self, INTERRUPTED};
use super::launch::launch_or_say;
use super::numbers::{bytes, duration, shown, thousands};
use super::signals::Signals;
use super::stages;
use super::streams::{log, print_or};
use super::table::table;
use super::terminal::Terminal;
use ternflock_base::error::{Error, Result};
use ternflock_job::{Exchange, Loaded};
use ternflock_report::{Score, Summary};
use ternflock_train::{
    AllocationDeadline, Options, RunDir, TEST, load, load_to_resume, patience, run, run_of_job,
};
use ternflock_world::Patience;

/// Runs the job; on rank 0, prints a table of the results at the end.
pub fn main(arguments: &Train) -> ExitCode {
    let signals = Signals::catch().unwrap_or_else(|error| {
        log(format_args!("ternflock: signals cannot be caught and will end the run at once: {error}"));
        Signals::default()
    });
    let asked = asked(arguments);
    // A job that cannot be read sets no timeouts. The ranks still meet, so that one of them reports for all.
    let default = |_: &Error| Patience::of(&Exchange::default());
    let patience = asked.as_ref().map_or_else(default, |(loaded, options)| patience(loaded, options));
    let mut world = match launch_or_say(patience, Some(signals.clone())) {
        Ok(world) => world,
        Err(code) => return code,
    };
    let (loaded, options) = match world.all_or_none(asked) {
        Ok(asked) => asked,
        Err(error) => return exit::fail_on(world, &error),
    };
    let mut terminal = (world.rank() == 0).then(Terminal::new);
    let mut sink = |event: &_| terminal.as_mut().map_or((), |terminal| terminal.show(event));
    match run(&loaded, &options, &mut world, signals.flag(), &mut sink) {
        Ok(summary) if !summary.complete => {
            let code = INTERRUPTED;
            exit::leave(world, code, format_args!("ternflock: the run is not complete (exit code {code})"))
        }
        Ok(summary) if world.rank() == 0 => {
            let ranks = world.size();
            // The following code is timed: no rank should wait for this one.
            drop(world);
            close(&summary, ranks)
        }
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail_on(world, &error),
    }
}

/// The job and the run that `arguments` ask for. A run that is resumed by its directory alone is asked to continue with
/// its own job.
fn asked(arguments: &Train) -> Result<(Loaded, Options)> {
    arguments.instructions.choose()?;
    let (job, run_dir) = job_and_run_dir(arguments)?;
    let job = match (job, &run_dir) {
        (Some(job), _) => job,
        (None, Some(run_dir)) => {
            let job = RunDir::job_path(run_dir);
            if !job.exists() {
                return Err(Error::run_dir(run_dir, "holds no run to resume: it has no job.toml"));
            }
            job
        }
        (None, None) => {
            let message = "--resume without a job file needs the directory of the run, as in `ternflock train --resume runs/NAME`";
            return Err(Error::Usage(message.into()));
        }
    };
    let options = Options {
        run_dir,
        resume: arguments.resume.is_some(),
        allow_changes: arguments.allow_changes,
        same_ranks: arguments.same_ranks,
        end: arguments.end_time.map(|time| AllocationDeadline {
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(time),
            margin: Duration::from_secs(arguments.end_margin.into()),
        }),
    };
    let loaded = match options.resume {
        true => load_to_resume(&job, &arguments.sets, options.run_dir.as_deref()),
        false => load(&job, &arguments.sets),
    };
    Ok((loaded?, options))
}

/// The job file and the run directory, if they are given.
fn job_and_run_dir(arguments: &Train) -> Result<(Option<PathBuf>, Option<PathBuf>)> {
    let (job, run_dir) = (arguments.job.clone(), arguments.run_dir.clone());
    let Some(resumed) = arguments.resume.clone() else { return Ok((job, run_dir)) };
    let Some(mut resumed) = resumed else {
        // The job file of a run means that run, not the newest of its name.
        let run_dir = run_dir.or_else(|| run_of_job(job.as_deref()?));
        return Ok((job, run_dir));
    };
    if let Some(directory) = run_of_job(&resumed) {
        resumed = directory;
    }
    if resumed.is_file() {
        // In `train --resume JOB`, the option takes the next word as its value.
        return match job {
            None if resumed.extension().is_none_or(|extension| extension != "h5") => {
                Ok((Some(resumed), run_dir))
            }
            _ => Err(Error::Usage(format!(
                "--resume {}: a run directory with job.toml and checkpoints/ is needed",
                resumed.display()
            ))),
        };
    }
    match run_dir {
        Some(run_dir) if run_dir != resumed => Err(Error::Usage(format!(
            "--resume {} and --run-dir {} are different directories: use one of them",
            resumed.display(),
            run_dir.display()
        ))),
        _ => Ok((job, Some(resumed))),
    }
}

/// The tables at the end of a run.
fn close(summary: &Summary, ranks: usize) -> ExitCode {
    let comfort = "the run is complete and saved, and metrics.jsonl in its directory contains these figures";
    if summary.stages.is_empty() {
        return print_or(&closing(summary, ranks), comfort);
    }
    let tables = stages::tables(&summary.stages).unwrap_or_else(|error| {
        log(format_args!("ternflock: no tables of the stages: {error}"));
        String::new()
    });
    print_or(&format!("\n{tables}{}", closing(summary, ranks)), comfort)
}

/// The table at the end of a run.
fn closing(summary: &Summary, ranks: usize) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_string(), value]);
    for (name, value) in scores(summary) {
        row(&name, value);
    }
    let (speed, unit) = (thousands(summary.speed.rate() as u64), summary.speed.unit());
    row("time", format!("{}, training at {speed} {unit}/s", duration(summary.seconds)));
    row("bytes on the wire", wire(summary, ranks));
    row("checkpoint", summary.checkpoint.display().to_string());
    if let Some(best) = &summary.best_checkpoint {
        row("best checkpoint", best.display().to_string());
    }
    let best = summary.chosen.as_ref().map_or(&summary.checkpoint, |chosen| &chosen.checkpoint).display();
    let program = std::env::args().next().unwrap_or_else(|| "ternflock".into());
    format!(
        "\n{}\nnext:\n  {program} eval {best}\n  {program} inspect {best}\n  h5dump -H {best}\n",
        table(&rows, &[])
    )
}

/// The scores of the run on each set, and the network they belong to. The test set has its own row unless it chose the
/// network.
fn scores(summary: &Summary) -> Vec<(String, String)> {
    let Some(chosen) = &summary.chosen else { return Vec::new() };
    let said = |set: &str, score: Score, loss: Option<f64>, of: String| {
        let loss = loss.map_or(String::new(), |loss| format!(" (loss {loss:.4})"));
        (format!("{set} {}", score.metric.title()), format!("{}{loss}, {of}", shown(score)))
    };
    let by = match chosen.step == summary.step {
        true => "after the last step".to_owned(),
        false => format!("the best, at step {}", thousands(chosen.step)),
    };
    let mut rows = vec![said(summary.set, chosen.score, chosen.loss, by)];
    match &summary.test {
        _ if summary.set == TEST => rows[0].1 += "; this set chose the network",
        Some(test) => rows.push(said(TEST, test.score, test.loss, "of the same network".into())),
        None => {}
    }
    rows
}

fn wire(summary: &Summary, ranks: usize) -> String {
    let traffic = &summary.traffic;
    if ranks == 1 {
        return "none: there is only one rank".into();
    }
    if traffic.bytes_per_step == 0.0 {
        return "none: no steps were left".into();
    }
    let formula = match traffic.bytes_per_step == traffic.formula_bytes_per_step {
        true => "exactly as predicted".into(),
        false if traffic.is_bound => format!("at most {} predicted", bytes(traffic.formula_bytes_per_step)),
        false => format!("predicted: {}", bytes(traffic.formula_bytes_per_step)),
    };
    format!(
        "{} per step from rank 0, {formula}; float32 would send {}, {:.1} times as many",
        bytes(traffic.bytes_per_step),
        bytes(traffic.float32_bytes_per_step),
        traffic.float32_bytes_per_step / traffic.bytes_per_step
    )
}
