//! The state that recurrent layers carry from step to step, shared by training, evaluation and checkpoints.
//!
//! Each row belongs to a place in the global batch. A checkpoint holds the rows of all places in order, so a
//! run continues exactly, on any number of ranks.

use std::ops::Range;

use crate::step::batch::Batch;
use ternflock_base::error::Result;
use ternflock_checkpoint::Tensor;
use ternflock_data::shard;
use ternflock_nn::Network;
use ternflock_nn::layer::RecurrentState;
use ternflock_world::World;

/// Sets the recurrent state of `network` to zero.
pub fn reset(network: &mut Network) {
    network.recurrent_state().into_iter().for_each(|(_, state)| state.values.fill(0.0));
}

/// A copy of the recurrent state of `network`.
pub fn copy(network: &mut Network) -> Vec<Vec<f32>> {
    network.recurrent_state().into_iter().map(|(_, state)| state.values.to_vec()).collect()
}

/// The inverse of [`copy`].
pub fn put_back(network: &mut Network, copied: &[Vec<f32>]) {
    for ((_, state), values) in network.recurrent_state().into_iter().zip(copied) {
        state.values.copy_from_slice(values);
    }
}

/// The rows of a rank's places. A network that computes all of them at once holds the rows itself. A network
/// that computes micro-batches holds only those of one micro-batch and receives them before it computes it.
pub struct Places {
    /// Per state: `[part, width]`; empty if the network holds the rows.
    rows: Vec<Vec<f32>>,
}

impl Places {
    /// Rows of zero for a rank of `world` that computes `batch` with `network`.
    pub fn new(network: &mut Network, batch: &Batch, world: usize) -> Places {
        let rows = |(_, state): (&str, RecurrentState)| vec![0.0; batch.share(world) * state.width];
        let all_at_once = batch.at_a_time(world) == batch.share(world);
        Places {
            rows: if all_at_once {
                Vec::new()
            } else {
                network.recurrent_state().into_iter().map(rows).collect()
            },
        }
    }

    /// Sets all rows to zero.
    pub fn reset(&mut self, network: &mut Network) {
        reset(network);
        self.rows.iter_mut().for_each(|rows| rows.fill(0.0));
    }

    /// Copies the rows of the places `at`, counted from the rank's first place, to `network`.
    pub fn give(&self, network: &mut Network, at: Range<usize>) {
        if self.rows.is_empty() {
            return;
        }
        for ((_, state), rows) in network.recurrent_state().into_iter().zip(&self.rows) {
            let rows = &rows[at.start * state.width..at.end * state.width];
            state.values[..rows.len()].copy_from_slice(rows);
        }
    }

    /// Copies the rows back from `network` after a pass.
    pub fn take(&mut self, network: &mut Network, at: Range<usize>) {
        if self.rows.is_empty() {
            return;
        }
        for ((_, state), rows) in network.recurrent_state().into_iter().zip(&mut self.rows) {
            let rows = &mut rows[at.start * state.width..at.end * state.width];
            rows.copy_from_slice(&state.values[..rows.len()]);
        }
    }

    /// All rows: the layer's name and its state, with one row per place of the rank and possibly more.
    pub fn all<'n>(&'n mut self, network: &'n mut Network) -> Vec<(&'n str, RecurrentState<'n>)> {
        let held = network.recurrent_state();
        if self.rows.is_empty() {
            return held;
        }
        let with = |((layer, state), rows): ((&'n str, RecurrentState<'n>), &'n mut Vec<f32>)| {
            (layer, RecurrentState { name: state.name, width: state.width, values: rows })
        };
        held.into_iter().zip(&mut self.rows).map(with).collect()
    }
}

/// The rows of all places of a global batch, one `[global_batch, width]` tensor per state, on rank 0; empty
/// on the others. `states` are those of this rank.
pub fn gather(
    states: Vec<(&str, RecurrentState)>,
    global_batch: usize,
    world: &mut World,
) -> Result<Vec<Tensor>> {
    let share = global_batch.div_ceil(world.size());
    let mut tensors = Vec::new();
    for (layer, state) in states {
        let padded = world.gather_to_root(&state.values[..share * state.width])?;
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

/// Restores the rows of the places `part` from `stored`. The message of an `Err` says what does not fit.
pub fn restore(
    states: Vec<(&str, RecurrentState)>,
    stored: &[Tensor],
    global_batch: usize,
    part: Range<usize>,
) -> std::result::Result<(), String> {
    for (layer, state) in states {
        let name = format!("{layer}/{}", state.name);
        let tensor = stored.iter().find(|tensor| tensor.name == name);
        let tensor = tensor.ok_or_else(|| format!("holds no recurrent state `{name}`"))?;
        if tensor.shape != [global_batch, state.width] {
            let (found, width) = (&tensor.shape, state.width);
            return Err(format!(
                "holds the recurrent state `{name}` of shape {found:?}, the job needs [{global_batch}, {width}]"
            ));
        }
        let rows = &tensor.values[part.start * state.width..part.end * state.width];
        state.values[..rows.len()].copy_from_slice(rows);
    }
    Ok(())
}
