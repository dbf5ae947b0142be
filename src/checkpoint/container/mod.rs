//! Reads the subset of HDF5 that `write` produces, and refuses everything else with its name.
//!
//! The HDF5 library trusts the contents of a file: a crafted file can make it crash, loop, allocate any amount of memory, or
//! read other files. A checkpoint may come from a stranger, so the library never opens one. This reader needs no `unsafe`
//! code. It checks every read against the length of the file and limits the sum of all reads ([`source`]). Time and memory
//! are therefore at most a multiple of the file's size, whatever the file contains.
//!
//! Section numbers in this module refer to the *HDF5 File Format Specification Version 3.0*. The modules, from the file
//! upwards:
//!
//! - `source`: bounded reads
//! - `object`: the messages of an object header (IV.A.1.a)
//! - `group`: names and addresses of the members of a group, from link messages, or from `records` (version 2 B-tree) and
//!   `heap` (fractal heap) if there are more than eight
//! - `value` and `attributes`: shapes, types and contents of data sets and attributes
//! - `text`: variable-length strings from global heaps

mod attributes;
mod group;
mod heap;
mod object;
mod records;
mod source;
mod text;
mod value;

use std::fs::File;

pub(super) use attributes::Attributes;
pub(super) use group::Group;
use source::{Fields, Source, damaged, refused};
use text::Texts;
pub(super) use value::Dataset;

const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// An open HDF5 file, after the user block of a checkpoint.
pub(super) struct Container {
    source: Source,
    texts: Texts,
    /// The address of the root group's object header.
    root: u64,
}

impl Container {
    /// Reads the superblock (II.A, version 0) of the HDF5 file in the `length` bytes of `file` from `start` on.
    ///
    /// # Errors
    /// If `write` does not produce such a superblock.
    pub fn open(file: File, start: u64, length: u64) -> Result<Container, String> {
        let source = Source::new(file, start, length);
        let mut fields = source.structure(0, 96)?;
        if fields.take(8)? != SIGNATURE {
            return Err(damaged("it does not begin with the HDF5 signature"));
        }
        let versions = fields.take(5)?;
        if versions != [0; 5] {
            return Err(refused(format!("its superblock has version {}", versions[0])));
        }
        if fields.take(2)? != [8, 8] {
            return Err(refused("its addresses and lengths are not of 8 bytes"));
        }
        fields.skip(9)?;
        let base = fields.u64()?;
        let (_free_space, end) = (fields.u64()?, fields.u64()?);
        if base != start || end != start + length {
            return Err(damaged(format!("it states to fill bytes {base} to {end}")));
        }
        if fields.address()?.is_some() {
            return Err(refused("it has a driver information block, as files in several parts have"));
        }
        fields.skip(8)?;
        let root = fields.address()?.ok_or_else(|| damaged("it has no root group"))?;
        Ok(Container { source, texts: Texts::default(), root })
    }

    /// The root group.
    pub fn root(&self) -> Result<Group, String> {
        self.group(self.root)
    }

    /// The group whose object header is at `address`.
    pub fn group(&self, address: u64) -> Result<Group, String> {
        Group::read(&self.source, address)
    }

    /// The description of the data set whose object header is at `address`.
    pub fn dataset(&self, address: u64) -> Result<Dataset, String> {
        Dataset::read(&self.source, address)
    }

    /// The 32-bit floats of `dataset`.
    pub fn floats(&self, dataset: &Dataset) -> Result<Vec<f32>, String> {
        dataset.floats(&self.source)
    }

    /// The strings of `dataset`.
    pub fn texts(&self, dataset: &Dataset) -> Result<Vec<String>, String> {
        let mut descriptors = dataset.texts(&self.source)?;
        let mut texts = Vec::with_capacity(descriptors.left() / text::DESCRIPTOR);
        while descriptors.left() > 0 {
            texts.push(self.texts.read(&self.source, &mut descriptors)?);
        }
        Ok(texts)
    }

    /// The string that the `descriptor` of an attribute refers to.
    pub fn text(&self, descriptor: &[u8]) -> Result<String, String> {
        self.texts.read(&self.source, &mut Fields::new(descriptor.to_vec()))
    }
}
