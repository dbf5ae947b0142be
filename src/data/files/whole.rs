//! Reads entire files into buffers of exactly their size, if the size is known.

use std::io::{self, Read, Seek};
use std::path::Path;

use super::{GZIP, cannot_read, inflate, read_error, start_of};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{Input, open_input};

/// The minimum growth of a buffer in bytes, which is also the chunk size for streams.
const PIECE: usize = 1 << 16;

/// The uncompressed content of a file.
pub struct Whole {
    /// The content.
    pub bytes: Vec<u8>,
    /// The number of bytes read from the file itself.
    pub input: u64,
    /// Whether the file is compressed.
    pub is_compressed: bool,
}

/// The content of the file at `path`, at most `limit` bytes. A compressed file is decompressed twice, first to determine
/// its size, because a growing buffer takes up to three times as much memory.
///
/// # Errors
/// As for [`open`](super::open) and for reading; also if the content has more than `limit` bytes.
pub fn read_whole(path: &Path, limit: u64) -> Result<Whole> {
    let failed = |error: io::Error| cannot_read(path, &error);
    let mut input = open_input(path).map_err(failed)?;
    let start = start_of(path, &mut input)?;
    if start.starts_with(GZIP) {
        return match input {
            Input::Regular(mut file) => {
                file.rewind().map_err(failed)?;
                let size = size(path, &file, limit)?;
                file.rewind().map_err(failed)?;
                decompress(path, &file, size, limit)
            }
            Input::Stream(_) => {
                let mut compressed = start;
                append(&mut compressed, input.take(limit)).map_err(failed)?;
                let size = size(path, &compressed[..], limit)?;
                decompress(path, &compressed[..], size, limit)
            }
        };
    }
    let mut bytes = match &input {
        Input::Regular(file) => reserved(path, file.metadata().map_err(failed)?.len().min(limit))?,
        Input::Stream(_) => Vec::new(),
    };
    bytes.extend_from_slice(&start);
    append(&mut bytes, input.take(limit.saturating_add(1).saturating_sub(start.len() as u64)))
        .map_err(failed)?;
    check(path, bytes.len() as u64, limit)?;
    Ok(Whole { input: bytes.len() as u64, bytes, is_compressed: false })
}

/// The size of the uncompressed content of `compressed`.
fn size(path: &Path, compressed: impl Read, limit: u64) -> Result<u64> {
    let mut content = inflate(path, compressed)?.take(limit.saturating_add(1));
    let size = io::copy(&mut content, &mut io::sink()).map_err(|error| read_error(path, &error))?;
    check(path, size, limit)
}

fn decompress(path: &Path, compressed: impl Read, size: u64, limit: u64) -> Result<Whole> {
    let mut bytes = reserved(path, size)?;
    let mut content = inflate(path, compressed)?.take(limit.saturating_add(1));
    append(&mut bytes, &mut content).map_err(|error| read_error(path, &error))?;
    check(path, bytes.len() as u64, limit)?;
    Ok(Whole { bytes, input: content.get_ref().input(), is_compressed: true })
}

fn check(path: &Path, size: u64, limit: u64) -> Result<u64> {
    if size <= limit {
        return Ok(size);
    }
    let message = format!("has more than {limit} bytes, which is half of the free memory");
    Err(Error::data(path, message))
}

/// An empty vector for `size` bytes of the file at `path`.
///
/// # Errors
/// If the system cannot provide the memory.
pub fn reserved(path: &Path, size: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let size = usize::try_from(size).unwrap_or(usize::MAX);
    match bytes.try_reserve_exact(size) {
        Ok(()) => Ok(bytes),
        Err(error) => Err(Error::data(path, format!("takes {size} bytes of memory: {error}"))),
    }
}

/// Appends `content` to `bytes`. A full buffer grows by a quarter, not to twice its size.
pub fn append(bytes: &mut Vec<u8>, mut content: impl Read) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => {
                if bytes.capacity() - bytes.len() < count {
                    bytes.try_reserve_exact((bytes.len() / 4).max(PIECE))?;
                }
                bytes.extend_from_slice(&piece[..count]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn memory_is_reserved_for_what_the_file_holds() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a");
        let content = vec![b'a'; 300_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&content).unwrap();
        for (file, is_compressed) in [(content.clone(), false), (gzip.finish().unwrap(), true)] {
            std::fs::write(&path, &file).unwrap();
            let whole = read_whole(&path, 300_000).unwrap();
            assert!(whole.bytes == content && whole.bytes.capacity() == content.len());
            assert_eq!((whole.input, whole.is_compressed), (file.len() as u64, is_compressed));
            let message = read_whole(&path, 299_999).err().unwrap().to_string();
            assert!(message.contains("a: has more than 299999 bytes"), "{message}");
        }
        assert_eq!(read_whole(&path, u64::MAX).unwrap().bytes.len(), 300_000);
    }
}
