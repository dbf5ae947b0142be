//! `ternflock init`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::arguments::Init;
use super::data::{Found, find};
use super::exit;
use super::launcher::is_not_first;
use super::numbers::{duration, thousands};
use super::output::{Format, check_new};
use super::streams::print;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{create_new, write_output};
use ternflock_base::text::plural;
use ternflock_init::{Draft, Facts, Proposal, Request, look, write};
use ternflock_job::{Loaded, parse};
use ternflock_tensor::set_threads;
use ternflock_train::{DryRun, dry_run};

/// The file that is written.
const JOB: Format = Format { name: "a job file", own: &["toml"] };

/// About as many samples of each split are read to describe the data, as by `ternflock data info`.
const SAMPLES: usize = 20_000;

/// The ranks for which the job is checked: those of the command that is printed.
const RANKS: usize = 2;

/// Writes a first job for the data at a path.
pub fn main(arguments: &Init) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match init(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn init(arguments: &Init) -> Result<String> {
    let output = arguments.output.clone().unwrap_or_else(|| default_output(&arguments.path));
    JOB.check("--output", &output)?;
    check_new(&output, arguments.overwrite)?;
    set_threads(std::thread::available_parallelism().map_or(1, usize::from))?;
    let rows = |rows: Option<u32>| rows.map(|rows| rows as usize);
    let proposal = look(&Request {
        path: &arguments.path,
        inputs: arguments.inputs.as_deref(),
        target: arguments.target.as_deref(),
        targets: arguments.targets.as_deref(),
        window: rows(arguments.window),
        horizon: rows(arguments.horizon),
    })?;
    let found = describe(&arguments.path, &proposal)?;
    let file = output.display().to_string();
    let stem = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let name = job_name(&stem);
    let facts = Facts {
        input: found.input,
        target: found.target,
        samples: found.training_samples(),
        info: &found.text(),
    };
    if facts.samples < RANKS {
        let samples = plural(facts.samples, "sample");
        let message = format!("leaves {samples} to train on, after the splits: a network needs more data");
        return Err(Error::data(&arguments.path, message));
    }
    let draft = write(&proposal, &facts, &in_shell(&output), Some(&*name).filter(|name| *name != stem))?;
    let run = check(&file, &stem, &draft).map_err(|error| about_data(&arguments.path, error))?;
    save(&output, &draft.text, arguments.overwrite)?;
    Ok(report(&output, &found, &proposal, &draft, &run))
}

/// Opens the data of `proposal` and looks at all of its sets.
fn describe(path: &Path, proposal: &Proposal) -> Result<Found> {
    let described = parse("the data".into(), &proposal.stand_in(), &[], None);
    described.and_then(|loaded| find(&loaded, SAMPLES)).map_err(|error| about_data(path, error))
}

/// Everything that `ternflock check` checks.
fn check(file: &str, stem: &str, draft: &Draft) -> Result<DryRun> {
    let loaded: Loaded = parse(file.to_owned(), &draft.text, &[], Some(stem))?;
    dry_run(&loaded, RANKS, RANKS)
}

/// `error` as one about the data at `path`, if its place is a line of a job that is not written.
fn about_data(path: &Path, error: Error) -> Error {
    match error {
        Error::Job { message, .. } => Error::data(path, message),
        error => error,
    }
}

/// Writes the job. Without `overwrite`, a file that has appeared in the meantime is not replaced.
fn save(output: &Path, text: &str, overwrite: bool) -> Result<()> {
    let written = match overwrite {
        true => write_output(output, text.as_bytes()),
        false => create_new(output, text.as_bytes()),
    };
    written.map_err(|error| Error::run_dir(output, format!("cannot be written: {error}")))
}

/// The name of the data with the ending of a job.
fn default_output(path: &Path) -> PathBuf {
    // A folder may be called `.`.
    let full = path.canonicalize().unwrap_or_default();
    let name = path.file_name().or(full.file_name()).unwrap_or_default().to_string_lossy().into_owned();
    let stem = match path.is_dir() {
        true => name,
        false => name.split_once('.').map_or(name.clone(), |(stem, _)| stem.to_owned()),
    };
    format!("{}.toml", job_name(&stem)).into()
}

/// The longest name of a job.
const LONGEST_NAME: usize = 100;

/// `stem` as a name of a job: other characters become hyphens.
fn job_name(stem: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let name: String = stem.chars().map(|letter| if fits(letter) { letter } else { '-' }).collect();
    let name: String = name
        .trim_start_matches(|letter: char| !letter.is_ascii_alphanumeric())
        .chars()
        .take(LONGEST_NAME)
        .collect();
    if name.is_empty() { "job".into() } else { name }
}

/// `path` as a word of a command.
fn in_shell(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain = |letter: char| letter.is_alphanumeric() || "._-/+=:,@%".contains(letter);
    match text.chars().all(is_plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

/// What was found and written, and what to do next.
fn report(output: &Path, found: &Found, proposal: &Proposal, draft: &Draft, run: &DryRun) -> String {
    let mut text = found.summary();
    proposal.choices.iter().for_each(|choice| text += &format!("{choice}\n"));
    let steps: u64 = run.stages.iter().map(|(_, steps)| steps).sum();
    let seconds = run.step_seconds * steps as f64;
    let time =
        if seconds < 1.0 { "less than a second".into() } else { format!("about {}", duration(seconds)) };
    let short = if draft.is_short { "; more epochs would probably give a better network" } else { "" };
    text += &format!(
        "\n{}: {} with {} parameters; {} steps, {time} of compute time{short}\n",
        output.display(),
        draft.network,
        thousands(run.parameters as u64),
        thousands(steps),
    );
    let job = in_shell(output);
    text + &format!("\nNext:\n  ternflock check {job}\n  mpirun -n {RANKS} ternflock train {job}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_data_become_names_of_jobs() {
        for (stem, name) in [
            ("a", "a"),
            ("my data", "my-data"),
            ("_ä.b", "b"),
            ("", "job"),
            ("日本", "job"),
            ("2024", "2024"),
        ] {
            assert_eq!(job_name(stem), name);
        }
        assert_eq!(job_name(&"x".repeat(300)).len(), LONGEST_NAME);
        assert_eq!(default_output(Path::new("a/my data.csv.gz")), Path::new("my-data.toml"));
        assert!(default_output(Path::new(".")).extension().is_some());
        assert_eq!(in_shell(Path::new("a/b.toml")), "a/b.toml");
        assert_eq!(in_shell(Path::new("it's.toml")), "'it'\\''s.toml'");
    }
}
