//! Object headers, version 1 (IV.A.1.a): the messages that describe a group or a data set.

use super::source::{Fields, Source, damaged, refused};

/// One message of an object header.
pub(super) struct Message {
    pub kind: Kind,
    pub body: Fields,
}

/// The message types (IV.A.2) that `write` produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Space,
    LinkInfo,
    Type,
    Link,
    Layout,
    Attribute,
    /// Not needed for reading: fill values (allocated storage never uses them), estimates and times.
    Ignored,
}

const NIL: u16 = 0x00;
const CONTINUATION: u16 = 0x10;
/// The message flags that change where the content is, or whether an unknown message may be ignored.
const SHARED: u8 = 0x02;

impl Kind {
    fn of(number: u16) -> Result<Kind, String> {
        Ok(match number {
            0x01 => Kind::Space,
            0x02 => Kind::LinkInfo,
            0x03 => Kind::Type,
            0x06 => Kind::Link,
            0x08 => Kind::Layout,
            0x0c => Kind::Attribute,
            0x04 | 0x05 | 0x0a | 0x0d | 0x0e | 0x12 => Kind::Ignored,
            0x07 => return Err(refused("its content is in other files (external storage)")),
            0x0b => return Err(refused("its content passes through a filter, such as a compression")),
            0x11 => return Err(refused("it is a group of the old kind (symbol table)")),
            0x15 => return Err(refused("its attributes are in a heap of their own")),
            other => return Err(refused(format!("its header has a message of type {other:#04x}"))),
        })
    }
}

/// The messages of the object header at `address`.
pub(super) fn messages(source: &Source, address: u64) -> Result<Vec<Message>, String> {
    let mut prefix = source.structure(address, 16)?;
    match prefix.u8()? {
        1 => prefix.skip(1)?,
        b'O' => return Err(refused("it has an object header of version 2")),
        version => return Err(damaged(format!("there is no object header of version {version}"))),
    }
    let count = u32::from(prefix.u16()?);
    prefix.skip(4)?;
    // Four bytes of padding follow.
    let first = (address + 16, u64::from(prefix.u32()?));
    let (mut blocks, mut messages, mut seen) = (vec![first], Vec::new(), 0u32);
    while let Some((at, length)) = blocks.pop() {
        let mut block = source.structure(at, length)?;
        while block.left() > 0 {
            seen += 1;
            if seen > count {
                return Err(damaged(format!("an object header states {count} messages and has more")));
            }
            let (number, size, flags) = (block.u16()?, block.u16()?, block.u8()?);
            block.skip(3)?;
            let mut body = Fields::new(block.take(size.into())?.to_vec());
            match number {
                NIL => {}
                _ if flags & SHARED != 0 => {
                    return Err(refused("a part of its header is shared with other objects"));
                }
                CONTINUATION => {
                    let at = body.address()?.ok_or_else(|| damaged("an object header ends nowhere"))?;
                    blocks.push((at, body.u64()?));
                }
                _ => messages.push(Message { kind: Kind::of(number)?, body }),
            }
        }
    }
    match seen == count {
        true => Ok(messages),
        false => Err(damaged(format!("an object header states {count} messages and has {seen}"))),
    }
}
