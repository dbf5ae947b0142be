//! The running statistics of layers: batch norm's mean and variance, which are not trained. Each rank keeps
//! its own, from its own samples, and training steps do not use them. Evaluation and checkpoints take the
//! mean over the ranks, from a copy. Each rank continues with its own, which a checkpoint also holds, so that
//! an interrupted run is bit-identical to an uninterrupted one.

use ternflock_base::error::Result;
use ternflock_checkpoint::{Slot, Snapshot, Tensor};
use ternflock_nn::Network;
use ternflock_world::World;

/// The checkpoint slot with the statistics of each rank: its tensors have the ranks as their first dimension.
/// A run on one rank needs no slot, because the statistics next to the parameters are its own.
pub const STATISTICS: &str = "statistics";

/// The mean over the ranks, bit-identical on every rank.
pub fn averaged(network: &Network, world: &mut World) -> Result<Vec<f32>> {
    let mut mean = network.parameters.statistics.values.clone();
    world.mean(&mut mean)?;
    Ok(mean)
}

/// Runs `work` on the network with the mean of all ranks' statistics; afterwards it has its own again.
pub fn with_averaged<T>(
    network: &mut Network,
    world: &mut World,
    work: impl FnOnce(&mut Network, &mut World) -> Result<T>,
) -> Result<T> {
    let mean = averaged(network, world)?;
    let own = std::mem::replace(&mut network.parameters.statistics.values, mean);
    let result = work(network, world);
    network.parameters.statistics.values = own;
    result
}

/// The statistics of each rank as `[P, ...]` tensors, on rank 0; empty on the others and in a world of one
/// rank.
pub fn gather(network: &Network, world: &mut World) -> Result<Vec<Tensor>> {
    let statistics = &network.parameters.statistics;
    if world.size() == 1 || statistics.values.is_empty() {
        return Ok(Vec::new());
    }
    let all = world.gather_to_root(&statistics.values)?;
    let (ranks, elements) = (world.size(), statistics.values.len());
    let tensor = |table: &ternflock_nn::Parameter| Tensor {
        name: table.name.clone(),
        shape: [&[ranks], &table.spec.shape[..]].concat(),
        values: all
            .chunks_exact(elements)
            .flat_map(|rank| rank[table.range.clone()].iter().copied())
            .collect(),
    };
    Ok(if world.rank() == 0 { statistics.table.iter().map(tensor).collect() } else { Vec::new() })
}

/// The slot of `snapshot` with the statistics of each rank.
fn slot(snapshot: &Snapshot) -> Option<&Slot> {
    snapshot.optimizer.iter().find(|slot| slot.name == STATISTICS)
}

/// Restores the statistics of rank `rank` of `world` from `snapshot`, whose mean `network` already holds; on
/// another number of ranks each continues with the mean. The message of an `Err` says what does not fit.
pub fn restore(
    network: &mut Network,
    snapshot: &Snapshot,
    rank: usize,
    world: usize,
) -> std::result::Result<(), String> {
    let statistics = &mut network.parameters.statistics;
    let Some(slot) = slot(snapshot).filter(|_| snapshot.progress.ranks == world as u64) else {
        return Ok(());
    };
    for table in &statistics.table {
        let tensor = slot.tensors.iter().find(|tensor| tensor.name == table.name);
        let tensor = tensor.ok_or_else(|| format!("holds no `{}` of each rank", table.name))?;
        let needed = [&[world], &table.spec.shape[..]].concat();
        if tensor.shape != needed {
            let found = &tensor.shape;
            return Err(format!(
                "all ranks' `{}` have shape {found:?}, its network needs {needed:?}",
                table.name
            ));
        }
        let elements = table.range.len();
        statistics.values[table.range.clone()].copy_from_slice(&tensor.values[rank * elements..][..elements]);
    }
    Ok(())
}

/// A note if the statistics do not simply continue on `world` ranks.
pub fn what_becomes(network: &Network, snapshot: &Snapshot, world: usize) -> Option<String> {
    let changes = snapshot.progress.ranks != world as u64 && !network.parameters.statistics.values.is_empty();
    changes.then(|| "each rank continues with the mean of all ranks' running statistics".into())
}
