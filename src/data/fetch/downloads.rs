//! Stores downloads until they are checked.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use xxhash_rust::xxh3::xxh3_64;

use ternflock_base::io::{Lock, create_directories, lock};

/// How long to wait for a lock that another process holds.
const LOCKED: Duration = Duration::from_secs(2);

/// Stores downloads until they are complete and checked, in a directory next to their destination, so that an interrupted
/// download can be resumed.
pub(super) struct Downloads {
    directory: PathBuf,
    /// Held while this process downloads there. `None` on a file system without locks.
    lock: Option<File>,
    is_ours: bool,
    /// Whether the most recently requested directory already contained something.
    continues: bool,
}

impl Downloads {
    /// Downloads for the directory `into`. Nothing is created there before the first download.
    pub fn into(into: &Path) -> Downloads {
        Downloads { directory: into.join(".download"), lock: None, is_ours: false, continues: false }
    }

    /// A directory for the downloads from `address`, or the reason why there is none.
    pub fn from(&mut self, address: &str) -> Result<PathBuf, String> {
        let directory = self.directory.join(format!("{:016x}", xxh3_64(address.as_bytes())));
        create_directories(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        if !self.is_ours {
            self.lock = take_lock(&self.directory.join("lock"))?;
            self.is_ours = true;
        }
        self.continues = files_in(&directory).any(|file| !has_ending(&file, "validator"));
        Ok(directory)
    }

    /// Whether an earlier attempt left something at the destination of the last download.
    pub fn continues(&self) -> bool {
        self.continues
    }

    /// Removes the complete downloads from `address` unless `is_right` accepts them, and returns whether it removed any.
    /// Partial files stay, so that the next attempt can resume them.
    pub fn discard(&self, address: &str, is_right: &dyn Fn(&Path) -> bool) -> bool {
        let directory = self.directory.join(format!("{:016x}", xxh3_64(address.as_bytes())));
        let whole =
            files_in(&directory).filter(|file| !has_ending(file, "validator") && !has_ending(file, "part"));
        let wrong: Vec<_> = whole.filter(|file| !is_right(file)).collect();
        // If this fails, the next check also fails and reports it.
        wrong.iter().for_each(|file| fs::remove_file(file).unwrap_or_default());
        !wrong.is_empty()
    }

    /// Removes everything, unless the next attempt can reuse something.
    pub fn give_up(self) {
        let directories = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut files = directories.flat_map(|entry| files_in(&entry.path()).collect::<Vec<_>>());
        if !files.any(|file| !has_ending(&file, "validator")) {
            self.finish();
        }
    }

    /// Removes everything.
    pub fn finish(self) {
        if self.is_ours {
            // Leftovers take space but do no harm.
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

/// Locks the file at `path`. A child process that another thread has just forked also holds the locks of this process until
/// it calls `exec`.
fn take_lock(path: &Path) -> Result<Option<File>, String> {
    let start = Instant::now();
    loop {
        match lock(path).map_err(|error| format!("{}: {error}", path.display()))? {
            Lock::Held(file) => return Ok(Some(file)),
            Lock::Unsupported => return Ok(None),
            Lock::Busy if start.elapsed() > LOCKED => {
                return Err(format!("{}: another process is downloading there", path.display()));
            }
            Lock::Busy => thread::sleep(Duration::from_millis(20)),
        }
    }
}

fn files_in(directory: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path())
}

fn has_ending(file: &Path, ending: &str) -> bool {
    file.extension().is_some_and(|found| found == ending)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        std::fs::write(directory.join("x.validator"), "").unwrap();
        one.give_up();
        assert!(directory.join("x.part").is_file());
        std::fs::remove_file(directory.join("x.part")).unwrap();
        let mut one = Downloads::into(into.path());
        one.from("a").unwrap();
        one.give_up();
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0, "a validator alone is of no use");
        let mut one = Downloads::into(into.path());
        std::fs::write(one.from("a").unwrap().join("x.gz"), "").unwrap();
        one.finish();
        assert_eq!(std::fs::read_dir(into.path()).unwrap().count(), 0);
    }
}
