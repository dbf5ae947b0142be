//! Unsupported compression formats. The error names the format and the command that decompresses the file.

use std::path::{Path, PathBuf};

use ternflock_base::error::Error;

/// An unsupported compression format: its name, its file extensions, the first bytes of its files, and the command that
/// decompresses them.
pub struct Foreign {
    name: &'static str,
    endings: &'static [&'static str],
    begins: &'static [&'static [u8]],
    by: &'static str,
}

static FOREIGN: [Foreign; 7] = [
    Foreign { name: "xz", endings: &["xz"], begins: &[b"\xfd7zXZ\0"], by: "xz -dc" },
    Foreign { name: "lzma", endings: &["lzma"], begins: &[], by: "xz -dc" },
    Foreign { name: "zstd", endings: &["zst", "zstd"], begins: &[b"\x28\xb5\x2f\xfd"], by: "zstd -dc" },
    Foreign {
        name: "bzip2",
        endings: &["bz2"],
        // The block size is a digit. Then comes the magic number of the first block or of the end.
        begins: &[b"BZh?1AY&SY", b"BZh?\x17rE8P\x90"],
        by: "bzip2 -dc",
    },
    Foreign { name: "lz4", endings: &["lz4"], begins: &[b"\x04\x22\x4d\x18"], by: "lz4 -dc" },
    Foreign { name: "zip", endings: &["zip"], begins: &[b"PK\x03\x04", b"PK\x05\x06"], by: "unzip -p" },
    Foreign { name: "7z", endings: &["7z"], begins: &[b"7z\xbc\xaf\x27\x1c"], by: "7z x -so" },
];

/// The number of first bytes to examine.
pub const LONGEST: u64 = 10;

/// The format of a file that begins with `start`, if it is one of these.
pub fn of_start(start: &[u8]) -> Option<&'static Foreign> {
    FOREIGN.iter().find(|foreign| foreign.is_start(start))
}

/// The path and the format of the file `name` in `directory`, if it has one of these formats.
pub fn beside(directory: &Path, name: &str) -> Option<(PathBuf, &'static Foreign)> {
    let all = FOREIGN.iter().flat_map(|foreign| foreign.endings.iter().map(move |ending| (foreign, ending)));
    all.map(|(foreign, ending)| (directory.join(format!("{name}.{ending}")), foreign))
        .find(|(path, _)| path.is_file())
}

impl Foreign {
    fn is_start(&self, start: &[u8]) -> bool {
        let is = |begin: &&[u8]| {
            start.len() >= begin.len() && begin.iter().zip(start).all(|(&is, &byte)| is == b'?' || is == byte)
        };
        self.begins.iter().any(is)
    }

    /// The error that the file at `path` is in this format.
    pub fn refuse(&self, path: &Path) -> Error {
        self.refuse_with(
            path,
            &format!("compressed with {}", self.name),
            &format!("{} {}", self.by, path.display()),
        )
    }

    /// The error that the gzip file at `path` holds a file in this format.
    pub fn refuse_inside(&self, path: &Path) -> Error {
        let by = format!("gzip -dc {} | {}", path.display(), self.by);
        self.refuse_with(path, &format!("compressed with gzip and inside that with {}", self.name), &by)
    }

    fn refuse_with(&self, path: &Path, how: &str, by: &str) -> Error {
        let message =
            format!("is {how}, but only gzip is supported: decompress it first, as with `{by} > NEW_FILE`");
        Error::data(path, message)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::super::open;

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
                "{file}: is compressed with {name}, but only gzip is supported: decompress it first, as with `{command} {file} > NEW_FILE`"
            );
            assert_eq!(message, expected);
        }
        // A text may begin with nearly the same bytes, and it may be shorter.
        for bytes in [&b"BZhang wrote"[..], b"PK", b"7z", b""] {
            std::fs::write(&path, bytes).unwrap();
            let mut content = Vec::new();
            open(&path).unwrap().read_to_end(&mut content).unwrap();
            assert_eq!(content, bytes);
        }
    }
}
