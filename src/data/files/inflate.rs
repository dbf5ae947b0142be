//! Decompresses gzip, and limits the output in proportion to the input.
//!
//! Deflate can expand one byte to 1032, so a file of a few megabytes could fill the memory. Data sets usually compress to
//! between a third and a tenth of their size (MNIST to a fifth, texts to a third). A file that expands much more is
//! refused. The two constants keep the memory of the readers below 16 times the size of their files plus 64 MB.

use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;

use super::foreign::{LONGEST, of_start};
use super::{GZIP, read_error};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_start;

/// The maximum number of output bytes per input byte.
pub const RATIO: u64 = 12;
/// The number of output bytes that a file of any size may have: sorted labels compress to almost nothing.
pub const ALLOWANCE: u64 = 12_000_000;

/// The uncompressed content of `compressed`, from the file at `path`.
///
/// # Errors
/// If the beginning cannot be read, or if the content is compressed again.
pub fn inflate<R: Read>(path: &Path, compressed: R) -> Result<Inflated<R>> {
    let decoder = MultiGzDecoder::new(BufReader::new(Counted { reader: compressed, count: 0 }));
    let mut decoder = Limited { decoder, out: 0 };
    let start = read_start(&mut decoder, LONGEST).map_err(|error| read_error(path, &error))?;
    let file = path.display();
    if start.starts_with(GZIP) {
        let message = "is compressed with gzip twice: decompress it once, as with";
        return Err(Error::data(path, format!("{message} `gzip -dc {file} > NEW_FILE`")));
    }
    if let Some(inner) = of_start(&start) {
        return Err(inner.refuse_inside(path));
    }
    Ok(Inflated(io::Cursor::new(start).chain(decoder)))
}

/// A reader of uncompressed content, made by [`inflate`].
pub struct Inflated<R>(io::Chain<io::Cursor<Vec<u8>>, Limited<R>>);

impl<R: Read> Inflated<R> {
    /// The number of compressed bytes read so far.
    pub fn input(&self) -> u64 {
        self.0.get_ref().1.input()
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

struct Limited<R> {
    decoder: MultiGzDecoder<BufReader<Counted<R>>>,
    out: u64,
}

impl<R> Limited<R> {
    fn input(&self) -> u64 {
        self.decoder.get_ref().get_ref().count
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoder.read(buffer)?;
        self.out += count as u64;
        if self.out > self.input().saturating_mul(RATIO).saturating_add(ALLOWANCE) {
            let message = format!("its first {} bytes expand to more than {}", self.input(), self.out - 1);
            let message = format!("{message}, far more than data sets of that size ({RATIO} times at most)");
            return Err(io::Error::new(ErrorKind::FileTooLarge, message));
        }
        Ok(count)
    }
}

struct Counted<R> {
    reader: R,
    count: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.count += count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn size(compressed: &[u8]) -> Result<u64> {
        let path = Path::new("a.gz");
        let mut content = inflate(path, compressed)?;
        io::copy(&mut content, &mut io::sink()).map_err(|error| read_error(path, &error))
    }

    #[test]
    fn what_comes_out_is_in_proportion_to_what_went_in() {
        assert_eq!(size(&gzip(&vec![0; ALLOWANCE as usize])).unwrap(), ALLOWANCE);
        let message = size(&gzip(&vec![0; ALLOWANCE as usize + 1_000_000])).unwrap_err().to_string();
        for part in ["a.gz: its first ", "far more than data sets", "`gzip -dc a.gz > NEW_FILE`"] {
            assert!(message.contains(part), "{message}");
        }
        // Two bits of each byte are random. The data compress to a fifth, more than RATIO allows.
        let mut state = 1u32;
        let random = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 30) as u8
        });
        let bytes: Vec<u8> = random.take(2 * ALLOWANCE as usize).collect();
        assert_eq!(size(&gzip(&bytes)).unwrap(), bytes.len() as u64);
    }

    #[test]
    fn members_follow_each_other_and_are_not_nested() {
        let member = gzip(b"x");
        assert_eq!(size(&member.repeat(1000)).unwrap(), 1000);
        let message = size(&gzip(&member)).unwrap_err().to_string();
        assert!(
            message.contains("compressed with gzip twice") && message.contains("gzip -dc a.gz"),
            "{message}"
        );
        let message = size(&gzip(b"\x28\xb5\x2f\xfd\x04")).unwrap_err().to_string();
        assert!(message.contains("`gzip -dc a.gz | zstd -dc > NEW_FILE`"), "{message}");
    }
}
