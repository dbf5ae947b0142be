//! NumPy's format for one array: a header, and then the numbers as they are in memory (NEP 1).

mod header;

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::array::Array;
use super::element::{Element, Stored};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::open_regular;

/// The number of bytes that are read at a time if they must be converted.
const BLOCK: usize = 1 << 16;

thread_local! {
    static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// An array in a NumPy file, read at the positions of its rows. No more of it is in memory.
pub struct Npy {
    path: PathBuf,
    file: File,
    /// The position of its first number in the file.
    start: u64,
    stored: Stored,
    shape: Vec<usize>,
}

impl Npy {
    /// Opens the file at `path`.
    ///
    /// # Errors
    /// If it cannot be read, is not a NumPy file, or holds something else than numbers in C order.
    pub fn open(path: &Path) -> Result<Npy> {
        let file =
            open_regular(path).map_err(|error| Error::data(path, format!("cannot be read: {error}")))?;
        let length = file.metadata().map_err(|error| Error::data(path, error.to_string()))?.len();
        Npy::within(path, file, 0, length)
    }

    /// The array in the `length` bytes of `file` from `start` on. Messages call the file `path`.
    ///
    /// # Errors
    /// Those of [`Npy::open`].
    pub fn within(path: &Path, file: File, start: u64, length: u64) -> Result<Npy> {
        let (header, size) =
            header::read(&file, start, length).map_err(|message| Error::data(path, message))?;
        let shape = header.shape;
        let bytes = shape.iter().try_fold(header.stored.element.size(), |bytes, &n| bytes.checked_mul(n));
        let bytes = bytes.filter(|&bytes| bytes <= isize::MAX as usize).ok_or_else(|| {
            Error::data(path, format!("its header states an impossible array of shape {shape:?}"))
        })?;
        let held = length - size;
        if held != bytes as u64 {
            let message = match held < bytes as u64 {
                true => format!("truncated: its header states {bytes} bytes, but only {held} follow"),
                false => format!("{held} bytes follow its header, which states {bytes}: one array per file"),
            };
            return Err(Error::data(path, message));
        }
        Ok(Npy { path: path.into(), file, start: start + size, stored: header.stored, shape })
    }

    /// Fills `bytes` from the number `number` on.
    fn read(&self, number: usize, bytes: &mut [u8]) -> Result<()> {
        let at = self.start + (number * self.stored.element.size()) as u64;
        self.file.read_exact_at(bytes, at).map_err(|error| {
            Error::data(&self.path, format!("cannot be read at byte {at} (did it change?): {error}"))
        })
    }

    /// Calls `take` with the bytes of the numbers from `first` on and the place that they are for in `out`, block by block.
    fn blocks<T>(
        &self,
        first: usize,
        out: &mut [T],
        mut take: impl FnMut(&[u8], &mut [T]) -> Result<()>,
    ) -> Result<()> {
        let size = self.stored.element.size();
        BYTES.with_borrow_mut(|bytes| {
            bytes.resize(BLOCK, 0);
            for (block, out) in out.chunks_mut(BLOCK / size).enumerate() {
                let bytes = &mut bytes[..out.len() * size];
                self.read(first + block * (BLOCK / size), bytes)?;
                take(bytes, out)?;
            }
            Ok(())
        })
    }
}

impl Array for Npy {
    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn element(&self) -> Element {
        self.stored.element
    }

    fn floats(&self, first: usize, out: &mut [f32]) -> Result<()> {
        let first = first * self.row_size();
        if self.stored.is_native_float() {
            return self.read(first, bytemuck::cast_slice_mut(out));
        }
        self.blocks(first, out, |bytes, out| {
            self.stored.floats(bytes, out);
            Ok(())
        })
    }

    fn integers(&self, first: usize, out: &mut [i64]) -> Result<()> {
        self.blocks(first * self.row_size(), out, |bytes, out| match self.stored.integers(bytes, out) {
            true => Ok(()),
            false => Err(Error::data(&self.path, "a label has more than 63 bits")),
        })
    }

    fn path(&self) -> &Path {
        &self.path
    }
}
