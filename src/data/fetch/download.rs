//! Resumable downloads of limited size.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ureq::http::{HeaderMap, StatusCode};

use super::Progress;
use super::http::{Rest, get, header};
use ternflock_base::io::{create_log, open_append, read_text, rename, write_output};

/// The interval between two progress reports.
const REPORT: Duration = Duration::from_millis(200);

/// The maximum size in bytes of a validator, which is a response header.
const MOST_VALIDATOR: u64 = 1 << 16;

/// A download to a file in a directory. Until it is complete, the file has the extension `part`. A file with the extension
/// `validator` next to it identifies the version being downloaded.
struct Download<'a> {
    address: &'a str,
    name: &'a str,
    part: PathBuf,
    validator: PathBuf,
    /// The maximum size of the file in bytes.
    most: u64,
}

/// Downloads `address`, a file of at most `most` bytes, to the file `name` in `directory` unless that file exists. A
/// partial download is resumed if the file on the server has not changed.
pub fn download(
    address: &str,
    name: &str,
    directory: &Path,
    most: u64,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), String> {
    let whole = directory.join(name);
    if whole.is_file() {
        return Ok(());
    }
    let [part, validator] = ["part", "validator"].map(|ending| directory.join(format!("{name}.{ending}")));
    let download = Download { address, name, part, validator, most };
    if !download.attempt(tell)? {
        // The partial file does not match the file on the server.
        remove(&download.part)?;
        download.attempt(tell)?;
    }
    rename(&download.part, &whole).map_err(|error| blame(&download.part, &error))?;
    remove(&download.validator)
}

impl Download<'_> {
    /// Downloads the rest of the file, or all of it. Returns false if the partial file does not match the one on the
    /// server.
    fn attempt(&self, tell: &mut dyn FnMut(Progress)) -> Result<bool, String> {
        let from = fs::metadata(&self.part).map_or(0, |data| data.len());
        let validator = read_text(&self.validator, MOST_VALIDATOR).ok();
        let response = get(self.address, Rest { from, of: validator.as_deref() })?;
        let (status, headers) = (response.status(), response.headers());
        let (start, total) = match status {
            StatusCode::PARTIAL_CONTENT => match range(headers) {
                Some((start, total)) if start == from => (start, total),
                _ => return Ok(false),
            },
            StatusCode::OK => (0, header(headers, "content-length").and_then(|length| length.parse().ok())),
            StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Ok(false),
            status => return Err(format!("the server answers {status}")),
        };
        if let Some(total) = total.filter(|&total| total > self.most) {
            return Err(format!("has {total} bytes, but the data set has at most {}", self.most));
        }
        let file = self.open(start, validator_of(headers))?;
        self.write(response.into_body().into_reader(), file, start, total, tell)?;
        Ok(true)
    }

    /// Opens the partial file, which holds the first `start` bytes, for appending. `validator` is stored next to it.
    fn open(&self, start: u64, validator: Option<&str>) -> Result<File, String> {
        if start > 0 {
            return open_append(&self.part).map_err(|error| blame(&self.part, &error));
        }
        match validator {
            Some(validator) => {
                write_output(&self.validator, validator.as_bytes())
                    .map_err(|error| blame(&self.validator, &error))?;
            }
            None => remove(&self.validator)?,
        }
        create_log(&self.part).map_err(|error| blame(&self.part, &error))
    }

    /// Appends `content` to `file`, which holds `done` bytes of `total`.
    fn write(
        &self,
        mut content: impl Read,
        mut file: File,
        mut done: u64,
        total: Option<u64>,
        tell: &mut dyn FnMut(Progress),
    ) -> Result<(), String> {
        let mut told = Instant::now();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = match content.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(format!("ended after {done} bytes: {error}")),
            };
            done += count as u64;
            if done > self.most {
                remove(&self.part)?;
                return Err(format!("has more than {} bytes, the maximum for this data set", self.most));
            }
            file.write_all(&buffer[..count]).map_err(|error| blame(&self.part, &error))?;
            if told.elapsed() >= REPORT {
                told = Instant::now();
                tell(Progress::Bytes { name: self.name, done, total });
            }
        }
        tell(Progress::Bytes { name: self.name, done, total });
        match total {
            Some(total) if total != done => Err(format!("ended after {done} of {total} bytes")),
            _ => Ok(()),
        }
    }
}

/// The start of the range in the response, and the size of the complete file if it is known.
fn range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, total) = header(headers, "content-range")?.strip_prefix("bytes ")?.split_once('/')?;
    Some((range.split_once('-')?.0.parse().ok()?, total.parse().ok()))
}

/// The value for `If-Range`, which detects whether a file has changed.
fn validator_of(headers: &HeaderMap) -> Option<&str> {
    let tag = header(headers, "etag").filter(|tag| !tag.starts_with("W/"));
    tag.or_else(|| header(headers, "last-modified"))
}

fn remove(path: &Path) -> Result<(), String> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(blame(path, &error)),
        _ => Ok(()),
    }
}

fn blame(path: &Path, error: &std::io::Error) -> String {
    format!("{}: {error}", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::super::test_site::Server;
    use super::*;

    const SIZE: usize = 100_000;

    /// The response with the complete file of `b`s, or with the rest from `start` on.
    fn answer(start: usize, extra: &str) -> Vec<u8> {
        let status = match start {
            0 => "200 OK".to_owned(),
            _ => format!("206 Partial Content\r\nContent-Range: bytes {start}-{}/{SIZE}", SIZE - 1),
        };
        let length = SIZE - start;
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{extra}Connection: close\r\n\r\n");
        [head.as_bytes(), &vec![b'b'; length]].concat()
    }

    /// The last progress report: bytes so far and in total.
    type Last = Option<(u64, Option<u64>)>;

    fn fetch(server: &Server, directory: &Path, most: u64) -> (Result<(), String>, Last) {
        let mut last = None;
        let mut tell = |progress: Progress| {
            if let Progress::Bytes { done, total, .. } = progress {
                last = Some((done, total));
            }
        };
        (download(&server.address(), "x", directory, most, &mut tell), last)
    }

    #[test]
    fn what_was_cut_off_goes_on_where_it_ended() {
        let directory = tempfile::tempdir().unwrap();
        let (whole, part) = (directory.path().join("x"), directory.path().join("x.part"));
        for ranges in [true, false] {
            fs::write(&part, vec![b'a'; 40_000]).unwrap();
            let server = Server::answering(vec![answer(if ranges { 40_000 } else { 0 }, "")]);
            let (outcome, last) = fetch(&server, directory.path(), SIZE as u64);
            outcome.unwrap();
            // Either the earlier bytes are still there, or the server sent the complete file.
            let first = if ranges { b'a' } else { b'b' };
            let content = fs::read(&whole).unwrap();
            assert!(content == [vec![first; 40_000], vec![b'b'; 60_000]].concat(), "ranges: {ranges}");
            assert_eq!(server.requests()[0].range.as_deref(), Some("bytes=40000-"));
            assert_eq!(last, Some((100_000, Some(100_000))));
            // The file exists now, so no request is made.
            download("http://127.0.0.1:1/", "x", directory.path(), 1, &mut |_| ()).unwrap();
            fs::remove_file(&whole).unwrap();
        }
    }

    #[test]
    fn what_ends_too_early_is_kept_and_continued_if_the_file_is_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let cut = answer(0, "ETag: \"one\"\r\n")[..40_000].to_vec();
        let server = Server::answering(vec![cut, answer(39_000, "ETag: \"one\"\r\n")]);
        let reason = fetch(&server, directory.path(), SIZE as u64).0.unwrap_err();
        assert!(reason.starts_with("ended after "), "{reason}");
        let kept = fs::metadata(directory.path().join("x.part")).unwrap().len();
        assert!(kept > 39_000 && !directory.path().join("x").exists(), "{kept}");
        OpenOptions::new()
            .write(true)
            .open(directory.path().join("x.part"))
            .unwrap()
            .set_len(39_000)
            .unwrap();
        fetch(&server, directory.path(), SIZE as u64).0.unwrap();
        assert_eq!(fs::read(directory.path().join("x")).unwrap(), vec![b'b'; SIZE]);
        let asked = &server.requests()[1];
        assert_eq!(
            (asked.range.as_deref(), asked.if_range.as_deref()),
            (Some("bytes=39000-"), Some("\"one\""))
        );
        assert!(!directory.path().join("x.validator").exists());
    }

    #[test]
    fn another_range_than_was_asked_for_is_not_appended() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("x.part"), vec![b'a'; 40_000]).unwrap();
        let server = Server::answering(vec![answer(30_000, ""), answer(0, "")]);
        fetch(&server, directory.path(), SIZE as u64).0.unwrap();
        assert_eq!(fs::read(directory.path().join("x")).unwrap(), vec![b'b'; SIZE]);
        assert_eq!(server.requests()[1].range, None);
    }

    #[test]
    fn no_more_is_downloaded_than_the_data_set_has() {
        let directory = tempfile::tempdir().unwrap();
        let without_length =
            [&b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"[..], &vec![b'b'; SIZE]].concat();
        for (answer, expected) in [
            (answer(0, ""), "has 100000 bytes, but the data set has at most 99999"),
            (without_length, "has more than 99999 bytes, the maximum for this data set"),
        ] {
            let reason = fetch(&Server::answering(vec![answer]), directory.path(), 99_999).0.unwrap_err();
            assert_eq!(reason, expected);
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}
