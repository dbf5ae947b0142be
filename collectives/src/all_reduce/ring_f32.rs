//! All-reduce of float32 in a ring, for the tensors that stay float32 and as the baseline.
//!
//! Float addition is not associative, but here each chunk is summed in one order only (from the rank after
//! its owner around the ring to the owner) and the finished sums are then copied, so all ranks end with the
//! same bits. The order depends on neither nodes nor segments: the ring follows the numbers of the ranks.

use super::cut::{chunk, segments};
use super::ring::Ring;
use super::work::{self, Work};
use crate::topology::Topology;
use crate::transport::meter::Traffic;
use crate::transport::packed;
use crate::{Result, Transport};

/// Elements per segment, 1 MiB. If ranks share memory, shorter segments cost more time for messages than they
/// hide.
pub const SEGMENT: usize = 1 << 18;

/// Sums `values` of all ranks element by element, in place.
///
/// `segment` is the number of elements per message, usually [`SEGMENT`]; an odd number is rounded up. It must
/// be equal on all ranks, and so must the number of elements.
///
/// # Errors
/// Those of the transport. Ranks whose chunks take different numbers of words get a
/// [`LengthMismatch`](crate::Error::LengthMismatch) or a timeout. A difference of one element may go unnoticed in the
/// padding of a word.
pub fn sum(transport: &mut dyn Transport, segment: usize, values: &mut [f32]) -> Result<()> {
    let ring = Ring { place: transport.rank(), size: transport.world() };
    let elements = values.len();
    let cut = |index| segments(chunk(0..elements, ring.size, index), even(segment));
    for (hop, index) in ring.reduce_scatter().enumerate().filter(|_| ring.size > 1) {
        for part in cut(index) {
            let own = &mut values[part];
            let message = if hop == 0 {
                packed(transport, own)
            } else {
                let mut message = transport.recv(ring.previous(), words(own.len()))?;
                transport.adds(message.len());
                if index == ring.place {
                    add_to_both(&mut message, own);
                } else {
                    add(&mut message, own);
                }
                message
            };
            transport.send(ring.next(), message)?;
        }
    }
    for index in ring.all_gather() {
        for part in cut(index) {
            let place = &mut values[part];
            let message = transport.recv(ring.previous(), words(place.len()))?;
            unpack(&message, place);
            if index == ring.next() {
                transport.recycle(message);
            } else {
                transport.send(ring.next(), message)?;
            }
        }
    }
    transport.flush()
}

/// The exact messages and additions of [`sum`] of `elements` elements on `rank` of `world`.
pub fn work(segment: usize, elements: usize, world: usize, rank: usize) -> Work {
    let ring = Ring { place: rank, size: world };
    let cut = |index| segments(chunk(0..elements, world, index), even(segment));
    let mut work = Work::default();
    for (hop, index) in ring.reduce_scatter().enumerate().filter(|_| world > 1) {
        for part in cut(index) {
            work.send(ring.next(), words(part.len()));
            if hop > 0 {
                work.add(words(part.len()));
            }
        }
    }
    for part in ring.all_gather().filter(|index| *index != ring.next()).flat_map(cut) {
        work.send(ring.next(), words(part.len()));
    }
    work
}

/// The exact traffic of [`sum`] of `elements` elements on `rank` of `world`.
pub fn traffic(segment: usize, elements: usize, world: usize, rank: usize) -> Traffic {
    work::traffic(world, rank, |rank| work(segment, elements, world, rank))
}

/// The length of the longest chain of messages in which each message can leave only when the one before has
/// arrived.
pub fn steps(world: usize) -> usize {
    2 * (world - 1)
}

/// The maximum number of these messages that go from one node to another: the chain passes around the ring
/// almost twice.
pub fn inter_node_steps(topology: &Topology) -> usize {
    let world = topology.world();
    let leaves = |rank: &usize| topology.node_of(*rank) != topology.node_of((rank + 1) % world);
    steps(world).min(2 * (0..world).filter(leaves).count())
}

/// `segment`, rounded up to full words.
fn even(segment: usize) -> usize {
    segment.max(1).saturating_add(segment.max(1) % 2)
}

/// The words of a message of `elements` floats, two per word.
fn words(elements: usize) -> usize {
    elements.div_ceil(2)
}

fn add(message: &mut [u64], own: &[f32]) {
    let sums: &mut [f32] = bytemuck::cast_slice_mut(message);
    sums.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
}

/// The last addition to a chunk, which this rank keeps and sends.
fn add_to_both(message: &mut [u64], own: &mut [f32]) {
    let sums: &mut [f32] = bytemuck::cast_slice_mut(message);
    for (sum, own) in sums.iter_mut().zip(own) {
        *sum += *own;
        *own = *sum;
    }
}

fn unpack(message: &[u64], values: &mut [f32]) {
    values.copy_from_slice(&bytemuck::cast_slice(message)[..values.len()]);
}
