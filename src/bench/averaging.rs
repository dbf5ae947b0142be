//! One averaging of a vector by a contender, in three parts. The second one is timed.

use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::Metered;
use ternflock_collectives::transport::mpi::MpiTransport;
use ternflock_collectives::{Result, control};
use ternflock_train::method::{Averaging, ReductionPath};

use super::contender::Contender;
use super::vectors::{Compressed, Vectors};

/// The part before timing. A method that does not compress copies the vector to its payload here, because
/// float32 sums are compared with those of the MPI library without copies.
///
/// # Errors
/// Those of the transport.
pub fn begin(
    contender: Contender,
    transport: &mut Metered<MpiTransport>,
    vectors: &mut Vectors,
) -> Result<()> {
    vectors.reset();
    vectors.forget();
    if contender.compressor().is_none() { compress(contender, transport, vectors) } else { Ok(()) }
}

/// The timed part: from a vector to its mean for a method that compresses, and the sum over the ranks for the
/// others.
///
/// # Errors
/// Those of the transport.
pub fn run(
    contender: Contender,
    transport: &mut Metered<MpiTransport>,
    topology: &Topology,
    vectors: &mut Vectors,
) -> Result<()> {
    let Some(Averaging { method, algorithm }) = contender.ours() else {
        return transport.inner_mut().allreduce_f32(&mut vectors.result);
    };
    let compresses = contender.compressor().is_some();
    if compresses {
        compress(contender, transport, vectors)?;
    }
    let Some((key, Compressed { words, payload, .. }, gradients)) = vectors.parts(method) else {
        return Ok(());
    };
    let path = ReductionPath { algorithm, coding: contender.coding(), topology };
    payload.reduce(transport, &path, gradients)?;
    if compresses {
        payload.decode(key, words, gradients);
    }
    Ok(())
}

/// The part after timing: the mean, if the timed part computed a sum.
pub fn finish(contender: Contender, vectors: &mut Vectors) {
    match contender.ours() {
        Some(_) if contender.compressor().is_some() => {}
        Some(Averaging { method, .. }) => vectors.decode(method),
        None => vectors.divide(),
    }
}

/// Bytes that `rank` sends according to the formulas, an upper bound if messages are coded; `None` for the all-reduce of the MPI library.
pub fn formula(contender: Contender, rank: usize, topology: &Topology, vectors: &mut Vectors) -> Option<u64> {
    let Averaging { method, algorithm } = contender.ours()?;
    let (_, Compressed { words, payload, .. }, _) = vectors.parts(method)?;
    let agreed = match words.len() {
        0 => 0,
        words => control::max_traffic(words, topology.world()).bytes_sent,
    };
    let path = ReductionPath { algorithm, coding: contender.coding(), topology };
    Some(agreed + payload.bytes_sent(&path, rank).bound())
}

/// Converts the vector to the payload of `contender`.
fn compress(
    contender: Contender,
    transport: &mut Metered<MpiTransport>,
    vectors: &mut Vectors,
) -> Result<()> {
    let method = contender.method();
    let Some((key, Compressed { words, payload, .. }, gradients)) = vectors.parts(method) else {
        return Ok(());
    };
    payload.prepare(key, gradients, words);
    if !words.is_empty() {
        control::max(transport, words)?;
    }
    payload.encode(key, words, gradients);
    Ok(())
}
