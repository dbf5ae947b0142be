//! Variable-length strings: the value is a descriptor, and the characters are in a global heap collection (III.E).

use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::source::{Fields, Source, damaged};

/// The size of a descriptor: length, address of the collection, index within it.
pub(super) const DESCRIPTOR: usize = 4 + 8 + 4;

/// The collections read so far, by address.
#[derive(Default)]
pub(super) struct Texts {
    collections: RefCell<HashMap<u64, Collection>>,
}

struct Collection {
    bytes: Vec<u8>,
    /// Index, offset and length of each object, by index.
    objects: Vec<(u16, usize, usize)>,
}

impl Texts {
    /// The string of the next of the `descriptors`.
    pub fn read(&self, source: &Source, descriptors: &mut Fields) -> Result<String, String> {
        let length = descriptors.u32()?;
        let (address, number) = (descriptors.u64()?, descriptors.u32()?);
        if length == 0 {
            return Ok(String::new());
        }
        source.count_content(length.into())?;
        let mut collections = self.collections.borrow_mut();
        let collection = match collections.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(Collection::read(source, address)?),
        };
        let text = collection.object(number).filter(|text| text.len() == length as usize);
        let text = text.ok_or_else(|| damaged("a text is not where its description says"))?;
        match std::str::from_utf8(text) {
            Ok(text) if text.contains('\0') => Err("a text holds a NUL character".into()),
            Ok(text) => Ok(text.to_owned()),
            Err(_) => Err("a text is not UTF-8".into()),
        }
    }
}

impl Collection {
    fn read(source: &Source, address: u64) -> Result<Collection, String> {
        const HEADER: u64 = 16;
        let mut header = source.structure(address, HEADER)?;
        let size = match header.take(5)? == b"GCOL\x01" {
            true => {
                header.skip(3)?;
                header.u64()?
            }
            false => return Err(damaged("a text is not in a heap")),
        };
        let rest = size.checked_sub(HEADER).ok_or_else(|| damaged("a heap is smaller than its header"))?;
        let at = address.checked_add(HEADER).ok_or_else(|| damaged("a heap is not within the file"))?;
        let bytes = source.structure(at, rest)?.into_bytes();
        let (mut objects, mut fields) = (Vec::new(), Fields::new(bytes.clone()));
        // Unused space may be smaller than the header of an object.
        while fields.left() >= HEADER as usize {
            let number = fields.u16()?;
            fields.skip(6)?;
            let length = fields.u64()?;
            // Index 0 is the free space at the end.
            if number == 0 {
                break;
            }
            let padded = length.checked_next_multiple_of(8).and_then(|length| usize::try_from(length).ok());
            let offset = bytes.len() - fields.left();
            fields.skip(padded.unwrap_or(usize::MAX))?;
            objects.push((number, offset, length as usize));
        }
        objects.sort_unstable();
        Ok(Collection { bytes, objects })
    }

    fn object(&self, number: u32) -> Option<&[u8]> {
        let number = u16::try_from(number).ok()?;
        let at = self.objects.binary_search_by_key(&number, |&(number, ..)| number).ok()?;
        let (_, offset, length) = self.objects[at];
        self.bytes.get(offset..offset + length)
    }
}
