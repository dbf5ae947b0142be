//! From a checkpoint back to a trainer, or to a network alone.

use std::path::Path;

use crate::exchange::method::RESIDUAL;
use crate::state::{averaging, optimizer};
use crate::step::trainer::{LONGEST, Trainer};
use crate::step::{recurrent_state, statistics};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint::{self as checkpoint, Slot, Snapshot, Tensor};
use ternflock_data::shard;
use ternflock_nn::{Execution, Graph, Network, Parameter, Parameters, parameters};
use ternflock_optim::Plateau;

impl Trainer {
    /// Restores the trainer, on rank `rank` of `world`, from `snapshot`.
    ///
    /// # Errors
    /// A message that says what does not fit; part of the state may then have been restored already.
    pub fn restore(
        &mut self,
        snapshot: &Snapshot,
        rank: usize,
        world: usize,
    ) -> std::result::Result<(), String> {
        let stored = Graph::from_json(&snapshot.network).map_err(|error| error.to_string())?;
        if stored != *self.network.graph() {
            return Err(
                "holds a network other than the one the job asks for; use the job it was trained with".into(),
            );
        }
        if snapshot.progress.step > LONGEST {
            return Err(format!(
                "claims to be at step {}, beyond the limit of any run",
                snapshot.progress.step
            ));
        }
        let shares = self.shares_optimizer_state_after(snapshot.progress.step);
        let place = (!shares).then_some((rank, world));
        let parameters = &mut self.network.parameters;
        let (values, means) = both(parameters, &snapshot.parameters)?;
        for state in self.optimizer.states_mut() {
            let slot = snapshot.optimizer.iter().find(|slot| slot.name == state.name);
            let slot = slot.ok_or_else(|| lacks_state(state.name, snapshot))?;
            count(&slot.tensors, parameters.table.len())?;
            state.values = optimizer::restore(&parameters.table, &slot.tensors, place)?;
        }
        parameters.values = values;
        parameters.statistics.values = means;
        statistics::restore(&mut self.network, snapshot, rank, world)?;
        self.step = snapshot.progress.step;
        if let Some(checkpoint::Plateau { cuts, waited, best_loss }) = snapshot.progress.plateau {
            self.plateau = Plateau { cuts, waited, best_loss };
        }
        let global_batch = self.global_batch();
        let part = shard(global_batch, rank, world);
        recurrent_state::restore(self.recurrent_state(), &snapshot.recurrent_state, global_batch, part)?;
        snapshot.optimizer.iter().try_for_each(|slot| averaging::restore(self, slot, rank, world))?;
        if averaging::changes_residuals(self, snapshot) {
            self.clear_residuals();
        }
        Ok(())
    }
}

/// The error if the optimizer of `snapshot` did not keep the state `name`, which this one needs.
fn lacks_state(name: &str, snapshot: &Snapshot) -> String {
    let called = |slot: &Slot| match slot.name.as_str() {
        RESIDUAL => "residuals of error feedback".to_owned(),
        statistics::STATISTICS => "each rank's statistics".to_owned(),
        state => format!("`{state}`"),
    };
    let kept: Vec<_> = snapshot.optimizer.iter().map(called).collect();
    let kept = if kept.is_empty() { "nothing".to_owned() } else { kept.join(", ") };
    format!(
        "holds no state `{name}` of an optimizer (it holds {kept}): use the [optimizer] it was trained with, \
         or start a new run"
    )
}

/// The parameters and the running statistics of a checkpoint, laid out as those of `parameters`.
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

/// Loads the parameters and the running statistics of `snapshot` into `network`. The message of an `Err` says
/// what does not fit.
pub fn take_parameters(network: &mut Network, snapshot: &Snapshot) -> std::result::Result<(), String> {
    take_parameters_of(&mut network.parameters, snapshot)
}

/// The same for parameters without a network.
pub fn take_parameters_of(
    parameters: &mut Parameters,
    snapshot: &Snapshot,
) -> std::result::Result<(), String> {
    let (values, statistics) = both(parameters, &snapshot.parameters)?;
    (parameters.values, parameters.statistics.values) = (values, statistics);
    Ok(())
}

/// The graph of a network and its parameters, as a checkpoint holds them, without the buffers to run it.
pub fn restore_parameters(path: &Path, snapshot: &Snapshot) -> Result<(Graph, Parameters)> {
    let refuse = |message: String| Error::checkpoint(path, message);
    let graph = Graph::from_json(&snapshot.network).map_err(|error| refuse(error.to_string()))?;
    let mut parameters = Parameters::new(&graph).map_err(|error| refuse(error.to_string()))?;
    take_parameters_of(&mut parameters, snapshot).map_err(refuse)?;
    Ok((graph, parameters))
}

/// A network from a checkpoint alone, for passes as in `execution`.
pub fn restore_network(path: &Path, snapshot: &Snapshot, execution: Execution) -> Result<Network> {
    let refuse = |message: String| Error::checkpoint(path, message);
    let graph = Graph::from_json(&snapshot.network).map_err(|error| refuse(error.to_string()))?;
    let mut network = Network::new(graph, execution).map_err(|error| refuse(error.to_string()))?;
    take_parameters(&mut network, snapshot).map_err(refuse)?;
    Ok(network)
}
