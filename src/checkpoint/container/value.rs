//! Shapes, types and contents of data sets.

use super::object::{Kind, messages};
use super::source::{Fields, Source, damaged, refused};
use super::text::DESCRIPTOR;

/// The maximum number of dimensions in HDF5.
const MOST_DIMENSIONS: u8 = 32;

/// The types that `write` uses; each is an index into [`TYPES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    U32,
    U64,
    F32,
    F64,
    Text,
}

/// Data type messages (IV.A.2.d), version 1: class and version, three bytes of flags, the size in 4 bytes, then the
/// properties of the class. All numbers are little-endian. The character set of strings may be ASCII or UTF-8.
const TYPES: [(Type, &[u8]); 6] = [
    (Type::U32, b"\x10\x00\x00\x00\x04\0\0\0\x00\x00\x20\x00"),
    (Type::U64, b"\x10\x00\x00\x00\x08\0\0\0\x00\x00\x40\x00"),
    (Type::F32, b"\x11\x20\x1f\x00\x04\0\0\0\x00\x00\x20\x00\x17\x08\x00\x17\x7f\0\0\0"),
    (Type::F64, b"\x11\x20\x3f\x00\x08\0\0\0\x00\x00\x40\x00\x34\x0b\x00\x34\xff\x03\0\0"),
    (Type::Text, b"\x19\x01\x00\x00\x10\0\0\0\x10\x00\x00\x00\x01\0\0\0\x00\x00\x08\x00"),
    (Type::Text, b"\x19\x01\x01\x00\x10\0\0\0\x10\x00\x00\x00\x01\0\0\0\x00\x00\x08\x00"),
];

impl Type {
    pub fn read(bytes: &[u8]) -> Option<Type> {
        // A message is padded with zeros to a multiple of eight bytes.
        let is =
            |known: &[u8]| bytes.starts_with(known) && bytes[known.len()..].iter().all(|&byte| byte == 0);
        TYPES.iter().find(|(_, known)| is(known)).map(|(kind, _)| *kind)
    }

    fn size(self) -> usize {
        match self {
            Type::U32 | Type::F32 => 4,
            Type::U64 | Type::F64 => 8,
            Type::Text => DESCRIPTOR,
        }
    }
}

/// Reads a data space message (IV.A.2.b): the length of each dimension.
pub(super) fn shape(mut body: Fields) -> Result<Vec<u64>, String> {
    let (version, rank, flags) = (body.u8()?, body.u8()?, body.u8()?);
    match version {
        1 => body.skip(5)?,
        2 if body.u8()? == 2 => return Err(refused("it has no value (null data space)")),
        2 => {}
        _ => return Err(damaged("a data space does not begin like one")),
    }
    if rank > MOST_DIMENSIONS || flags & !1 != 0 {
        return Err(damaged("a data space has impossible dimensions"));
    }
    let mut lengths = || (0..rank).map(|_| body.u64()).collect::<Result<Vec<_>, _>>();
    let lengths_now = lengths()?;
    if flags == 1 && lengths()? != lengths_now {
        return Err(refused("its size can change"));
    }
    Ok(lengths_now)
}

/// The description of a data set.
#[derive(Debug)]
pub(in super::super) struct Dataset {
    shape: Vec<u64>,
    kind: Option<Type>,
    /// The address of the content, if it was allocated, and its size in bytes; or why it cannot be read. HDF5 describes data
    /// sets without elements as chunked.
    content: Result<(Option<u64>, u64), String>,
}

impl Dataset {
    /// Reads the object header at `address`.
    pub(super) fn read(source: &Source, address: u64) -> Result<Dataset, String> {
        let (mut space, mut kind, mut content) = (None, None, None);
        for message in messages(source, address)? {
            let mut body = message.body;
            match message.kind {
                Kind::Space => space = Some(shape(body)?),
                Kind::Type => kind = Some(Type::read(body.take(body.left())?)),
                Kind::Layout => content = Some(layout(body)),
                // Other programs may annotate a tensor.
                Kind::Attribute | Kind::Ignored => {}
                Kind::Link | Kind::LinkInfo => return Err("it is not a data set".into()),
            }
        }
        match (space, kind, content) {
            (Some(shape), Some(kind), Some(content)) => Ok(Dataset { shape, kind, content }),
            _ => Err("it is not a data set".into()),
        }
    }

    /// The length of each dimension.
    pub fn shape(&self) -> Result<Vec<usize>, String> {
        let lengths = self.shape.iter().map(|&length| usize::try_from(length));
        lengths.collect::<Result<_, _>>().map_err(|_| self.too_large())
    }

    pub(super) fn floats(&self, source: &Source) -> Result<Vec<f32>, String> {
        let (at, count) = self.elements(Type::F32, "it is not of 32-bit floats", source)?;
        source.content(at, count)
    }

    /// The descriptors of the strings.
    pub(super) fn texts(&self, source: &Source) -> Result<Fields, String> {
        let (at, count) = self.elements(Type::Text, "it is not of strings of variable length", source)?;
        Ok(Fields::new(source.content(at, count * DESCRIPTOR)?))
    }

    /// The address of the content and the number of elements, which must have the type `wanted`.
    fn elements(&self, wanted: Type, otherwise: &str, source: &Source) -> Result<(u64, usize), String> {
        if self.kind != Some(wanted) {
            return Err(otherwise.into());
        }
        let known: Vec<u64> = self.shape.iter().copied().filter(|&length| length > 0).collect();
        let product = known.iter().try_fold(1u64, |product, &length| product.checked_mul(length));
        let product = product.ok_or_else(|| self.too_large())?;
        let count = if known.len() == self.shape.len() { product } else { 0 };
        let bytes = count.checked_mul(wanted.size() as u64).filter(|&bytes| source.holds(bytes));
        let bytes = bytes.ok_or_else(|| self.too_large())?;
        if bytes == 0 {
            return Ok((0, 0));
        }
        match self.content.clone()? {
            (None, _) => Err("it was never written".into()),
            (Some(_), size) if size != bytes => {
                Err(damaged(format!("it has {size} bytes for the {bytes} of its shape")))
            }
            (Some(at), _) => Ok((at, count as usize)),
        }
    }

    fn too_large(&self) -> String {
        format!("it states the shape {:?}, larger than the file", self.shape)
    }
}

/// Reads a data layout message (IV.A.2.i), version 3: address and size of the content.
fn layout(mut body: Fields) -> Result<(Option<u64>, u64), String> {
    const CONTIGUOUS: u8 = 1;
    let (version, class) = (body.u8()?, body.u8()?);
    let what = match (version, class) {
        (3, CONTIGUOUS) => return Ok((body.address()?, body.u64()?)),
        (3 | 4, 0) => "in its header (compact)",
        (3 | 4, 2) => "in chunks",
        (4, 3) => "in other files (virtual data set)",
        _ => "in an unknown way",
    };
    Err(refused(format!("its content is stored {what}")))
}
