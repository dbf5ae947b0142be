//! Every rank receives the ternaries of all others and adds them itself. This takes one step, and 2 bits per
//! element from every rank.

use super::cut::segments;
use super::reduce_parts::{PartialSum, count_additions, reduce_parts};
use super::wire::{Segment, Wire};
use super::work::Work;
use super::{Plan, words_of};
use crate::planes::{TERNARY, width, words};
use crate::{Result, Transport};

/// See [`Algorithm::steps`](super::Algorithm::steps).
pub(super) const STEPS: usize = 1;

/// The number of segments that a rank sends before it waits for the first one. More would only use memory.
const AHEAD: usize = 2;

/// See [`Algorithm::sum`](super::Algorithm::sum).
pub(super) fn sum(
    transport: &mut dyn Transport,
    plan: Plan,
    ternary: &[u64],
    sums: &mut [u64],
) -> Result<()> {
    let (rank, world) = (transport.rank(), transport.world());
    let mut unsent = segments(0..plan.blocks, plan.segment);
    let mut send = |wire: &mut Wire, segments: usize| -> Result<()> {
        for blocks in unsent.by_ref().take(segments) {
            let (own, mut segment) = (&ternary[words_of(&blocks, TERNARY)], Segment::default());
            after(rank, world).try_for_each(|peer| wire.share(peer, TERNARY, own, &mut segment))?;
            wire.discard(segment);
        }
        Ok(())
    };
    let mut wire = Wire::new(transport, plan);
    send(&mut wire, AHEAD)?;
    for blocks in segments(0..plan.blocks, plan.segment) {
        send(&mut wire, 1)?;
        let sum = reduce_parts(&mut wire, &ternary[words_of(&blocks, TERNARY)], 1, parts(rank, world))?;
        sums[words_of(&blocks, width(world))].copy_from_slice(&sum);
        wire.transport.recycle(sum);
    }
    wire.transport.flush()
}

/// See [`Algorithm::work`](super::Algorithm::work).
pub(super) fn work(plan: Plan, rank: usize) -> Work {
    let world = plan.topology.world();
    let mut work = Work::default();
    for blocks in segments(0..plan.blocks, plan.segment) {
        after(rank, world).for_each(|peer| work.send(peer, words(blocks.len(), TERNARY)));
        count_additions(&mut work, blocks.len(), 1, parts(rank, world));
    }
    work
}

/// All other ranks, from the next one on. Each rank starts with another one, so that no rank receives from
/// all at once.
fn after(rank: usize, world: usize) -> impl DoubleEndedIterator<Item = usize> {
    (1..world).map(move |distance| (rank + distance) % world)
}

/// The partial sums that the others send, starting with the rank that sends to this one first.
fn parts(rank: usize, world: usize) -> impl Iterator<Item = PartialSum> {
    after(rank, world).rev().map(|from| PartialSum { from, ranks: 1 })
}
