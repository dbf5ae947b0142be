//! `metrics.jsonl`: one event per line, written as it happens.

use std::fs::File;
use std::io::{BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Event, Status, json};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{open_append, open_regular, replace, whole_lines};

/// The longest line that is read, in bytes. This program does not write longer lines: a run of 10,000 stages ends with a
/// line of 1 MB.
const LONGEST_LINE: usize = 4 << 20;

/// The metrics file of a run, open for appending.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens `path`. Lines about steps after `step` are dropped, because a run that resumes from that step
    /// repeats them.
    pub fn open(path: impl AsRef<Path>, step: u64) -> Result<Metrics> {
        let path = path.as_ref().to_path_buf();
        let fail = |e: std::io::Error| Error::run_dir(&path, format!("cannot be written: {e}"));
        match path.symlink_metadata() {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            _ => replace(&path, |file| copy_lines(&path, step, file)).map_err(fail)?,
        }
        let file = open_append(&path).map_err(fail)?;
        Ok(Metrics { path, file })
    }

    /// Appends `event`, in one write so that a reader never sees half a line.
    pub fn write(&mut self, event: &Event) -> Result<()> {
        let mut line = json::to_text(event)
            .map_err(|e| Error::run_dir(&self.path, format!("cannot hold an event: {e}")))?;
        line.push('\n');
        self.file
            .write_all(line.as_bytes())
            .map_err(|e| Error::run_dir(&self.path, format!("cannot be written: {e}")))?;
        // No later write would sync it.
        if let Event::End(_) | Event::Failed { .. } = event { self.sync() } else { Ok(()) }
    }

    /// Waits until all events written so far are on the disk.
    ///
    /// # Errors
    /// [`Error::RunDir`] if that fails.
    pub fn sync(&self) -> Result<()> {
        self.file
            .sync_data()
            .map_err(|e| Error::run_dir(&self.path, format!("cannot be synced to the disk: {e}")))
    }
}

/// How the last run in a metrics file ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Last {
    /// The run ended like this.
    End(Status),
    /// The run was cut off: a user, the kernel or a lost node killed it before it could record its end.
    CutOff,
}

/// How the last run in the metrics file at `path` ended; `None` if there is no file, or no complete line in
/// it.
pub fn last(path: &Path) -> Option<Last> {
    let event = last_event(path)?;
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

/// The last complete line of the file at `path` that is an event.
pub fn last_event(path: &Path) -> Option<Value> {
    let mut file = open_regular(path).ok()?;
    let start = file.metadata().ok()?.len().saturating_sub(LONGEST_LINE as u64 + 1);
    file.seek(SeekFrom::Start(start)).ok()?;
    // The first bytes may be the end of a line, which is not JSON.
    whole_lines(file, LONGEST_LINE).map_while(std::io::Result::ok).filter_map(|line| parsed(&line)).last()
}

/// The event in `line`.
fn parsed(line: &[u8]) -> Option<Value> {
    serde_json::from_slice(line).ok().filter(Value::is_object)
}

/// Copies the lines of the file at `path` whose `step` is at most `step` to `file`. Drops a line that a kill cut short, and
/// everything else that is not an event.
fn copy_lines(path: &Path, step: u64, file: &File) -> std::io::Result<()> {
    let mut kept = BufWriter::new(file);
    for line in whole_lines(open_regular(path)?, LONGEST_LINE) {
        let line = line?;
        let at = parsed(&line).and_then(|event| event["step"].as_u64());
        if at.is_some_and(|at| at <= step) {
            kept.write_all(&line)?;
            kept.write_all(b"\n")?;
        }
    }
    kept.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Ending;
    use ternflock_base::error::Kind;

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
        // Far more than the limit.
        (2..3000).for_each(|step| metrics.write(&note(step)).unwrap());
        assert_eq!(last(&path), Some(Last::CutOff));
        let append = |line: &str| {
            let file = File::options().append(true).open(&path);
            file.unwrap().write_all(line.as_bytes()).unwrap();
        };
        // The format of earlier versions. Half a line, as a kill leaves behind, does not count.
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

    /// A byte that is not UTF-8, as in a line cut in the middle of a character, invalidates only its own line.
    #[test]
    fn resuming_drops_what_is_no_event() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let lines = [
            &b"{\"step\":1,\"text\":\"\xc3\xa9\"}\n"[..],
            b"{\"step\":1,\"text\":\"\xc3\n\xff\xfe\n\0\0\n[1]\n7\n",
            b"{\"step\":-1}\n{\"step\":1.5}\n{\"step\":\"1\"}\n{}\n",
            b"{\"step\":2}\n",
            b"{\"step\":1,\"text\":\"\xc3",
        ];
        std::fs::write(&path, lines.concat()).unwrap();
        assert_eq!(last(&path), Some(Last::CutOff));
        drop(Metrics::open(&path, 2).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), [lines[0], lines[3]].concat());
    }

    /// A hole of 1 GB, which takes no disk space, before the only line.
    #[test]
    fn a_long_line_takes_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.jsonl");
        let file = File::create(&path).unwrap();
        file.set_len(1 << 30).unwrap();
        (&file).seek(SeekFrom::End(0)).unwrap();
        (&file).write_all(b"\n{\"step\":1}\n").unwrap();
        assert_eq!(last(&path), Some(Last::CutOff));
        drop(Metrics::open(&path, 1).unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"step\":1}\n");
    }

    #[test]
    fn only_a_file_of_its_own_holds_events() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("outside"), "mine").unwrap();
        for target in ["outside", "nowhere"] {
            std::os::unix::fs::symlink(target, path("metrics.jsonl")).unwrap();
            let message = Metrics::open(path("metrics.jsonl"), 1).unwrap_err().to_string();
            assert!(message.contains("metrics.jsonl: cannot be written: it is a symbolic link"), "{message}");
            std::fs::remove_file(path("metrics.jsonl")).unwrap();
        }
        assert_eq!(std::fs::read(path("outside")).unwrap(), b"mine");
        assert!(!path("nowhere").exists());
    }
}
