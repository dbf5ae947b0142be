//! All-reduce of float32 over the same ring, for the tensors that are not made ternary and as the yardstick.
//!
//! Float addition is not associative, but here each chunk is summed in one order only (from the rank after its owner
//! around the ring to the owner) and the finished sums are then copied, so all ranks end with the same bits.

use super::ring::{Ring, chunk, shift_traffic};
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// Sums `values` of all ranks element by element, in place. The ranks must agree on the number of elements.
pub fn sum(transport: &mut dyn Transport, values: &mut [f32]) -> Result<()> {
    let ring = Ring::of(transport);
    if ring.world == 1 {
        return Ok(());
    }
    let elements = values.len();
    let part = |index| chunk(elements, ring.world, index);

    let mut carried = packed(transport, &values[part(ring.previous())]);
    for chunks in ring.reduce_scatter() {
        let own = &values[part(chunks.received)];
        carried = ring.shift(transport, carried, words(own.len()))?;
        for (sum, own) in floats_mut(&mut carried).iter_mut().zip(own) {
            *sum += own;
        }
    }

    unpack(&carried, &mut values[part(ring.rank)]);
    for chunks in ring.all_gather() {
        let place = &mut values[part(chunks.received)];
        carried = ring.shift(transport, carried, words(place.len()))?;
        unpack(&carried, place);
    }
    transport.recycle(carried);
    transport.flush()
}

/// Exactly what [`sum`] of `elements` elements sends and receives on `rank` of `world`.
pub fn traffic(elements: usize, world: usize, rank: usize) -> Traffic {
    let ring = Ring { rank, world };
    let length = |index| words(chunk(elements, world, index).len());
    ring.reduce_scatter()
        .chain(ring.all_gather())
        .map(|hop| shift_traffic(length(hop.sent), length(hop.received)))
        .sum()
}

/// Words of a message of `elements` floats, two a word.
fn words(elements: usize) -> usize {
    elements.div_ceil(2)
}

fn floats_mut(message: &mut [u64]) -> &mut [f32] {
    bytemuck::cast_slice_mut(message)
}

fn packed(transport: &mut dyn Transport, values: &[f32]) -> Vec<u64> {
    let mut message = transport.buffer(words(values.len()));
    if let Some(last) = message.last_mut() {
        *last = 0;
    }
    floats_mut(&mut message)[..values.len()].copy_from_slice(values);
    message
}

fn unpack(message: &[u64], values: &mut [f32]) {
    values.copy_from_slice(&bytemuck::cast_slice(message)[..values.len()]);
}
