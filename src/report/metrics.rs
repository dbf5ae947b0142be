//! `metrics.jsonl`: one event a line, as it happens.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Event, Status, json};
use crate::error::{Error, Result};
use crate::io::open_regular;

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

/// How the last run in a file of events ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Last {
    /// The run ended like this.
    End(Status),
    /// The run was cut off: a user, the kernel or a lost node killed it before it could record its end.
    CutOff,
}

/// How the last run in the file of events at `path` ended; `None` if there is no file, or no complete line in it.
pub fn last(path: &Path) -> Option<Last> {
    // Lines are far shorter than this.
    const TAIL: u64 = 1 << 16;
    let mut file = open_regular(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(TAIL);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut tail)).ok()?;
    let events = tail.split(|&byte| byte == b'\n').rev();
    let event: serde_json::Value = events.filter_map(|line| serde_json::from_slice(line).ok()).next()?;
    if event["event"] != "end" {
        return Some(Last::CutOff);
    }
    let status = serde_json::from_value(event["status"].clone()).unwrap_or(match event["complete"] == true {
        // A version that did not write the status.
        true => Status::Complete,
        false => Status::Interrupted,
    });
    Some(Last::End(status))
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
    for line in BufReader::new(open_regular(path)?).lines() {
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
    use crate::error::Kind;
    use crate::report::Ending;

    fn note(step: u64) -> Event {
        Event::Note { step, text: "x".into() }
    }

    #[test]
    fn the_last_line_says_how_a_run_ended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        assert_eq!(last(&path), None);
        let mut metrics = Metrics::open(&path, 0).unwrap();
        assert_eq!(last(&path), None);
        metrics.write(&note(1)).unwrap();
        assert_eq!(last(&path), Some(Last::CutOff));
        let ending = Ending::by(Kind::NonFinite);
        let error = "x".repeat(1000);
        metrics.write(&Event::Failed { step: 7, complete: false, ending, error }).unwrap();
        assert_eq!(last(&path), Some(Last::End(Status::Diverged)));
        let text = std::fs::read_to_string(&path).unwrap();
        let end: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        let shown = ["event", "step", "complete", "status", "exit_code"].map(|key| end[key].to_string());
        assert_eq!(shown, ["\"end\"", "7", "false", "\"diverged\"", "6"]);
        assert!(end["time"].as_str().unwrap().ends_with('Z') && end["error"].is_string(), "{end}");
        // Far more than is read.
        (2..3000).for_each(|step| metrics.write(&note(step)).unwrap());
        assert_eq!(last(&path), Some(Last::CutOff));
        let append = |line: &str| {
            let file = OpenOptions::new().append(true).open(&path);
            file.unwrap().write_all(line.as_bytes()).unwrap();
        };
        // As earlier versions wrote it. Half a line, which a kill leaves behind, does not count.
        append("{\"event\":\"end\",\"step\":9,\"complete\":true}\n{\"ev");
        assert_eq!(last(&path), Some(Last::End(Status::Complete)));
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
