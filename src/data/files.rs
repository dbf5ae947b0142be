//! Files of data sets, raw or compressed with gzip, which is told by their content and not by their name.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use crate::error::{Error, Result};
use crate::io::{open_input, read_start};

const GZIP: &[u8] = &[0x1f, 0x8b];

/// A compression format that is not supported: its name, its file extensions, the first bytes of its files, and the
/// command that decompresses them.
struct Foreign {
    name: &'static str,
    endings: &'static [&'static str],
    begins: &'static [&'static [u8]],
    by: &'static str,
}

const FOREIGN: [Foreign; 7] = [
    Foreign { name: "xz", endings: &["xz"], begins: &[b"\xfd7zXZ\0"], by: "xz -dc" },
    Foreign { name: "lzma", endings: &["lzma"], begins: &[], by: "xz -dc" },
    Foreign { name: "zstd", endings: &["zst", "zstd"], begins: &[b"\x28\xb5\x2f\xfd"], by: "zstd -dc" },
    Foreign {
        name: "bzip2",
        endings: &["bz2"],
        // The block size is a digit; the magic number of the first block, or of the end, follows.
        begins: &[b"BZh?1AY&SY", b"BZh?\x17rE8P\x90"],
        by: "bzip2 -dc",
    },
    Foreign { name: "lz4", endings: &["lz4"], begins: &[b"\x04\x22\x4d\x18"], by: "lz4 -dc" },
    Foreign { name: "zip", endings: &["zip"], begins: &[b"PK\x03\x04", b"PK\x05\x06"], by: "unzip -p" },
    Foreign { name: "7z", endings: &["7z"], begins: &[b"7z\xbc\xaf\x27\x1c"], by: "7z x -so" },
];

/// The number of first bytes to examine.
const LONGEST: u64 = 10;

/// The file called `name`, or `name.gz`, in `directory`.
pub(super) fn find(directory: &Path, name: &str) -> Option<PathBuf> {
    [directory.join(name), directory.join(format!("{name}.gz"))].into_iter().find(|path| path.is_file())
}

/// The error that [`find`] found no `name` in `directory`. If there is one in an unsupported compression, it tells how
/// to decompress it.
pub(super) fn missing(directory: &Path, name: &str) -> Error {
    for foreign in &FOREIGN {
        for ending in foreign.endings {
            let path = directory.join(format!("{name}.{ending}"));
            if path.is_file() {
                return foreign.refuse(&path);
            }
        }
    }
    Error::data(directory, format!("there is no file {name} or {name}.gz in this directory"))
}

/// The content of the file at `path`, uncompressed if it is compressed.
pub(super) fn open(path: &Path) -> Result<Box<dyn Read>> {
    let mut file = open_input(path).map_err(|error| cannot_read(path, &error))?;
    let start = read_start(&mut file, LONGEST).map_err(|error| cannot_read(path, &error))?;
    if let Some(foreign) = FOREIGN.iter().find(|foreign| foreign.is_start(&start)) {
        return Err(foreign.refuse(path));
    }
    let compressed = start.starts_with(GZIP);
    let whole = io::Cursor::new(start).chain(file);
    Ok(if compressed {
        Box::new(MultiGzDecoder::new(BufReader::new(whole)))
    } else {
        Box::new(BufReader::new(whole))
    })
}

impl Foreign {
    fn is_start(&self, start: &[u8]) -> bool {
        let is = |begin: &&[u8]| {
            start.len() >= begin.len() && begin.iter().zip(start).all(|(&is, &byte)| is == b'?' || is == byte)
        };
        self.begins.iter().any(is)
    }

    fn refuse(&self, path: &Path) -> Error {
        let Foreign { name, by, .. } = self;
        let file = path.display();
        let message = format!(
            "is compressed with {name}, and only gzip is read here: decompress it first, as with `{by} {file} > NEW_FILE`"
        );
        Error::data(path, message)
    }
}

fn cannot_read(path: &Path, error: &io::Error) -> Error {
    Error::data(path, format!("cannot be read: {error}"))
}

/// Says that the content of `path` could not be read.
pub(super) fn read_error(path: &Path, error: &io::Error) -> Error {
    let message = match error.kind() {
        ErrorKind::UnexpectedEof => {
            "the compressed data are cut short: copy or fetch the file again".to_owned()
        }
        ErrorKind::InvalidInput | ErrorKind::InvalidData => {
            format!("the compressed data are damaged ({error}): copy or fetch the file again")
        }
        _ => return cannot_read(path, error),
    };
    Error::data(path, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_compressions_are_told_by_their_content_with_the_command_that_helps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text.txt");
        let file = path.display();
        for (bytes, name, command) in [
            (&b"\xfd7zXZ\0\0\x04"[..], "xz", "xz -dc"),
            (b"\x28\xb5\x2f\xfd\x04", "zstd", "zstd -dc"),
            (b"BZh91AY&SY\xaa", "bzip2", "bzip2 -dc"),
            (b"BZh1\x17rE8P\x90\0", "bzip2", "bzip2 -dc"),
            (b"\x04\x22\x4d\x18d", "lz4", "lz4 -dc"),
            (b"PK\x03\x04\x14\0", "zip", "unzip -p"),
            (b"7z\xbc\xaf\x27\x1c\0", "7z", "7z x -so"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let message = open(&path).err().unwrap().to_string();
            let expected = format!(
                "{file}: is compressed with {name}, and only gzip is read here: decompress it first, as with `{command} {file} > NEW_FILE`"
            );
            assert_eq!(message, expected);
        }
        // A text may begin with nearly the same bytes, and be shorter.
        for bytes in [&b"BZhang wrote"[..], b"PK", b"7z", b""] {
            std::fs::write(&path, bytes).unwrap();
            let mut content = Vec::new();
            open(&path).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content, bytes);
        }
    }

    #[test]
    fn a_missing_file_may_be_there_in_another_form() {
        let directory = tempfile::tempdir().unwrap();
        let said = || missing(directory.path(), "kjv.txt").to_string();
        assert!(said().ends_with("there is no file kjv.txt or kjv.txt.gz in this directory"));
        std::fs::write(directory.path().join("kjv.txt.zst"), "").unwrap();
        assert!(said().contains("kjv.txt.zst: is compressed with zstd"), "{}", said());
    }
}
