//! Files of data sets, raw or compressed with gzip. The content decides, not the file name.

mod foreign;
mod inflate;
mod whole;

use std::fs;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use inflate::{ALLOWANCE, RATIO, inflate};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{Input, open_input, read_start};

pub(super) use whole::{Whole, append, read_whole, reserved};

const GZIP: &[u8] = &[0x1f, 0x8b];

/// The file called `name`, or `name.gz`, in `directory`. Other entries count only if there is no such regular file: opening
/// one then reports what it is.
pub(super) fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    let paths = both(directory, name);
    let exists = |path: &&PathBuf| fs::symlink_metadata(path).is_ok();
    paths.iter().find(|path| path.is_file()).or_else(|| paths.iter().find(exists)).cloned()
}

/// [`find`], with an error if there is none, or if the raw and the compressed file differ.
pub(super) fn require(directory: &Path, name: &str) -> Result<PathBuf> {
    let [raw, compressed] = both(directory, name);
    if raw.is_file() && compressed.is_file() {
        return only_one([raw, compressed].to_vec());
    }
    find(directory, name).ok_or_else(|| missing(directory, name))
}

fn both(directory: &Path, name: &str) -> [PathBuf; 2] {
    [directory.join(name), directory.join(format!("{name}.gz"))]
}

/// The first of `paths`, which are alternatives for the same file.
///
/// # Errors
/// If the uncompressed contents differ.
pub(super) fn only_one(paths: Vec<PathBuf>) -> Result<PathBuf> {
    let mut paths = paths.into_iter();
    let first = paths.next().unwrap_or_default();
    for other in paths {
        if !have_same_content(&first, &other).unwrap_or(false) {
            let message = format!(
                "holds other data than {}, and it is unclear which is meant: move one of them away",
                other.display()
            );
            return Err(Error::data(first, message));
        }
    }
    Ok(first)
}

/// Whether two files have the same uncompressed content.
fn have_same_content(one: &Path, other: &Path) -> Result<bool> {
    let mut contents = [open(one)?, open(other)?];
    let mut buffers = [vec![0; 1 << 16], vec![0; 1 << 16]];
    loop {
        let mut lengths = [0; 2];
        for (at, path) in [one, other].into_iter().enumerate() {
            let length = fill(&mut contents[at], &mut buffers[at]);
            lengths[at] = length.map_err(|error| read_error(path, &error))?;
        }
        let [one, other] = [0, 1].map(|at| &buffers[at][..lengths[at]]);
        if one != other || one.is_empty() {
            return Ok(one == other);
        }
    }
}

/// Reads until `buffer` is full or `content` ends. Returns the number of bytes.
pub(super) fn fill(content: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match content.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

/// The error that [`find`] found no `name` in `directory`. If the file exists in an unsupported compression format, the
/// error gives the command that decompresses it.
pub(super) fn missing(directory: &Path, name: &str) -> Error {
    if let Some((path, foreign)) = foreign::beside(directory, name) {
        return foreign.refuse(&path);
    }
    if directory.exists() && !directory.is_dir() {
        return Error::data(
            directory,
            "is not a directory: use the directory with the files of the data set",
        );
    }
    Error::data(directory, format!("there is no file {name} or {name}.gz in this directory"))
}

/// The uncompressed content of a file.
pub(super) struct Content {
    reader: Box<dyn Read>,
    most: Option<u64>,
}

impl Content {
    /// The maximum number of bytes, derived from the size of the file; `None` for a stream.
    pub fn most(&self) -> Option<u64> {
        self.most
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader.read(buffer)
    }
}

/// The uncompressed content of the file at `path`. Reading fails as soon as a compressed file expands to more than
/// [`inflate`] allows.
pub(super) fn open(path: &Path) -> Result<Content> {
    let mut input = open_input(path).map_err(|error| cannot_read(path, &error))?;
    let length = match &input {
        Input::Regular(file) => Some(file.metadata().map_err(|error| cannot_read(path, &error))?.len()),
        Input::Stream(_) => None,
    };
    let start = start_of(path, &mut input)?;
    let is_compressed = start.starts_with(GZIP);
    let all = BufReader::new(io::Cursor::new(start).chain(input));
    if !is_compressed {
        return Ok(Content { reader: Box::new(all), most: length });
    }
    let most = length.map(|length| length.saturating_mul(RATIO).saturating_add(ALLOWANCE));
    Ok(Content { reader: Box::new(BufReader::new(inflate(path, all)?)), most })
}

/// The first bytes of `input`, the file at `path`. An error if they belong to another compression format.
fn start_of(path: &Path, input: &mut impl Read) -> Result<Vec<u8>> {
    let start = read_start(input, foreign::LONGEST).map_err(|error| cannot_read(path, &error))?;
    foreign::of_start(&start).map_or(Ok(start), |foreign| Err(foreign.refuse(path)))
}

fn cannot_read(path: &Path, error: &io::Error) -> Error {
    Error::data(path, format!("cannot be read: {error}"))
}

/// The error that the content of `path` could not be read.
pub(super) fn read_error(path: &Path, error: &io::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::UnexpectedEof => {
            "the compressed data are truncated: copy or fetch the file again".to_owned()
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the compressed data are damaged ({error}): copy or fetch the file again")
        }
        ErrorKind::FileTooLarge => format!("{error}{}", by_hand(path)),
        _ => return cannot_read(path, error),
    };
    Error::data(path, message)
}

/// Advice about a compressed file that expands too much. A raw file of that size is accepted.
pub(super) fn by_hand(path: &Path) -> String {
    let file = path.display();
    format!(
        ". If that is correct, decompress it by hand, as with `gzip -dc {file} > NEW_FILE`, and use the new \
         file"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_may_be_there_in_another_form() {
        let directory = tempfile::tempdir().unwrap();
        let said = || missing(directory.path(), "kjv.txt").to_string();
        assert!(said().ends_with("there is no file kjv.txt or kjv.txt.gz in this directory"));
        std::fs::write(directory.path().join("kjv.txt.zst"), "").unwrap();
        assert!(said().contains("kjv.txt.zst: is compressed with zstd"), "{}", said());
    }

    #[test]
    fn a_raw_file_and_its_compressed_copy_must_be_the_same() {
        use std::io::Write as _;
        let directory = tempfile::tempdir().unwrap();
        let raw = directory.path().join("a");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"content").unwrap();
        fs::write(directory.path().join("a.gz"), gzip.finish().unwrap()).unwrap();
        fs::write(&raw, "content").unwrap();
        assert_eq!(require(directory.path(), "a").unwrap(), raw);
        for other in ["contents", "conten", "Content", ""] {
            fs::write(&raw, other).unwrap();
            let message = require(directory.path(), "a").unwrap_err().to_string();
            assert!(
                message.contains("a: holds other data than ") && message.contains("move one"),
                "{message}"
            );
        }
        fs::remove_file(&raw).unwrap();
        fs::create_dir(&raw).unwrap();
        assert_eq!(require(directory.path(), "a").unwrap(), directory.path().join("a.gz"));
        fs::remove_file(directory.path().join("a.gz")).unwrap();
        let message = open(&require(directory.path(), "a").unwrap()).err().unwrap().to_string();
        assert!(message.contains("a: cannot be read: Is a directory"), "{message}");
        let message = require(&directory.path().join("a"), "b").unwrap_err().to_string();
        assert!(message.contains("there is no file b"), "{message}");
    }
}
