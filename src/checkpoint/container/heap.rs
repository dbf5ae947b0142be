//! Fractal heaps (III.G). A group with more than eight links stores them in such a heap.
//!
//! A heap is an address space of its own, divided into blocks. Each row has four blocks. The blocks of the first two rows
//! have 512 bytes; those of each further row are twice as large as in the row before. A table, the root indirect block,
//! holds the address of each block. From the tenth row on, a block is itself a table of the same form. A heap with one block
//! has no table.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::source::{Fields, Source, damaged, refused};

/// The ID of a link in the heap of a group: 1 byte of flags, 4 of offset, 2 of length.
pub(super) type Id = [u8; 7];

const WIDTH: u64 = 4;
const SMALLEST: u64 = 512;
const LARGEST: u64 = 1 << 16;
/// The number of rows whose blocks hold objects.
const DIRECT_ROWS: u32 = (LARGEST / SMALLEST).ilog2() + 2;
/// Signature, version, address of the heap, and the offset of the block in 4 bytes.
const BLOCK_HEADER: u64 = 4 + 1 + 8 + 4;
/// The maximum depth of nested tables: offsets of 32 bits allow no more.
const DEEPEST: u32 = 4;

/// A fractal heap of links.
pub(super) struct Heap<'a> {
    source: &'a Source,
    address: u64,
    root: u64,
    /// The rows of the root table; 0 if the root is the only block.
    rows: u32,
    /// The blocks that were read, by their offsets: each is read once.
    blocks: RefCell<BTreeMap<u64, Vec<u8>>>,
}

impl<'a> Heap<'a> {
    /// Reads the header of the heap at `address`.
    pub fn open(source: &'a Source, address: u64) -> Result<Heap<'a>, String> {
        let mut header = source.structure(address, 146)?;
        header.signature(b"FRHP", "heap")?;
        let (id, filters) = (header.u16()?, header.u16()?);
        if filters != 0 {
            return Err(refused("the names of its members pass through a filter, such as a compression"));
        }
        header.skip(101)?;
        let (width, smallest, largest) = (header.u16()?, header.u64()?, header.u64()?);
        let (bits, _first_rows) = (header.u16()?, header.u16()?);
        let is_known = usize::from(id) == size_of::<Id>() && (u64::from(width), bits) == (WIDTH, 32);
        if !is_known || (smallest, largest) != (SMALLEST, LARGEST) {
            return Err(refused("it keeps the names of its members in blocks of other sizes"));
        }
        let root = header.address()?.ok_or_else(|| damaged("a heap has no blocks"))?;
        let rows = u32::from(header.u16()?);
        Ok(Heap { source, address, root, rows, blocks: RefCell::default() })
    }

    /// The object with the ID `id`.
    pub fn object(&self, id: Id) -> Result<Fields, String> {
        // The upper bits hold the version, 0, and the type: stored in a block of this heap.
        if id[0] & 0b1111_0000 != 0 {
            return Err(refused("the name of a member is not in the heap of its group"));
        }
        let mut fields = Fields::new(id[1..].to_vec());
        let (offset, length) = (u64::from(fields.u32()?), usize::from(fields.u16()?));
        // A link is content: an object that many IDs name is not read for nothing.
        self.source.count_content(length as u64)?;
        let mut blocks = self.blocks.borrow_mut();
        let known = blocks.range(..=offset).next_back().map(|(start, bytes)| start + bytes.len() as u64);
        if known.is_none_or(|end| offset >= end) {
            let (start, bytes) = self.block(offset)?;
            blocks.insert(start, bytes);
        }
        let object = blocks.range(..=offset).next_back().and_then(|(start, bytes)| {
            let from = (offset - start) as usize;
            bytes.get(from..from + length).filter(|_| from >= BLOCK_HEADER as usize)
        });
        let object = object.ok_or_else(|| damaged("an object of a heap crosses the edge of its block"))?;
        Ok(Fields::new(object.to_vec()))
    }

    /// Reads the block that contains `offset`; returns its own offset and its bytes.
    fn block(&self, offset: u64) -> Result<(u64, Vec<u8>), String> {
        let (address, start, size) = self.locate(offset)?;
        let mut fields = self.source.structure(address, size)?;
        fields.signature(b"FHDB", "block of a heap")?;
        if (fields.u64()?, u64::from(fields.u32()?)) != (self.address, start) {
            return Err(damaged("a block of a heap belongs elsewhere"));
        }
        Ok((start, fields.into_bytes()))
    }

    /// Address, offset and size of the block that contains `offset`.
    fn locate(&self, offset: u64) -> Result<(u64, u64, u64), String> {
        if self.rows == 0 {
            return match offset < SMALLEST {
                true => Ok((self.root, 0, SMALLEST)),
                false => Err(damaged("an object of a heap is in none of its blocks")),
            };
        }
        let (mut table, mut start, mut rows) = (self.root, 0, self.rows);
        for _ in 0..DEEPEST {
            let row = row_of(offset - start);
            if row >= rows {
                return Err(damaged("an object of a heap is in none of its blocks"));
            }
            let (row_start, size) = (start_of(row), size_of_blocks(row));
            let column = (offset - start - row_start) / size;
            let entry = BLOCK_HEADER + 8 * (u64::from(row) * WIDTH + column);
            let at = table.checked_add(entry).ok_or_else(|| damaged("a heap is not within the file"))?;
            let address = self.source.structure(at, 8)?.address()?;
            let address = address.ok_or_else(|| damaged("an object of a heap is in none of its blocks"))?;
            start += row_start + column * size;
            if row < DIRECT_ROWS {
                return Ok((address, start, size));
            }
            (table, rows) = (address, size.ilog2() - (SMALLEST * WIDTH).ilog2() + 1);
        }
        Err(damaged("the tables of a heap refer to each other in a circle"))
    }
}

/// The row of a table that contains `offset`.
fn row_of(offset: u64) -> u32 {
    match offset / (SMALLEST * WIDTH) {
        0 => 0,
        rest => rest.ilog2() + 1,
    }
}

/// The offset of a row within its table.
fn start_of(row: u32) -> u64 {
    match row {
        0 => 0,
        row => (SMALLEST * WIDTH) << (row - 1),
    }
}

fn size_of_blocks(row: u32) -> u64 {
    SMALLEST << row.saturating_sub(1)
}
