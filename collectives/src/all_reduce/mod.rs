//! All-reduces: every rank ends with the sum over all ranks.
//!
//! The all-reduces of ternaries all give the same integers and differ only in time: [`Algorithm`] is the choice.
//! [`ring_f32`] sums float32.
//!
//! A *chunk* travels as a row of *segments*, one per message. While a rank adds one segment, the next ones are on their
//! way, and it sends each on at once.

mod algorithm;
pub mod cut;
mod gather_ternary;
mod groups;
mod halving_ternary;
mod reduce_parts;
pub mod ring;
pub mod ring_f32;
mod two_level;
mod work;

use std::ops::Range;

pub use algorithm::Algorithm;
pub use work::{Message, Work};

use crate::planes::words;
use crate::topology::Topology;
use crate::{Result, Transport};

/// Blocks of a segment, 128 KiB of ternaries: where ranks share memory, shorter ones cost more in messages than they
/// hide, and longer ones are no faster.
pub const SEGMENT: usize = 1024;

/// The payload that the ranks add, and how they cut it. A plan must be equal on all ranks.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The ranks.
    pub topology: &'a Topology,
    /// Blocks of the payload.
    pub blocks: usize,
    /// Blocks of a segment, usually [`SEGMENT`].
    pub segment: usize,
}

/// Where a payload of `width` holds `blocks`.
fn words_of(blocks: &Range<usize>, width: usize) -> Range<usize> {
    words(blocks.start, width)..words(blocks.end, width)
}

/// Sends a copy of `content` to rank `to`.
fn send_copy(transport: &mut dyn Transport, to: usize, content: &[u64]) -> Result<()> {
    let mut message = transport.buffer(content.len());
    message.copy_from_slice(content);
    transport.send(to, message)
}

/// Receives the next message of rank `from` into `place`.
fn recv_into(transport: &mut dyn Transport, from: usize, place: &mut [u64]) -> Result<()> {
    let message = transport.recv(from, place.len())?;
    place.copy_from_slice(&message);
    transport.recycle(message);
    Ok(())
}
