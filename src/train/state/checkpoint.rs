//! What survives a restart: the bridge between a trainer and a checkpoint.
//!
//! Random numbers need no state (design rule), so parameters, the optimizer's buffers and a few counters are all.

use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Best, Origin, Progress, Slot, Snapshot, Tensor};
use ternflock_data::shard;
use ternflock_job::{Job, ScheduleKind};
use ternflock_nn::{Graph, Network, Parameter, Parameters, parameters};
use ternflock_optim::{Plateau, State};
use ternflock_tensor as tensor;

use crate::exchange::method::RESIDUAL;
use crate::step::trainer::{LONGEST, Trainer};
use crate::step::{recurrent_state, statistics};
use ternflock_base::text::plural;
use ternflock_world::World;

/// What a checkpoint holds of all ranks: on rank 0; nothing on the others.
pub struct Gathered {
    /// What averaging methods keep, by slot: beside those of the optimizer, with the ranks as first dimension of the tensors.
    averaging: Vec<(&'static str, Vec<Tensor>)>,
    /// What recurrent layers carry to the next step.
    recurrent_state: Vec<Tensor>,
    /// What layers keep untrained: the mean over the ranks, on every rank, and each rank's own.
    statistics: Vec<f32>,
    own_statistics: Vec<Tensor>,
}

/// Gathers what a checkpoint holds of all ranks.
pub fn gather(trainer: &mut Trainer, world: &mut World) -> Result<Gathered> {
    let averaging = gather_averaging(trainer, world)?;
    let global_batch = trainer.global_batch();
    let recurrent_state = recurrent_state::gather(trainer.recurrent_state(), global_batch, world)?;
    let own_statistics = statistics::gather(&trainer.network, world)?;
    let statistics = statistics::averaged(&trainer.network, world)?;
    Ok(Gathered { averaging, recurrent_state, statistics, own_statistics })
}

/// What averaging methods keep on all ranks, `[P, ...]` per tensor, on rank 0; nothing on the others.
fn gather_averaging(trainer: &Trainer, world: &mut World) -> Result<Vec<(&'static str, Vec<Tensor>)>> {
    let mut states: Vec<_> = trainer.exchange().state().collect();
    states.sort_by_key(|state| (state.slot, state.tensor));
    let mut slots = Vec::<(&str, Vec<Tensor>)>::new();
    for state in states {
        let shape = [&[world.size()], state.shape].concat();
        let values = world.gather_to_root(state.values)?;
        if world.rank() != 0 {
            continue;
        }
        let name = trainer.network.parameters.table[state.tensor].name.clone();
        let tensor = Tensor { name, shape, values };
        match slots.last_mut().filter(|(slot, _)| *slot == state.slot) {
            Some((_, tensors)) => tensors.push(tensor),
            None => slots.push((state.slot, vec![tensor])),
        }
    }
    Ok(slots)
}

/// The checkpoint of `trainer` now, borrowing its values and those that were gathered; its vocabulary and what identifies the data are left empty.
pub fn snapshot<'a>(
    trainer: &'a Trainer,
    gathered: &'a Gathered,
    job: &Job,
    world: usize,
    stage: Option<&str>,
    best: Option<Best>,
) -> Snapshot<&'a [f32]> {
    let parameters = &trainer.network.parameters;
    let tensor = |p: &Parameter, values: &'a [f32]| Tensor {
        name: p.name.clone(),
        shape: p.spec.shape.clone(),
        values: &values[p.range.clone()],
    };
    let tensors = |values: &'a [f32]| -> Vec<Tensor<&'a [f32]>> {
        parameters.table.iter().map(|p| tensor(p, values)).collect()
    };
    // A layer's tensors stand together: those that are trained, then the others.
    let trained = parameters.table.iter().map(|p| (p, &parameters.values));
    let untrained = parameters.statistics.table.iter().map(|p| (p, &gathered.statistics));
    let mut all: Vec<_> = trained.chain(untrained).collect();
    all.sort_by_key(|(p, _)| p.layer);
    let slot = |state: &'a State| Slot { name: state.name.into(), tensors: tensors(&state.values) };
    let mut slots: Vec<_> = trainer.optimizer.states().iter().map(slot).collect();
    let borrow = |tensor: &'a Tensor| Tensor {
        name: tensor.name.clone(),
        shape: tensor.shape.clone(),
        values: &tensor.values[..],
    };
    for (name, tensors) in &gathered.averaging {
        slots.push(Slot { name: (*name).into(), tensors: tensors.iter().map(borrow).collect() });
    }
    if !gathered.own_statistics.is_empty() {
        let tensors = gathered.own_statistics.iter().map(borrow).collect();
        slots.push(Slot { name: statistics::STATISTICS.into(), tensors });
    }
    let heeds = matches!(trainer.job().schedule.kind, ScheduleKind::Plateau { .. });
    let Plateau { cuts, waited, best_loss } = trainer.plateau;
    let samples_seen = trainer.step * job.train.global_batch as u64;
    Snapshot {
        origin: Origin::now(),
        network: trainer.network.graph().to_json(),
        job: job.to_toml(),
        parameters: all.into_iter().map(|(p, values)| tensor(p, values)).collect(),
        optimizer: slots,
        recurrent_state: gathered.recurrent_state.iter().map(borrow).collect(),
        vocabulary: Vec::new(),
        data: checkpoint::Data::new(),
        progress: Progress {
            step: trainer.step,
            epoch: samples_seen / trainer.training_samples() as u64,
            samples_seen,
            ranks: world as u64,
            threads: tensor::threads() as u64,
            blas: Some(tensor::blas().to_string()),
            vectors: Some(tensor::vector_instructions().into()),
            gradients: Some(trainer.exchange().gradients()),
            stage: stage.map(|name| checkpoint::Stage {
                name: name.into(),
                start: trainer.start,
                optimizer_start: trainer.optimizer_start,
            }),
            plateau: heeds.then_some(checkpoint::Plateau { cuts, waited, best_loss }),
            best,
            metrics: Default::default(),
        },
    }
}

/// Puts `trainer`, on rank `rank` of `world`, where `snapshot` was taken. The message of an `Err` says what does not fit.
pub fn restore(
    trainer: &mut Trainer,
    snapshot: &Snapshot,
    rank: usize,
    world: usize,
) -> std::result::Result<(), String> {
    let stored = Graph::from_json(&snapshot.network).map_err(|error| error.to_string())?;
    if stored != *trainer.network.graph() {
        return Err("holds another network than the job asks for; give the job it was trained with".into());
    }
    if snapshot.progress.step > LONGEST {
        return Err(format!("says it is at step {}, beyond any run", snapshot.progress.step));
    }
    let parameters = &mut trainer.network.parameters;
    let (values, means) = both(parameters, &snapshot.parameters)?;
    for state in trainer.optimizer.states_mut() {
        let slot = snapshot.optimizer.iter().find(|slot| slot.name == state.name);
        let slot = slot.ok_or_else(|| lacks_state(state.name, snapshot))?;
        count(&slot.tensors, parameters.table.len())?;
        state.values = flat(&parameters.table, &slot.tensors)?;
    }
    parameters.values = values;
    parameters.statistics.values = means;
    statistics::restore(&mut trainer.network, snapshot, rank, world)?;
    trainer.step = snapshot.progress.step;
    if let Some(checkpoint::Plateau { cuts, waited, best_loss }) = snapshot.progress.plateau {
        trainer.plateau = Plateau { cuts, waited, best_loss };
    }
    let global_batch = trainer.global_batch();
    recurrent_state::restore(
        trainer.recurrent_state(),
        &snapshot.recurrent_state,
        global_batch,
        shard(global_batch, rank, world),
    )?;
    snapshot.optimizer.iter().try_for_each(|slot| restore_averaging(trainer, slot, rank, world))
}

/// That the optimizer which `snapshot` was taken with did not keep the state `name`, which this one needs.
fn lacks_state(name: &str, snapshot: &Snapshot) -> String {
    let called = |slot: &Slot| match slot.name.as_str() {
        RESIDUAL => "residuals of error feedback".to_owned(),
        statistics::STATISTICS => "each rank's statistics".to_owned(),
        state => format!("`{state}`"),
    };
    let kept: Vec<_> = snapshot.optimizer.iter().map(called).collect();
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    format!(
        "holds no state `{name}` of an optimizer (it holds {kept}): give the [optimizer] it was trained with, or start \
         a new run"
    )
}

/// What becomes of the residuals of `snapshot` on `world` ranks, if it is not just what they were.
pub fn what_becomes_of_residuals(trainer: &Trainer, snapshot: &Snapshot, world: usize) -> Option<String> {
    let keeps = trainer.exchange().residuals().next().is_some();
    let stored = snapshot.optimizer.iter().find(|slot| slot.name == RESIDUAL);
    match stored {
        None if keeps => {
            Some("the checkpoint holds no residuals of error feedback: they begin at zero".into())
        }
        Some(_) if !keeps => Some("the residuals of error feedback in the checkpoint are given up".into()),
        Some(_) if snapshot.progress.ranks != world as u64 => {
            Some("each rank goes on with the mean of all ranks' residuals of error feedback".into())
        }
        _ => None,
    }
}

/// Each rank takes up its own part of `slot` if an averaging method keeps it. Residuals are checked even if error feedback
/// is now off.
fn restore_averaging(
    trainer: &mut Trainer,
    slot: &Slot,
    rank: usize,
    world: usize,
) -> std::result::Result<(), String> {
    let name = match slot.name.as_str() {
        RESIDUAL => "residual",
        other if trainer.exchange().state().any(|state| state.slot == other) => other,
        _ => return Ok(()),
    };
    for tensor in &slot.tensors {
        let table = &trainer.network.parameters.table;
        let parameter = table.iter().enumerate().find(|(_, parameter)| parameter.name == tensor.name);
        let (number, parameter) = parameter
            .ok_or_else(|| format!("keeps a {name} of `{}`, which its network does not have", tensor.name))?;
        let kept = trainer.exchange().state().find(|state| state.slot == slot.name && state.tensor == number);
        let needed = kept.map_or(&parameter.spec.shape[..], |state| state.shape);
        let (ranks, shape) = tensor.shape.split_first().unwrap_or((&0, &[]));
        if *ranks == 0 || shape != needed {
            let found = &tensor.shape;
            return Err(format!(
                "the {name} of `{}` has shape {found:?}, its network needs [ranks, {needed:?}]",
                tensor.name
            ));
        }
        let Some(own) = trainer.exchange_mut().state_mut(&slot.name, number) else { continue };
        take_up(&tensor.values, *ranks, rank, world, own);
    }
    Ok(())
}

/// Rank `rank` of `world` takes up its part, `own`, of the residuals that `ranks` ranks have left. On another number of ranks
/// each takes up their mean, so that the ranks together still owe as much to the mean gradient.
fn take_up(residuals: &[f32], ranks: usize, rank: usize, world: usize, own: &mut [f32]) {
    let elements = own.len();
    for (index, own) in own.iter_mut().enumerate() {
        let of = |rank: usize| residuals[rank * elements + index];
        *own = if ranks == world { of(rank) } else { (0..ranks).map(of).sum::<f32>() / ranks as f32 };
    }
}

/// The parameters and the statistics of a checkpoint, laid out as those of `parameters`.
fn both(parameters: &Parameters, tensors: &[Tensor]) -> std::result::Result<(Vec<f32>, Vec<f32>), String> {
    let statistics = &parameters.statistics;
    count(tensors, parameters.table.len() + statistics.table.len())?;
    Ok((flat(&parameters.table, tensors)?, flat(&statistics.table, tensors)?))
}

/// Refuses more or fewer tensors than a network has.
fn count(tensors: &[Tensor], needed: usize) -> std::result::Result<(), String> {
    match tensors.len() {
        found if found != needed => {
            Err(format!("holds {}, its network has {needed}", plural(found, "tensor")))
        }
        _ => Ok(()),
    }
}

/// The values of those of `tensors` that `table` names, laid out by it.
fn flat(table: &[Parameter], tensors: &[Tensor]) -> std::result::Result<Vec<f32>, String> {
    let mut values = vec![0.0; parameters::count(table)];
    for parameter in table {
        let tensor = tensors.iter().find(|tensor| tensor.name == parameter.name);
        let tensor = tensor.ok_or_else(|| format!("has no tensor `{}`", parameter.name))?;
        if tensor.shape != parameter.spec.shape {
            let (found, needed) = (&tensor.shape, &parameter.spec.shape);
            return Err(format!("`{}` has shape {found:?}, its network needs {needed:?}", parameter.name));
        }
        values[parameter.range.clone()].copy_from_slice(&tensor.values);
    }
    Ok(values)
}

/// Gives `network` the parameters of `snapshot`, and what it keeps untrained. The message of an `Err` says what does not fit.
pub fn take_parameters(network: &mut Network, snapshot: &Snapshot) -> std::result::Result<(), String> {
    take_parameters_of(&mut network.parameters, snapshot)
}

/// The same of parameters without a network.
pub fn take_parameters_of(
    parameters: &mut Parameters,
    snapshot: &Snapshot,
) -> std::result::Result<(), String> {
    let (values, statistics) = both(parameters, &snapshot.parameters)?;
    (parameters.values, parameters.statistics.values) = (values, statistics);
    Ok(())
}

/// The structure of a network and its parameters, as a checkpoint holds them, without room to run it.
pub fn restore_parameters(path: &std::path::Path, snapshot: &Snapshot) -> Result<(Graph, Parameters)> {
    let refuse = |message: String| Error::checkpoint(path, message);
    let graph = Graph::from_json(&snapshot.network).map_err(|error| refuse(error.to_string()))?;
    let mut parameters = Parameters::new(&graph).map_err(|error| refuse(error.to_string()))?;
    take_parameters_of(&mut parameters, snapshot).map_err(refuse)?;
    Ok((graph, parameters))
}

/// A network as a checkpoint holds it, for batches of up to `capacity`: nothing else is needed.
pub fn restore_network(path: &std::path::Path, snapshot: &Snapshot, capacity: usize) -> Result<Network> {
    let refuse = |message: String| Error::checkpoint(path, message);
    let graph = Graph::from_json(&snapshot.network).map_err(|error| refuse(error.to_string()))?;
    let mut network = Network::new(graph, capacity).map_err(|error| refuse(error.to_string()))?;
    take_parameters(&mut network, snapshot).map_err(refuse)?;
    Ok(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_go_to_their_ranks_or_to_all_alike() {
        let (stored, mut own) = ([1.0, 2.0, 3.0, 4.0, 8.0, 0.0], [9.0; 2]);
        take_up(&stored, 3, 1, 3, &mut own);
        assert_eq!(own, [3.0, 4.0]);
        for rank in 0..2 {
            take_up(&stored, 3, rank, 2, &mut own);
            assert_eq!(own, [4.0, 2.0]);
        }
    }
}
