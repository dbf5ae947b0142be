//! `metrics.jsonl`: one event a line, as it happens.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use super::{Event, json};
use crate::error::{Error, Result};

/// The metrics file of a run, open for appending.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens `path`. Lines about steps after `step` are dropped: a run that resumes from that step does them again.
    pub fn open(path: impl AsRef<Path>, step: u64) -> Result<Metrics> {
        let path = path.as_ref().to_path_buf();
        let fail = |e: std::io::Error| Error::run_dir(&path, format!("cannot be written: {e}"));
        if path.exists() {
            let kept = lines_up_to(&path, step).map_err(fail)?;
            write_whole(&path, &kept).map_err(fail)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(fail)?;
        Ok(Metrics { path, file })
    }

    /// Appends `event`, in one write so that a reader never sees half a line.
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let mut line = json::to_text(event)
            .map_err(|e| Error::run_dir(&self.path, format!("cannot hold an event: {e}")))?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(|e| Error::run_dir(&self.path, format!("cannot be written: {e}")))
    }
}

/// Writes `text` so that `path` holds all of it or what it held before.
pub fn write_whole(path: &Path, text: &str) -> std::io::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)
}

/// The whole lines of the file whose `step` is at most `step`; a line cut short by a kill is dropped.
fn lines_up_to(path: &Path, step: u64) -> std::io::Result<String> {
    let mut kept = String::new();
    for line in BufReader::new(File::open(path)?).lines() {
        let line = line?;
        let value: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if value.get("step").and_then(serde_json::Value::as_u64).is_some_and(|at| at <= step) {
            kept.push_str(&line);
            kept.push('\n');
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(step: u64) -> Event {
        Event::Note { step, text: "x".into() }
    }

    #[test]
    fn resuming_drops_what_will_be_done_again_and_half_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(&path, 0).unwrap();
        (1..=4).for_each(|step| metrics.write(&note(step)).unwrap());
        std::fs::OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"ev").unwrap();
        Metrics::open(&path, 2).unwrap().write(&note(3)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let steps: Vec<u64> = text
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64().unwrap())
            .collect();
        assert_eq!(steps, [1, 2, 3]);
    }
}
