//! Adds the partial sums of several peers, one segment at a time. A segment and its sums stay in the cache
//! for any number of peers.

use super::wire::Wire;
use super::work::Work;
use crate::kernels;
use crate::planes::{WORDS, width, words};
use crate::{Result, Transport};

/// A partial sum that a peer sends.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartialSum {
    /// The rank that sends it.
    pub from: usize,
    /// The number of ranks that it sums over.
    pub ranks: usize,
}

/// The sum of `own`, which is over `ranks` ranks, and of the next message of each of `parts`, in their order.
pub(super) fn reduce_parts(
    wire: &mut Wire,
    own: &[u64],
    ranks: usize,
    mut parts: impl Iterator<Item = PartialSum>,
) -> Result<Vec<u64>> {
    let blocks = own.len() / (width(ranks) * WORDS);
    let Some(first) = parts.next() else {
        let mut copy = wire.transport.buffer(own.len());
        copy.copy_from_slice(own);
        return Ok(copy);
    };
    let received = wire.recv(first.from, width(first.ranks), blocks)?;
    let mut covered = first.ranks + ranks;
    let mut sum = add(wire.transport, &received, first.ranks, own, ranks);
    wire.transport.recycle(received);
    for part in parts {
        let received = wire.recv(part.from, width(part.ranks), blocks)?;
        let wider = add(wire.transport, &sum, covered, &received, part.ranks);
        covered += part.ranks;
        wire.transport.recycle(received);
        wire.transport.recycle(std::mem::replace(&mut sum, wider));
    }
    Ok(sum)
}

/// The sum of `a` over `a_ranks` ranks and `b` over `b_ranks` others, in a buffer of the transport.
fn add(transport: &mut dyn Transport, a: &[u64], a_ranks: usize, b: &[u64], b_ranks: usize) -> Vec<u64> {
    let (a_width, wide) = (width(a_ranks), width(a_ranks + b_ranks));
    let mut sum = transport.buffer(a.len() / a_width * wide);
    transport.adds(sum.len());
    kernels::best().add(a, a_width, b, width(b_ranks), &mut sum, wide);
    sum
}

/// The additions of one [`reduce_parts`] of `blocks` blocks.
pub(super) fn count_additions(
    work: &mut Work,
    blocks: usize,
    ranks: usize,
    parts: impl Iterator<Item = PartialSum>,
) {
    let mut covered = ranks;
    for part in parts {
        covered += part.ranks;
        work.add(words(blocks, width(covered)));
    }
}
