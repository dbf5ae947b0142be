//! Exact all-reduce of ternaries: a ring of integer sums that widen as they collect ranks.
//!
//! A sum over `k` ranks travels at [`width`]`(k)` planes. Integer addition is associative, so the result is the same
//! bits on every rank and the same as any other order of addition would give.

use std::ops::Range;

use super::ring::{Ring, chunk, shift_traffic};
use crate::kernels;
use crate::planes::{TERNARY, width, words};
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// Sums the ternaries of all ranks element by element.
///
/// `ternary` holds `blocks` blocks at width 2, `sums` receives them at [`width`]`(world)`. The ranks must agree on
/// `blocks`; [`small::agree`](crate::small::agree) finds out beforehand if they do not.
///
/// # Panics
/// If a slice has another length.
pub fn sum(transport: &mut dyn Transport, ternary: &[u64], blocks: usize, sums: &mut [u64]) -> Result<()> {
    let ring = Ring::of(transport);
    let full = width(ring.world);
    assert_eq!(ternary.len(), words(blocks, TERNARY), "words of ternaries");
    assert_eq!(sums.len(), words(blocks, full), "words of sums");
    if ring.world == 1 {
        sums.copy_from_slice(ternary);
        return Ok(());
    }
    let part = |index, width| words_of(chunk(blocks, ring.world, index), width);

    let first = &ternary[part(ring.previous(), TERNARY)];
    let mut carried = transport.buffer(first.len());
    carried.copy_from_slice(first);
    for (hop, chunks) in ring.reduce_scatter().enumerate() {
        let (narrow, wide) = (width(hop + 1), width(hop + 2));
        let received = ring.shift(transport, carried, part(chunks.received, narrow).len())?;
        carried = transport.buffer(part(chunks.received, wide).len());
        let own = &ternary[part(chunks.received, TERNARY)];
        kernels::best().add(&received, narrow, own, TERNARY, &mut carried, wide);
        transport.recycle(received);
    }

    sums[part(ring.rank, full)].copy_from_slice(&carried);
    for chunks in ring.all_gather() {
        let place = part(chunks.received, full);
        carried = ring.shift(transport, carried, place.len())?;
        sums[place].copy_from_slice(&carried);
    }
    transport.recycle(carried);
    transport.flush()
}

/// Exactly what [`sum`] of `blocks` blocks sends and receives on `rank` of `world`.
pub fn traffic(blocks: usize, world: usize, rank: usize) -> Traffic {
    let ring = Ring { rank, world };
    let length = |index, width| words(chunk(blocks, world, index).len(), width);
    let scatter = ring.reduce_scatter().enumerate().map(|(hop, chunks)| {
        shift_traffic(length(chunks.sent, width(hop + 1)), length(chunks.received, width(hop + 1)))
    });
    let gather = ring.all_gather().map(|chunks| {
        shift_traffic(length(chunks.sent, width(world)), length(chunks.received, width(world)))
    });
    scatter.chain(gather).sum()
}

fn words_of(blocks: Range<usize>, width: usize) -> Range<usize> {
    words(blocks.start, width)..words(blocks.end, width)
}
