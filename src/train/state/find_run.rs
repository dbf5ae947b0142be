//! Finds the run that `--resume` means, by the stored name of a run and by its start time, never by its path alone.

use std::path::{Path, PathBuf};

use crate::state::run_record::RunRecord;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_text;
use ternflock_job::{MOST_BYTES, parse_table};

const NOTHING: &str = "holds no run to resume; start one without --resume";

/// A run below `runs/`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    path: PathBuf,
    name: String,
    started: String,
}

/// The run to resume, and a note if there was a choice. It is the run in `asked` or, without it, the most
/// recently started run in `runs` whose job is called `name`.
///
/// # Errors
/// [`Error::RunDir`] when there is none.
pub(crate) fn find(runs: &Path, name: &str, asked: Option<&Path>) -> Result<(PathBuf, Option<String>)> {
    let nothing = |path| Err(Error::run_dir(path, NOTHING));
    match asked {
        Some(path) if is_used(path) => return Ok((path.into(), None)),
        Some(path) => return nothing(path.to_owned()),
        None => {}
    }
    let mut all = all(runs);
    all.sort_by(|a, b| (&a.started, &a.path).cmp(&(&b.started, &b.path)));
    let (mut found, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|run| run.name == name);
    let newest = match (found.pop(), &others[..]) {
        (Some(newest), _) => newest,
        (None, []) => return nothing(runs.join(name)),
        (None, others) => return Err(no_such_name(runs, name, others)),
    };
    let others: Vec<_> = found.iter().rev().map(|other| other.path.display().to_string()).collect();
    let note = (!others.is_empty()).then(|| {
        format!(
            "of {} runs named `{name}`, the one started last is resumed: {} of {} (the others: {}; --resume \
             RUN_DIR chooses another)",
            others.len() + 1,
            newest.path.display(),
            newest.started.split('.').next().unwrap_or_default(),
            others.join(", ")
        )
    });
    Ok((newest.path, note))
}

/// The error that no run in `runs` is called `name`. `others` are the runs with other names.
fn no_such_name(runs: &Path, name: &str, others: &[Found]) -> Error {
    const SHOWN: usize = 5;
    let shown: Vec<_> = others
        .iter()
        .rev()
        .take(SHOWN)
        .map(|run| format!("{} (`{}`)", run.path.display(), run.name))
        .collect();
    let more = if others.len() > SHOWN { ", ..." } else { "" };
    let message = format!(
        "{NOTHING}. The runs in {} have other names: {}{more}; one that was renamed (--set name=...) is resumed with --resume \
         RUN_DIR",
        runs.display(),
        shown.join(", ")
    );
    Error::run_dir(runs.join(name), message)
}

/// The runs directly below `runs`.
fn all(runs: &Path) -> Vec<Found> {
    let Ok(entries) = std::fs::read_dir(runs) else { return Vec::new() };
    let run = |path: PathBuf| {
        let name = stored_name(&path)?;
        // If the record of the newest run is damaged, report that error; do not resume an older run.
        let record = RunRecord::read(&path).unwrap_or_else(|_| RunRecord::lost(&path));
        Some(Found { path, name, started: record.started })
    };
    entries.filter_map(|entry| run(entry.ok()?.path())).collect()
}

/// The name of the job whose run is in `path`.
fn stored_name(path: &Path) -> Option<String> {
    let text = read_text(&path.join("job.toml"), MOST_BYTES).ok()?;
    let job = parse_table(&text).ok()?;
    Some(job.get("name")?.as_str()?.to_owned())
}

/// Whether `path` has held a run.
pub(crate) fn is_used(path: &Path) -> bool {
    ["job.toml", "metrics.jsonl", "checkpoints"].iter().any(|name| path.join(name).symlink_metadata().is_ok())
}

/// The directory of the run whose own job file is `file`: a `job.toml` next to another file that a run
/// writes. Without such a file it may be a job file that the user wrote.
pub fn run_of_job(file: &Path) -> Option<PathBuf> {
    let parent = file.parent()?;
    let directory = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
    let is_run = || ["run.toml", "metrics.jsonl", ".lock"].iter().any(|name| directory.join(name).exists());
    (file.file_name()? == "job.toml" && file.is_file() && is_run()).then(|| directory.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(runs: &Path, directory: &str, name: &str, started: &str) -> PathBuf {
        let path = runs.join(directory);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("job.toml"), format!("name = \"{name}\"\n")).unwrap();
        let record = RunRecord { started: started.into(), ..RunRecord::default() };
        record.write(&path).unwrap();
        path
    }

    #[test]
    fn jobs_whose_directories_look_alike_keep_their_runs_apart() {
        let runs = tempfile::tempdir().unwrap();
        // The second run of `a`, and the first run of a job called `a-2`, which found its directory taken.
        let first = run(runs.path(), "a", "a", "2026-01-01T00:00:00.000001Z");
        let second = run(runs.path(), "a-2", "a", "2026-01-02T00:00:00.000001Z");
        let other = run(runs.path(), "a-2-2", "a-2", "2026-01-03T00:00:00.000001Z");
        let (path, note) = find(runs.path(), "a", None).unwrap();
        assert_eq!(path, second);
        let note = note.unwrap();
        let said = format!("of 2 runs named `a`, the one started last is resumed: {}", second.display());
        assert!(note.starts_with(&said) && note.contains(first.to_str().unwrap()), "{note}");
        assert_eq!(find(runs.path(), "a-2", None).unwrap(), (other, None));
    }

    #[test]
    fn the_newest_run_is_found_whatever_its_number() {
        let runs = tempfile::tempdir().unwrap();
        // First a gap, then a newer run that takes the free number, then one in a directory that the user
        // chose.
        let second = run(runs.path(), "a-2", "a", "2026-01-02T00:00:00.000001Z");
        assert_eq!(find(runs.path(), "a", None).unwrap(), (second.clone(), None));
        let first = run(runs.path(), "a", "a", "2026-01-02T00:00:00.000002Z");
        assert_eq!(find(runs.path(), "a", None).unwrap().0, first);
        let own = run(runs.path(), "mine", "a", "2026-01-03T00:00:00.000000Z");
        assert_eq!(find(runs.path(), "a", None).unwrap().0, own);
        assert_eq!(find(runs.path(), "a", Some(&second)).unwrap(), (second, None));
    }

    #[test]
    fn a_run_without_a_record_was_started_when_its_job_was_written() {
        let runs = tempfile::tempdir().unwrap();
        let old = run(runs.path(), "a-2", "a", "");
        std::fs::remove_file(old.join("run.toml")).unwrap();
        run(runs.path(), "a", "a", "2001-01-01T00:00:00.000000Z");
        assert_eq!(find(runs.path(), "a", None).unwrap().0, old);
    }

    #[test]
    fn what_is_no_time_does_not_make_a_run_the_newest() {
        let runs = tempfile::tempdir().unwrap();
        let newest = run(runs.path(), "a-2", "a", "2999-01-01T00:00:00.000000Z");
        let damaged = run(runs.path(), "a", "a", "banana");
        assert_eq!(find(runs.path(), "a", None).unwrap().0, newest);
        let message = RunRecord::read(&damaged).unwrap_err().to_string();
        assert!(
            message.contains("run.toml: is not what the program wrote: `started = \"banana\"`"),
            "{message}"
        );
    }

    #[test]
    fn a_run_of_another_name_is_shown() {
        let runs = tempfile::tempdir().unwrap();
        let nothing = |runs: &Path| find(runs, "a", None).unwrap_err().to_string();
        assert!(nothing(runs.path()).contains("a: holds no run to resume"));
        let renamed = run(runs.path(), "b", "b", "2026-01-01T00:00:00.000001Z");
        let message = nothing(runs.path());
        assert!(
            message.contains("a: holds no run to resume; start one without --resume. The runs in "),
            "{message}"
        );
        assert!(message.contains(&format!("{} (`b`)", renamed.display())), "{message}");
    }

    #[test]
    fn the_job_file_of_a_run_means_its_directory() {
        let runs = tempfile::tempdir().unwrap();
        let first = run(runs.path(), "a", "a", "2026-01-01T00:00:00.000001Z");
        assert_eq!(run_of_job(&first.join("job.toml")), Some(first.clone()));
        std::fs::copy(first.join("job.toml"), first.join("other.toml")).unwrap();
        assert_eq!(run_of_job(&first.join("other.toml")), None);
        // A user may call his own job so.
        std::fs::copy(first.join("job.toml"), runs.path().join("job.toml")).unwrap();
        assert_eq!(run_of_job(&runs.path().join("job.toml")), None);
        assert_eq!(run_of_job(&runs.path().join("nowhere/job.toml")), None);
        // From a version that kept no record.
        std::fs::rename(first.join("run.toml"), first.join("metrics.jsonl")).unwrap();
        assert_eq!(run_of_job(&first.join("job.toml")), Some(first));
    }

    #[test]
    fn what_is_no_run_of_the_name_is_not_found() {
        let runs = tempfile::tempdir().unwrap();
        let none = find(runs.path(), "a", None).unwrap_err().to_string();
        assert!(none.ends_with("/a: holds no run to resume; start one without --resume"), "{none}");
        // A directory with the expected name that holds another job's run, and one that holds no job.
        run(runs.path(), "a", "b", "2026-01-01T00:00:00.000001Z");
        std::fs::create_dir_all(runs.path().join("a-2")).unwrap();
        std::fs::write(runs.path().join("a-2/job.toml"), "name = ").unwrap();
        assert!(find(runs.path(), "a", None).is_err());
        let asked = runs.path().join("nowhere");
        assert!(
            find(runs.path(), "a", Some(&asked)).unwrap_err().to_string().contains("nowhere: holds no run")
        );
        assert!(find(&asked, "a", None).is_err());
    }
}
