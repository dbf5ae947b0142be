//! Groups: their attributes, and the names and addresses of their members in creation order.

use std::collections::HashSet;

use super::attributes::Attributes;
use super::heap::Heap;
use super::object::{Kind, messages};
use super::records::{Index, records};
use super::source::{Fields, Source, damaged, refused};

/// The longest name of a member in bytes: `snapshot` checks it too.
const LONGEST_NAME: usize = 1024;

/// A group.
#[derive(Debug)]
pub(in super::super) struct Group {
    /// Names and addresses of object headers, in creation order if `is_ordered`.
    members: Vec<(String, u64)>,
    is_ordered: bool,
    /// The attributes of the group.
    pub attributes: Attributes,
}

/// A link message (IV.A.2.g).
struct Link {
    order: Option<u64>,
    name: String,
    address: u64,
}

/// A link info message (IV.A.2.c).
struct LinkInfo {
    /// Whether the group records the creation order of its members.
    is_ordered: bool,
    /// Where the links are if there are many: the addresses of a fractal heap and of a B-tree. The B-tree indexes the
    /// creation order if it is recorded, else the hashes of the names.
    many: Option<(u64, u64)>,
}

impl Group {
    /// Reads the group whose object header is at `address`.
    pub(super) fn read(source: &Source, address: u64) -> Result<Group, String> {
        let (mut links, mut info, mut attributes) = (Vec::new(), None, Attributes::default());
        for message in messages(source, address)? {
            match message.kind {
                Kind::Link => links.push(link(message.body)?),
                Kind::LinkInfo => info = Some(link_info(message.body)?),
                Kind::Attribute => attributes.add(message.body)?,
                Kind::Ignored => {}
                Kind::Space | Kind::Type | Kind::Layout => return Err("it is not a group".into()),
            }
        }
        let info = info.ok_or_else(|| refused("it is a group of an unknown kind"))?;
        if let Some((heap, tree)) = info.many {
            if !links.is_empty() {
                return Err(damaged("a group keeps its links in two places"));
            }
            let heap = Heap::open(source, heap)?;
            for id in records(source, tree, if info.is_ordered { Index::Order } else { Index::Name })? {
                links.push(link(heap.object(id)?)?);
            }
        }
        if links.iter().any(|link| link.order.is_some() != info.is_ordered) {
            return Err(damaged("a group records the order of some of its members"));
        }
        links.sort_by_key(|link| link.order);
        let mut names = HashSet::new();
        if let Some(twice) = links.iter().find(|link| !names.insert(&link.name)) {
            return Err(damaged(format!("two members of a group are named {:?}", twice.name)));
        }
        let members = links.into_iter().map(|link| (link.name, link.address)).collect();
        Ok(Group { members, is_ordered: info.is_ordered, attributes })
    }

    /// Names and addresses of the members in creation order.
    ///
    /// # Errors
    /// If the group does not record that order.
    pub fn members(&self) -> Result<&[(String, u64)], String> {
        match self.is_ordered {
            true => Ok(&self.members),
            false => Err(refused("it does not record the order in which its members were created")),
        }
    }

    /// The address of the member called `name`.
    pub fn member(&self, name: &str) -> Option<u64> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, address)| *address)
    }
}

fn link_info(mut body: Fields) -> Result<LinkInfo, String> {
    const UNORDERED: u8 = 0;
    const ORDERED_AND_INDEXED: u8 = 3;
    let is_ordered = match (body.u8()?, body.u8()?) {
        (0, UNORDERED) => false,
        (0, ORDERED_AND_INDEXED) => true,
        _ => return Err(refused("it has no index of the order in which its members were created")),
    };
    if is_ordered {
        let _largest_order = body.u64()?;
    }
    let (heap, by_name) = (body.address()?, body.address()?);
    let tree = if is_ordered { body.address()? } else { by_name };
    match (heap, tree) {
        (None, None) => Ok(LinkInfo { is_ordered, many: None }),
        (Some(heap), Some(tree)) => Ok(LinkInfo { is_ordered, many: Some((heap, tree)) }),
        _ => Err(damaged("a group has links, but no index of them")),
    }
}

/// Reads a link message. Its flags determine which fields it has.
fn link(mut body: Fields) -> Result<Link, String> {
    let version = body.u8()?;
    let flags = body.u8()?;
    if version != 1 || flags & 0b1110_0000 != 0 {
        return Err(damaged("a link does not begin like one"));
    }
    let kind = if flags & 0b1000 != 0 { body.u8()? } else { 0 };
    let order = if flags & 0b100 != 0 { Some(body.u64()?) } else { None };
    if flags & 0b1_0000 != 0 {
        let _character_set = body.u8()?;
    }
    let length = body.number(1 << (flags & 0b11))?;
    let length = usize::try_from(length).ok().filter(|&length| length <= LONGEST_NAME);
    let length =
        length.ok_or_else(|| refused(format!("a member has a name of more than {LONGEST_NAME} bytes")))?;
    let name = String::from_utf8(body.take(length)?.to_vec())
        .map_err(|_| damaged("the name of a member is not UTF-8"))?;
    let kind = match kind {
        0 => {
            let address = body.address()?.ok_or_else(|| damaged("a link leads nowhere"))?;
            return Ok(Link { order, name, address });
        }
        1 => "a soft link",
        64 => "a link to another file (external link)",
        _ => "a link of an unknown kind",
    };
    Err(refused(format!("its member {name:?} is {kind}")))
}
