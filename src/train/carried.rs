//! What recurrent layers carry from step to step, between training, evaluation and checkpoints.
//!
//! A row belongs to a place in the global batch, so a checkpoint holds the rows of all places, in order: a run goes on exactly,
//! on any number of ranks.

use std::ops::Range;

use super::world::World;
use crate::checkpoint::Tensor;
use crate::data::shard;
use crate::error::Result;
use crate::nn::Network;

/// Zeroes all of it.
pub fn reset(network: &mut Network) {
    network.carried().into_iter().for_each(|(_, state)| state.values.fill(0.0));
}

/// A copy of all of it.
pub fn copy(network: &mut Network) -> Vec<Vec<f32>> {
    network.carried().into_iter().map(|(_, state)| state.values.to_vec()).collect()
}

/// The inverse of [`copy`].
pub fn put_back(network: &mut Network, copied: &[Vec<f32>]) {
    for ((_, state), values) in network.carried().into_iter().zip(copied) {
        state.values.copy_from_slice(values);
    }
}

/// The rows of all places of a global batch, `[global_batch, width]` a tensor, on rank 0; nothing on the others.
pub fn gather(network: &mut Network, global_batch: usize, world: &mut World) -> Result<Vec<Tensor>> {
    let share = global_batch.div_ceil(world.size());
    let mut tensors = Vec::new();
    for (layer, state) in network.carried() {
        let padded = world.collect(&state.values[..share * state.width])?;
        if world.rank() == 0 {
            let rows = |rank| shard(global_batch, rank, world.size()).len() * state.width;
            let of_ranks = padded.chunks(share * state.width).enumerate();
            tensors.push(Tensor {
                name: format!("{layer}/{}", state.name),
                shape: vec![global_batch, state.width],
                values: of_ranks.flat_map(|(rank, values)| &values[..rows(rank)]).copied().collect(),
            });
        }
    }
    Ok(tensors)
}

/// Takes up the rows of the places `part` of `stored`. The message of an `Err` says what does not fit.
pub fn restore(
    network: &mut Network,
    stored: &[Tensor],
    global_batch: usize,
    part: Range<usize>,
) -> std::result::Result<(), String> {
    for (layer, state) in network.carried() {
        let name = format!("{layer}/{}", state.name);
        let tensor = stored.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| format!("does not say what `{name}` carried"))?;
        if tensor.shape != [global_batch, state.width] {
            let (found, width) = (&tensor.shape, state.width);
            return Err(format!(
                "carries `{name}` of shape {found:?}, the job needs [{global_batch}, {width}]"
            ));
        }
        let rows = &tensor.values[part.start * state.width..part.end * state.width];
        state.values[..rows.len()].copy_from_slice(rows);
    }
    Ok(())
}
