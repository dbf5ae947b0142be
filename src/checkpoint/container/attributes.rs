//! Attributes (IV.A.2.m): single values attached to a group.

use std::collections::BTreeMap;

use super::source::{Fields, damaged, refused};
use super::text::DESCRIPTOR;
use super::value::{Type, shape};

/// The attributes of a group by name.
#[derive(Debug, Default)]
pub(in super::super) struct Attributes(BTreeMap<String, Attribute>);

#[derive(Debug)]
struct Attribute {
    shape: Vec<u64>,
    kind: Option<Type>,
    value: Vec<u8>,
}

impl Attributes {
    /// Reads an attribute message (IV.A.2.m). Version 1 pads each part to a multiple of eight bytes. Version 3 does not pad,
    /// and it includes a character set.
    pub(super) fn add(&mut self, mut body: Fields) -> Result<(), String> {
        let (version, flags) = (body.u8()?, body.u8()?);
        let sizes = [body.u16()?, body.u16()?, body.u16()?].map(usize::from);
        let padding = match (version, flags) {
            (1, _) => 8,
            (3, 0) => {
                body.skip(1)?;
                1
            }
            _ => return Err(refused("it has an attribute of another version, or of a shared type")),
        };
        let mut part = |size: usize| -> Result<Vec<u8>, String> {
            let bytes = body.take(size)?.to_vec();
            body.skip(size.next_multiple_of(padding) - size)?;
            Ok(bytes)
        };
        let name = part(sizes[0])?;
        let name = name.strip_suffix(b"\0").filter(|name| !name.contains(&0));
        let name = name.and_then(|name| std::str::from_utf8(name).ok());
        let name = name.ok_or_else(|| damaged("the name of an attribute is not UTF-8"))?.to_owned();
        let kind = Type::read(&part(sizes[1])?);
        let shape = shape(Fields::new(part(sizes[2])?)).map_err(|reason| format!("`{name}`: {reason}"))?;
        let value = body.take(body.left())?.to_vec();
        match self.0.insert(name, Attribute { shape, kind, value }) {
            None => Ok(()),
            Some(_) => Err(damaged("two of its attributes have the same name")),
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether an attribute called `name` exists.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The unsigned 32-bit integer called `name`.
    pub fn u32(&self, name: &str) -> Result<u32, String> {
        self.scalar(name, Type::U32, "an unsigned 32-bit integer").map(u32::from_le_bytes)
    }

    /// The unsigned 64-bit integer called `name`.
    pub fn u64(&self, name: &str) -> Result<u64, String> {
        self.scalar(name, Type::U64, "an unsigned 64-bit integer").map(u64::from_le_bytes)
    }

    /// The 64-bit float called `name`.
    pub fn f64(&self, name: &str) -> Result<f64, String> {
        self.scalar(name, Type::F64, "a 64-bit float").map(f64::from_le_bytes)
    }

    /// The descriptor of the string called `name`.
    pub fn text(&self, name: &str) -> Result<[u8; DESCRIPTOR], String> {
        self.scalar(name, Type::Text, "a string of variable length")
    }

    fn scalar<const N: usize>(&self, name: &str, wanted: Type, what: &str) -> Result<[u8; N], String> {
        let attribute = self.0.get(name).ok_or("there is no such attribute")?;
        let value = attribute.value.first_chunk().filter(|_| attribute.kind == Some(wanted));
        match value.filter(|_| attribute.shape.is_empty()) {
            Some(value) => Ok(*value),
            None => Err(format!("it is not {what}")),
        }
    }
}
