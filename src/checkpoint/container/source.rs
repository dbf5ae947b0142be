//! Bounded reads: nothing outside the file, and in total no more than a file of this size needs.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The address that means "none" (I, "undefined address").
const UNDEFINED: u64 = u64::MAX;

/// The bytes of an HDF5 file. Addresses are relative to its start.
pub(super) struct Source {
    file: File,
    start: u64,
    length: u64,
    /// How many bytes of structure may still be read.
    structure: Cell<u64>,
    /// How many bytes of content may still be read.
    content: Cell<u64>,
}

/// Structure may be read twice, because a size is looked up before the object of that size is read; content may be read only
/// once. The constant lets small files read a few more bytes.
fn allowances(length: u64) -> (u64, u64) {
    (length.saturating_mul(2).saturating_add(1 << 16), length)
}

impl Source {
    /// The `length` bytes of `file` from `start` on.
    pub fn new(file: File, start: u64, length: u64) -> Source {
        let (structure, content) = allowances(length);
        Source { file, start, length, structure: Cell::new(structure), content: Cell::new(content) }
    }

    /// The `length` bytes of structure at `address`.
    pub fn structure(&self, address: u64, length: u64) -> Result<Fields, String> {
        let Some(left) = self.structure.get().checked_sub(length) else {
            return Err(damaged(
                "its objects add up to more than the file: some overlap, or refer to each other in a circle",
            ));
        };
        self.structure.set(left);
        let mut bytes = self.buffer(address, length)?;
        self.fill(address, &mut bytes)?;
        Ok(Fields::new(bytes))
    }

    /// `count` values of content at `address`.
    pub fn content<T: bytemuck::Pod>(&self, address: u64, count: usize) -> Result<Vec<T>, String> {
        let bytes = (count as u64).checked_mul(size_of::<T>() as u64);
        let bytes = bytes.ok_or_else(|| outside(address, u64::MAX))?;
        self.count_content(bytes)?;
        self.check(address, bytes)?;
        let mut values = vec![T::zeroed(); count];
        self.fill(address, bytemuck::cast_slice_mut(&mut values))?;
        Ok(values)
    }

    /// Counts `bytes` of content that were read as structure.
    pub fn count_content(&self, bytes: u64) -> Result<(), String> {
        let left = self.content.get().checked_sub(bytes);
        self.content.set(left.ok_or_else(|| damaged("its contents add up to more than the file"))?);
        Ok(())
    }

    /// Whether `bytes` bytes fit into the file.
    pub fn holds(&self, bytes: u64) -> bool {
        bytes <= self.length
    }

    fn buffer(&self, address: u64, length: u64) -> Result<Vec<u8>, String> {
        self.check(address, length)?;
        let length = usize::try_from(length).map_err(|_| outside(address, length))?;
        Ok(vec![0; length])
    }

    fn check(&self, address: u64, length: u64) -> Result<(), String> {
        match address.checked_add(length) {
            Some(end) if end <= self.length => Ok(()),
            _ => Err(outside(address, length)),
        }
    }

    fn fill(&self, address: u64, bytes: &mut [u8]) -> Result<(), String> {
        let at = self.start + address;
        self.file.read_exact_at(bytes, at).map_err(|error| format!("cannot be read at byte {at}: {error}"))
    }
}

/// Little-endian fields, one after another.
#[derive(Clone, Debug)]
pub(super) struct Fields {
    bytes: Vec<u8>,
    at: usize,
}

impl Fields {
    pub fn new(bytes: Vec<u8>) -> Fields {
        Fields { bytes, at: 0 }
    }

    /// The bytes that have not been taken.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// All bytes, including those that were taken.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub fn take(&mut self, count: usize) -> Result<&[u8], String> {
        if count > self.left() {
            return Err(damaged("an object ends within a field"));
        }
        self.at += count;
        Ok(&self.bytes[self.at - count..self.at])
    }

    pub fn skip(&mut self, count: usize) -> Result<(), String> {
        self.take(count).map(drop)
    }

    /// An unsigned number of `size` bytes, at most 8.
    pub fn number(&mut self, size: usize) -> Result<u64, String> {
        let mut bytes = [0; 8];
        bytes[..size].copy_from_slice(self.take(size)?);
        Ok(u64::from_le_bytes(bytes))
    }

    pub fn u8(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    pub fn u16(&mut self) -> Result<u16, String> {
        Ok(self.number(2)? as u16)
    }

    pub fn u32(&mut self) -> Result<u32, String> {
        Ok(self.number(4)? as u32)
    }

    pub fn u64(&mut self) -> Result<u64, String> {
        self.number(8)
    }

    pub fn address(&mut self) -> Result<Option<u64>, String> {
        Ok(Some(self.u64()?).filter(|&address| address != UNDEFINED))
    }

    /// Checks the `signature` and that the version is 0.
    pub fn signature(&mut self, signature: &[u8; 4], what: &str) -> Result<(), String> {
        match self.take(4)? == signature && self.u8()? == 0 {
            true => Ok(()),
            false => Err(damaged(format!("a {what} does not begin like one"))),
        }
    }
}

/// The error for a structure that contradicts the specification or itself.
pub(super) fn damaged(what: impl Into<String>) -> String {
    format!("its HDF5 structure is damaged: {}", what.into())
}

/// The error for something that HDF5 allows but `write` does not produce.
pub(super) fn refused(what: impl Into<String>) -> String {
    format!("{}; only the part of HDF5 that ternflock writes is read", what.into())
}

fn outside(address: u64, length: u64) -> String {
    damaged(format!("{length} bytes at address {address} are not within the file"))
}
