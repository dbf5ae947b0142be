//! `ternflock sweep`: the same job with several values and seeds, with a separate process for each run.

mod grid;
mod outcome;
mod report;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use libc::SIGKILL;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR1, SIGUSR2};

use super::arguments::Sweep;
use super::exit::{self, INTERRUPTED};
use super::launcher::{Launch, recognise};
use super::numbers::duration;
use super::streams::{log, print};
use grid::{Grid, Trial};
use outcome::{State, evaluation, state};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{Partial, create_directories, create_log};
use ternflock_train::TEST;

/// How long this process sleeps between two checks of the run.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a run may take to end after a signal, for its current step and a checkpoint; and after the second signal,
/// before it is killed.
const UNTIL_ENDED: [Duration; 2] = [Duration::from_secs(300), Duration::from_secs(10)];

/// Performs the runs that are not complete yet, and prints the table.
pub fn main(arguments: &Sweep) -> ExitCode {
    match sweep(arguments) {
        Ok(code) => code,
        Err(error) => exit::fail(&error),
    }
}

fn sweep(arguments: &Sweep) -> Result<ExitCode> {
    if let Launch::Mpi(_) | Launch::Lost(_) = recognise(|name| std::env::var(name).ok()) {
        return Err(Error::Usage(
            "a sweep starts its runs itself: start it without a launcher, and set the number of ranks per \
             run with --launcher 'mpirun -n 2'"
                .into(),
        ));
    }
    let grid = Grid::new(arguments)?;
    if arguments.list {
        let lines = grid
            .trials
            .iter()
            .enumerate()
            .map(|(number, trial)| format!("{number} {}\n", trial.directory.display()));
        return Ok(print(&lines.collect::<String>()));
    }
    let chosen = grid.chosen(arguments.only.as_deref())?;
    // Problems with outputs are reported before anything runs.
    grid.trials.iter().try_for_each(|trial| state(&grid, trial).map(drop))?;
    let mut failed = None;
    if !arguments.report {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGUSR1, SIGUSR2] {
            let caught = signal_hook::flag::register(signal, Arc::clone(&stop));
            caught.map_err(|error| Error::Usage(format!("signals cannot be caught: {error}")))?;
        }
        for (place, &number) in chosen.iter().enumerate() {
            let trial = &grid.trials[number];
            let label = format!("[{}/{}] {}", place + 1, chosen.len(), trial.directory.display());
            match work(arguments, &grid, trial, &label, &stop)? {
                0 => {}
                code if code == INTERRUPTED || stop.load(Ordering::Relaxed) => {
                    log(format_args!(
                        "ternflock: the sweep is not complete; the same command continues it (exit code \
                         {INTERRUPTED})"
                    ));
                    return Ok(INTERRUPTED.into());
                }
                code => failed = failed.or(Some(code)),
            }
        }
    }
    let lines = report::lines(&grid)?;
    let said = print(&if arguments.json { report::json(&lines) } else { report::text(&lines) });
    Ok(failed.map_or(said, ExitCode::from))
}

/// Completes `trial`, evaluates it if requested, and returns its exit code. A run that diverges counts as
/// complete.
fn work(arguments: &Sweep, grid: &Grid, trial: &Trial, label: &str, stop: &AtomicBool) -> Result<u8> {
    let before = state(grid, trial)?;
    if matches!(before, State::Absent | State::Unfinished) {
        let mut words = vec!["train".to_owned(), text(&grid.settings[trial.setting].file)?];
        words.extend(grid.sets(trial).into_iter().flat_map(|set| ["--set".to_owned(), set]));
        words.extend(["--run-dir".to_owned(), text(&trial.directory)?]);
        words.extend((before == State::Unfinished).then(|| "--resume".to_owned()));
        let begun = if before == State::Unfinished { "continues" } else { "begins" };
        log(format_args!("{label} {begun}"));
        let mut said = trial.directory.clone().into_os_string();
        said.push(".log");
        let said = PathBuf::from(said);
        let code = call(arguments, &words, &said, None, stop)?;
        if code != 0 && !matches!(state(grid, trial)?, State::Diverged(_)) {
            log(format_args!("{label}: exit code {code}; {} has the reason", said.display()));
            return Ok(code);
        }
    }
    let done = match state(grid, trial)? {
        State::Done(done) => done,
        State::Diverged(step) => {
            log(format_args!("{label}: diverged at step {step}"));
            return Ok(0);
        }
        State::Absent | State::Unfinished => {
            let message = "the run succeeded, but its metrics.jsonl has no end event";
            return Err(Error::run_dir(&trial.directory, message));
        }
    };
    if let Some(words) = arguments.eval.as_ref().filter(|words| !done.answers(words)) {
        let mut words: Vec<String> = words.split_whitespace().map(ToOwned::to_owned).collect();
        words.splice(0..0, ["eval".to_owned(), text(&done.checkpoint)?, "--json".to_owned()]);
        let said = trial.directory.join("eval.log");
        // It gets its final name only when it is complete.
        let (path, mut output) = (evaluation(trial), None);
        let unfinished = Partial::beside(&path, |file| file.try_clone().map(|file| output = Some(file)))
            .map_err(|error| cannot_write(&path, error))?;
        let code = call(arguments, &words, &said, output, stop)?;
        if code != 0 {
            log(format_args!(
                "{label}: `ternflock eval` ended with exit code {code}; {} has the reason",
                said.display()
            ));
            return Ok(code);
        }
        unfinished.rename().map_err(|error| cannot_write(&path, error))?;
    }
    let State::Done(done) = state(grid, trial)? else { return Ok(0) };
    let sharp = done.sharpness.map_or(String::new(), |sharpness| format!(", sharpness {sharpness:.3} %"));
    // If the test set chose, its score is already shown.
    let test = if done.set == TEST || done.test.is_nan() {
        String::new()
    } else {
        format!(", test {:.4}", done.test)
    };
    log(format_args!(
        "{label}: {} {} {:.4}{test}{sharp}, {}",
        done.set,
        done.metric.title(),
        done.score,
        duration(done.seconds)
    ));
    Ok(0)
}

/// Runs this program with `words`, with its output in the files `said` and `out`, and returns its exit code.
/// A signal that arrives in the meantime is forwarded as SIGUSR1, which launchers also forward, and the run
/// ends with a checkpoint.
fn call(
    arguments: &Sweep,
    words: &[String],
    said: &Path,
    out: Option<File>,
    stop: &AtomicBool,
) -> Result<u8> {
    if let Some(parent) = said.parent() {
        create_directories(parent).map_err(|error| cannot_write(parent, error))?;
    }
    let log = create_log(said).map_err(|error| cannot_write(said, error))?;
    let output = match out {
        Some(file) => file,
        None => log.try_clone().map_err(|error| cannot_write(said, error))?,
    };
    let this = std::env::current_exe()
        .map_err(|error| Error::Usage(format!("this program cannot find itself: {error}")))?;
    let mut launcher = arguments.launcher.split_whitespace();
    let mut command = match launcher.next() {
        None => Command::new(&this),
        Some(program) => {
            let mut command = Command::new(program);
            command.args(launcher).arg(&this);
            command
        }
    };
    command.args(words).stdin(Stdio::null()).stdout(output).stderr(log);
    let program = command.get_program().display().to_string();
    let mut child =
        command.spawn().map_err(|error| Error::Usage(format!("{program} cannot be started: {error}")))?;
    let status =
        wait(&mut child, stop, UNTIL_ENDED).map_err(|error| Error::Usage(format!("{program}: {error}")))?;
    Ok(code(status))
}

/// Waits for `child`. Once `stop` is set, the child gets SIGUSR1. If it does not end, it gets SIGTERM after the first of
/// `limits`, and SIGKILL after the second.
fn wait(child: &mut Child, stop: &AtomicBool, limits: [Duration; 2]) -> std::io::Result<ExitStatus> {
    let [to_end, to_die] = limits;
    let mut next =
        [(Duration::ZERO, SIGUSR1), (to_end, SIGTERM), (to_end + to_die, SIGKILL)].into_iter().peekable();
    let mut stopped = None;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if stop.load(Ordering::Relaxed) {
            let since = *stopped.get_or_insert_with(Instant::now);
            while let Some((_, signal)) = next.next_if(|(at, _)| since.elapsed() >= *at) {
                // SAFETY: the child has not been waited for, so its process id cannot belong to another process.
                unsafe { libc::kill(child.id() as libc::pid_t, signal) };
            }
        }
        thread::sleep(PAUSE);
    }
}

/// As a shell reports it.
fn code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
}

fn text(path: &Path) -> Result<String> {
    let text = path.to_str().map(ToOwned::to_owned);
    text.ok_or_else(|| Error::Usage(format!("the path {} is not UTF-8", path.display())))
}

fn cannot_write(path: &Path, error: std::io::Error) -> Error {
    Error::run_dir(path, format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How a child that runs `script` ends after it is asked to stop, and how long that takes.
    fn ended(script: &str) -> (u8, Duration) {
        let begin = Instant::now();
        let mut child = Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
        // Wait until the child has set its traps.
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        let limits = [Duration::from_millis(400); 2];
        (code(wait(&mut child, &AtomicBool::new(true), limits).unwrap()), begin.elapsed())
    }

    #[test]
    fn a_run_that_does_not_end_after_a_signal_is_killed() {
        assert_eq!(ended("trap 'exit 75' USR1; echo; while :; do sleep 0.05; done").0, 75);
        assert_eq!(ended("trap '' USR1; echo; while :; do sleep 0.05; done").0, 128 + SIGTERM as u8);
        let (code, after) = ended("trap '' USR1 TERM; echo; while :; do sleep 0.05; done");
        assert_eq!(code, 128 + SIGKILL as u8);
        assert!((Duration::from_millis(800)..Duration::from_secs(20)).contains(&after), "{after:?}");
    }
}
