//! Resumable downloads, with the tools of the machine: curl, or else wget.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use super::program::{DEADLINE, Watch, run};

/// How long another's lock is waited for.
const LOCKED: Duration = Duration::from_secs(2);

/// Progress of a fetch.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A sentence.
    Line(&'a str),
    /// The number of bytes so far, reported several times a second, with the `total` if it is known.
    Bytes {
        /// The file, or the program that fetches it.
        name: &'a str,
        /// Bytes so far.
        done: u64,
        /// Total bytes, if known.
        total: Option<u64>,
    },
}

/// Where downloads are kept until they are complete and checked: a directory next to their destination, so that an
/// interrupted download is still there next time.
pub(super) struct Downloads {
    directory: PathBuf,
    /// Held while this process downloads there.
    lock: Option<File>,
    /// Whether the directory that was asked for last held something already.
    continues: bool,
}

impl Downloads {
    /// Downloads for the directory `into`. Nothing is created there before the first download.
    pub fn into(into: &Path) -> Downloads {
        Downloads { directory: into.join(".download"), lock: None, continues: false }
    }

    /// A directory for the downloads from `address`, or the reason why there is none.
    pub fn from(&mut self, address: &str) -> Result<PathBuf, String> {
        let directory = self.directory.join(format!("{:016x}", xxh3_64(address.as_bytes())));
        fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        if self.lock.is_none() {
            let path = self.directory.join("lock");
            let lock = File::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            // A process that another thread is just starting holds it too, until it runs its own program.
            let start = Instant::now();
            // Download even if the file system has no locks.
            while let Err(TryLockError::WouldBlock) = lock.try_lock() {
                if start.elapsed() > LOCKED {
                    return Err(format!("{}: another process is downloading there", path.display()));
                }
                thread::sleep(Duration::from_millis(20));
            }
            self.lock = Some(lock);
        }
        self.continues = files_in(&directory).any(|file| !has_ending(&file, "headers"));
        Ok(directory)
    }

    /// Whether an earlier attempt left something at the destination of the last download.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Removes the files that were completely downloaded from `address` unless `is_right` accepts them, and returns whether
    /// there were any. A partial file stays: the next attempt continues it.
    pub fn discard(&self, address: &str, is_right: &dyn Fn(&Path) -> bool) -> bool {
        let directory = self.directory.join(format!("{:016x}", xxh3_64(address.as_bytes())));
        let whole =
            files_in(&directory).filter(|file| !has_ending(file, "headers") && !has_ending(file, "part"));
        let wrong: Vec<_> = whole.filter(|file| !is_right(file)).collect();
        // If this fails, the next check fails too and reports it.
        wrong.iter().for_each(|file| fs::remove_file(file).unwrap_or_default());
        !wrong.is_empty()
    }

    /// Removes everything, unless there is something that the next attempt can reuse.
    pub fn give_up(self) {
        let directories = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut files = directories.flat_map(|entry| files_in(&entry.path()).collect::<Vec<_>>());
        if !files.any(|file| !has_ending(&file, "headers")) {
            self.finish();
        }
    }

    /// Removes everything.
    pub fn finish(self) {
        if self.lock.is_some() {
            // Leftovers take space but do no harm.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn files_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|found| found == ending)
}

/// Downloads `address` to the file `name` in `directory` unless it exists. A partial download is continued.
pub(super) fn download(
    address: &str,
    name: &str,
    directory: &Path,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), String> {
    let (whole, part) = (directory.join(name), directory.join(format!("{name}.part")));
    if whole.is_file() {
        return Ok(());
    }
    let outcome = attempt(address, name, directory, tell).or_else(|reason| {
        if !(cannot_resume(&reason) && part.is_file()) {
            return Err(reason);
        }
        fs::remove_file(&part).map_err(|error| format!("{}: {error}", part.display()))?;
        attempt(address, name, directory, tell)
    });
    outcome.and_then(|()| fs::rename(&part, &whole).map_err(|error| format!("{}: {error}", part.display())))
}

/// Whether curl's `reason` means that the server cannot send the rest of a file, or has a different file by now.
fn cannot_resume(reason: &str) -> bool {
    ["(33)", "(36)", "error: 416"].iter().any(|sign| reason.contains(sign))
}

fn attempt(
    address: &str,
    name: &str,
    directory: &Path,
    tell: &mut dyn FnMut(Progress),
) -> Result<(), String> {
    let part = format!("{name}.part");
    let headers = format!("{name}.headers");
    let size = |file: &str| fs::metadata(directory.join(file)).map_or(0, |data| data.len());
    let mut watch = || {
        let done = size(&part);
        let total = fs::read(directory.join(&headers)).ok();
        let total = total.and_then(|headers| total_of(&String::from_utf8_lossy(&headers)));
        tell(Progress::Bytes { name, done, total });
        done
    };
    let mut watch = Watch::new(DEADLINE, &mut watch);
    let curl = ["--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20"];
    let stalled = ["--speed-limit", "1", "--speed-time", "60", "--continue-at", "-"];
    let files = ["--dump-header", &headers, "--output", &part, address];
    let outcome = run("curl", curl.into_iter().chain(stalled).chain(files), directory, &mut watch);
    outcome.or_else(|first| {
        if cannot_resume(&first) {
            return Err(first);
        }
        let wget = ["--no-verbose", "--tries=2", "--timeout=20", "--continue", "--output-document"];
        run("wget", wget.into_iter().chain([part.as_str(), address]), directory, &mut watch)
            .map_err(|second| format!("{first}; {second}"))
    })
}

/// The size of the whole file according to the last response in `headers`.
fn total_of(headers: &str) -> Option<u64> {
    let last = headers.rfind("HTTP/").map_or(headers, |at| &headers[at..]);
    let value = |name: &str| {
        last.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let range = value("content-range").and_then(|range| range.rsplit('/').next()?.parse().ok());
    range.or_else(|| value("content-length")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_size_is_that_of_the_whole_file() {
        let moved = "HTTP/1.1 302 Found\r\nContent-Length: 7\r\n\r\n";
        let all = format!("{moved}HTTP/2 200\r\ncontent-length: 1000\r\n\r\n");
        let rest = format!(
            "{moved}HTTP/1.1 206 Partial\r\nContent-Length: 600\r\nContent-Range: bytes 400-999/1000\r\n"
        );
        assert_eq!([&all, &rest, ""].map(total_of), [Some(1000), Some(1000), None]);
    }

    /// Serves a file of 100,000 bytes. It sends only 40,000 of them to the first request; then, depending on `ranges`,
    /// the requested range or the whole file. Returns its address and the requested ranges.
    fn server(ranges: bool, requests: usize) -> (String, thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/file", listener.local_addr().unwrap());
        let serve = move || {
            let mut asked = Vec::new();
            for number in 0..requests {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map_while(Result::ok).take_while(|line| !line.is_empty());
                let range = lines.filter(|line| line.to_lowercase().starts_with("range:")).last();
                let body = vec![b'b'; 100_000];
                let (status, body) = match &range {
                    None if number == 0 => ("200 OK\r\nContent-Length: 100000", &body[..40_000]),
                    Some(_) if ranges => (
                        "206 Partial\r\nContent-Length: 60000\r\nContent-Range: bytes 40000-99999/100000",
                        &body[40_000..],
                    ),
                    _ => ("200 OK\r\nContent-Length: 100000", &body[..]),
                };
                // A client that cannot resume disconnects in the middle.
                let _ =
                    write!(stream, "HTTP/1.1 {status}\r\nAccept-Ranges: bytes\r\nConnection: close\r\n\r\n")
                        .and_then(|()| stream.write_all(body));
                asked.push(range.unwrap_or_default().to_lowercase());
            }
            asked
        };
        (address, thread::spawn(serve))
    }

    /// Uses curl only, each time.
    fn has_curl() -> bool {
        std::process::Command::new("curl").arg("--version").output().is_ok()
    }

    #[test]
    fn what_was_cut_off_goes_on_where_it_ended() {
        if !has_curl() {
            return eprintln!("skipped: there is no curl");
        }
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("x.part"), vec![b'a'; 40_000]).unwrap();
        for ranges in [true, false] {
            let (address, server) = server(ranges, if ranges { 1 } else { 2 });
            let mut last = None;
            let mut tell = |progress: Progress| {
                if let Progress::Bytes { done, total, .. } = progress {
                    last = Some((done, total));
                }
            };
            download(&address, "x", directory.path(), &mut tell).unwrap();
            let content = std::fs::read(directory.path().join("x")).unwrap();
            // Either the earlier bytes are still there, or the server sent the whole file.
            let first = if ranges { b'a' } else { b'b' };
            assert!(content == [vec![first; 40_000], vec![b'b'; 60_000]].concat(), "ranges: {ranges}");
            assert_eq!(server.join().unwrap()[0], "range: bytes=40000-");
            assert_eq!(last, Some((100_000, Some(100_000))));
            // The file is there now, so there is no request.
            download("http://127.0.0.1:1/", "x", directory.path(), &mut |_| ()).unwrap();
            std::fs::rename(directory.path().join("x"), directory.path().join("x.part")).unwrap();
            std::fs::write(directory.path().join("x.part"), vec![b'a'; 40_000]).unwrap();
        }
    }

    #[test]
    fn two_processes_do_not_download_into_one_file() {
        let into = tempfile::tempdir().unwrap();
        let (mut one, mut other) = (Downloads::into(into.path()), Downloads::into(into.path()));
        let directory = one.from("a").unwrap();
        assert_eq!(one.from("a").unwrap(), directory);
        assert_ne!(one.from("b").unwrap(), directory);
        assert!(other.from("a").unwrap_err().contains("another process is downloading there"));
        other.finish();
        std::fs::write(directory.join("x.part"), "half").unwrap();
        for (name, stays) in [("right.gz", true), ("wrong.gz", false)] {
            let file = one.from("b").unwrap().join(name);
            std::fs::write(&file, "").unwrap();
            assert_eq!(one.discard("b", &|file| file.ends_with("right.gz")), !stays);
            assert_eq!((file.is_file(), one.continues()), (stays, !stays));
        }
        assert!(one.discard("b", &|_| false), "a right file is not right for everyone");
        assert!(!one.discard("a", &|_| false), "half a file");
        std::fs::write(directory.join("x.headers"), "").unwrap();
        one.give_up();
        assert!(directory.join("x.part").is_file());
        std::fs::remove_file(directory.join("x.part")).unwrap();
        let mut one = Downloads::into(into.path());
        one.from("a").unwrap();
        one.give_up();
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0, "headers are of no use");
        let mut one = Downloads::into(into.path());
        std::fs::write(one.from("a").unwrap().join("x.gz"), "").unwrap();
        one.finish();
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0);
    }
}
