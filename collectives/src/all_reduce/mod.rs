//! All-reduces, after which every rank has the sum over all ranks.
//!
//! The all-reduces of ternaries ([`Algorithm`]) all give the same integers and differ only in time.
//! [`ring_f32`] sums float32.
//!
//! A *chunk* travels as a sequence of *segments*, one per message. While a rank adds one segment, the next
//! ones are in transit. It forwards each segment as soon as it is added.

mod algorithm;
pub mod cut;
mod gather_ternary;
mod groups;
mod halving_ternary;
mod reduce_parts;
pub mod ring;
pub mod ring_f32;
mod two_level;
mod wire;
mod work;

use std::ops::Range;

pub use algorithm::Algorithm;
pub use work::{Message, Work};

use crate::planes::words;
use crate::topology::Topology;

/// Blocks per segment, 128 KiB of ternaries. If ranks share memory, shorter segments cost more time for
/// messages than they hide, and longer ones are not faster.
pub const SEGMENT: usize = 1024;

/// The payload that the ranks add, and how they cut it. A plan must be equal on all ranks.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The ranks.
    pub topology: &'a Topology,
    /// The number of blocks of the payload.
    pub blocks: usize,
    /// The number of blocks per segment, usually [`SEGMENT`].
    pub segment: usize,
    /// The messages that are coded.
    pub coding: Coding,
}

/// The messages that an all-reduce of ternaries codes ([`coding`](crate::coding)). The sums are the same in all cases.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Coding {
    /// None: all lengths are known beforehand.
    #[default]
    Never,
    /// Those from one node to another. Within a node, copying planes takes less time than coding them.
    BetweenNodes,
    /// All.
    Always,
}

/// The words of `blocks` in a payload of `width`.
fn words_of(blocks: &Range<usize>, width: usize) -> Range<usize> {
    words(blocks.start, width)..words(blocks.end, width)
}
