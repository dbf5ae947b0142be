//! Version 2 B-trees (III.A.2): the indexes of a group that has more than eight members.

use super::heap::Id;
use super::source::{Fields, Source, damaged};

/// The size of the signature, version and type before the records of a node plus the checksum after them.
const AROUND_RECORDS: u64 = 10;
/// A deeper tree would have more records than a file has bytes.
const DEEPEST: u16 = 16;

/// What a tree indexes. A record is a key and a heap ID.
#[derive(Clone, Copy)]
pub(super) enum Index {
    /// Hashes of the names.
    Name,
    /// The creation order.
    Order,
}

impl Index {
    /// The number of this type of tree.
    fn number(self) -> u8 {
        match self {
            Index::Name => 5,
            Index::Order => 6,
        }
    }

    /// The size of the key in bytes.
    fn key(self) -> usize {
        match self {
            Index::Name => 4,
            Index::Order => 8,
        }
    }

    /// The size of a record in bytes.
    fn record(self) -> usize {
        self.key() + size_of::<Id>()
    }
}

/// The field sizes in the nodes of a tree. Each pointer to a child has a field with the number of the child's records. From
/// the second level on it has another field with the number of all records below the child. Each field has the fewest bytes
/// that can hold its maximum.
struct FieldSizes {
    index: Index,
    node: u64,
    /// The size in bytes of the field for a child's own records.
    own: usize,
    /// Per level above the leaves: the size in bytes of the field for all records below a node of that level.
    below: Vec<usize>,
}

/// The heap IDs in the `index` at `address`, in index order.
pub(super) fn records(source: &Source, address: u64, index: Index) -> Result<Vec<Id>, String> {
    let mut header = source.structure(address, 38)?;
    header.signature(b"BTHD", "B-tree")?;
    let kind = header.u8()?;
    let node = u64::from(header.u32()?);
    let (record, depth) = (header.u16()?, header.u16()?);
    if (kind, usize::from(record)) != (index.number(), index.record()) || depth > DEEPEST {
        return Err(damaged("a group has an index of another kind"));
    }
    header.skip(2)?;
    let (root, count, total) = (header.address()?, header.u16()?, header.u64()?);
    let mut ids = Vec::new();
    if let Some(root) = root {
        let sizes = FieldSizes::new(index, node, depth)?;
        walk(source, &sizes, root, u64::from(count), depth.into(), &mut ids)?;
    }
    match ids.len() as u64 == total {
        true => Ok(ids),
        false => Err(damaged(format!("an index states {total} members and has {}", ids.len()))),
    }
}

impl FieldSizes {
    fn new(index: Index, node: u64, depth: u16) -> Result<FieldSizes, String> {
        let room =
            node.checked_sub(AROUND_RECORDS).ok_or_else(|| damaged("an index has nodes without room"))?;
        let record = index.record() as u64;
        let leaf = room / record;
        let own = bytes_for(leaf);
        let (mut below, mut most) = (vec![0], leaf);
        for level in 1..=usize::from(depth) {
            let pointer = (8 + own + below[level - 1]) as u64;
            let records = room.saturating_sub(pointer) / (record + pointer);
            most = records.saturating_add(1).saturating_mul(most).saturating_add(records);
            below.push(bytes_for(most));
        }
        Ok(FieldSizes { index, node, own, below })
    }
}

/// The size in bytes of the smallest field that can hold `most`.
fn bytes_for(most: u64) -> usize {
    most.max(1).ilog2() as usize / 8 + 1
}

/// Appends the IDs of the node at `address`, which has `count` records and is `level` levels above the leaves.
fn walk(
    source: &Source,
    sizes: &FieldSizes,
    address: u64,
    count: u64,
    level: usize,
    ids: &mut Vec<Id>,
) -> Result<(), String> {
    let pointer = 8 + sizes.own + if level > 0 { sizes.below[level - 1] } else { 0 };
    let pointers = if level > 0 { (count + 1).saturating_mul(pointer as u64) } else { 0 };
    let record = sizes.index.record();
    let used = count.saturating_mul(record as u64).saturating_add(pointers);
    if used.saturating_add(AROUND_RECORDS) > sizes.node {
        return Err(damaged("a node of an index has more records than room"));
    }
    let mut node = source.structure(address, used + AROUND_RECORDS - 4)?;
    node.signature(if level > 0 { b"BTIN" } else { b"BTLF" }, "node of an index")?;
    if node.u8()? != sizes.index.number() {
        return Err(damaged("a node of an index is of another kind"));
    }
    let mut records = Fields::new(node.take(count as usize * record)?.to_vec());
    if level == 0 {
        for _ in 0..count {
            ids.push(id(&mut records, sizes.index)?);
        }
        return Ok(());
    }
    for child in 0..=count {
        let address = node.address()?.ok_or_else(|| damaged("an index ends nowhere"))?;
        let own = node.number(sizes.own)?;
        node.skip(sizes.below[level - 1])?;
        walk(source, sizes, address, own, level - 1, ids)?;
        if child < count {
            ids.push(id(&mut records, sizes.index)?);
        }
    }
    Ok(())
}

fn id(records: &mut Fields, index: Index) -> Result<Id, String> {
    records.skip(index.key())?;
    let mut id = Id::default();
    id.copy_from_slice(records.take(size_of::<Id>())?);
    Ok(id)
}
