//! Ways to damage a file of a run.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

/// A kind of damage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    Fifo,
    Directory,
    /// A link to the original file, which has been moved elsewhere.
    LinkOutside,
    LinkNowhere,
    LinkToItself,
    Empty,
    Half,
    Random,
}

use Damage::{Directory, Empty, Fifo, Half, LinkNowhere, LinkOutside, LinkToItself, Random};

pub const ALL: [Damage; 8] = [Fifo, Directory, LinkOutside, LinkNowhere, LinkToItself, Empty, Half, Random];
pub const LINKS: [Damage; 3] = [LinkOutside, LinkNowhere, LinkToItself];

impl Damage {
    /// Replaces the file or directory at `path`. The targets of links are in `outside`.
    pub fn put(self, path: &Path, outside: &Path) {
        let is_directory = path.is_dir();
        let content = if is_directory { Vec::new() } else { fs::read(path).unwrap_or_default() };
        fs::create_dir_all(outside).unwrap();
        let target = outside.join("target");
        if path.exists() {
            fs::rename(path, &target).unwrap();
        } else {
            fs::write(&target, "mine").unwrap();
        }
        match self {
            Fifo => {
                let path = CString::new(path.as_os_str().as_bytes()).unwrap();
                // SAFETY: the path ends in NUL.
                assert_eq!(unsafe { libc::mkfifo(path.as_ptr(), 0o600) }, 0);
            }
            Directory => fs::create_dir(path).unwrap(),
            LinkOutside => symlink(&target, path).unwrap(),
            LinkNowhere => symlink(outside.join("nowhere"), path).unwrap(),
            LinkToItself => symlink(path.file_name().unwrap(), path).unwrap(),
            Empty => fs::write(path, "").unwrap(),
            // Cut behind an `=`: half a text must not be a complete one, whatever its keys are.
            Half => {
                let middle = content.len() / 2;
                let rest = content[middle..].iter().position(|&byte| byte == b'=').map_or(0, |at| at + 1);
                fs::write(path, &content[..middle + rest]).unwrap();
            }
            Random => fs::write(path, random(5000)).unwrap(),
        }
    }
}

/// Meaningless bytes, the same each time (xorshift).
fn random(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    std::iter::repeat_with(next).take(count).collect()
}

/// Everything below `directory`: paths, contents and modification times.
pub fn content(directory: &Path) -> Vec<(PathBuf, Vec<u8>, (i64, i64))> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let of = |path: PathBuf| match path.is_dir() {
        true => content(&path),
        false => {
            let data = fs::metadata(&path).unwrap();
            vec![(path.clone(), fs::read(&path).unwrap(), (data.mtime(), data.mtime_nsec()))]
        }
    };
    entries.into_iter().flat_map(of).collect()
}
