//! What survives a restart: the bridge between a trainer and a checkpoint.
//!
//! Random numbers need no state (design rule), so parameters, the optimizer's buffers and a few counters are all.

use crate::checkpoint::{Best, Origin, Progress, Slot, Snapshot, Tensor};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::nn::{Graph, Network, Parameter, Parameters};
use crate::tensor::blas_threads;

use super::trainer::{LONGEST, Trainer};

/// The optimizer's slot in a checkpoint.
const MOMENTUM: &str = "momentum";

/// The checkpoint of `trainer` now, borrowing its values.
pub fn snapshot<'a>(
    trainer: &'a Trainer,
    job: &Job,
    world: usize,
    best: Option<Best>,
) -> Snapshot<&'a [f32]> {
    let parameters = &trainer.network.parameters;
    let tensors = |values: &'a [f32]| -> Vec<Tensor<&'a [f32]>> {
        let tensor = |p: &Parameter| Tensor {
            name: p.name.clone(),
            shape: p.spec.shape.clone(),
            values: &values[p.range.clone()],
        };
        parameters.table.iter().map(tensor).collect()
    };
    let samples_seen = trainer.step * job.train.global_batch as u64;
    Snapshot {
        origin: Origin::now(),
        network: trainer.network.graph().to_json(),
        job: job.to_toml(),
        parameters: tensors(&parameters.values),
        optimizer: vec![Slot { name: MOMENTUM.into(), tensors: tensors(&trainer.optimizer.velocity) }],
        progress: Progress {
            step: trainer.step,
            epoch: samples_seen / trainer.training_samples() as u64,
            samples_seen,
            ranks: world as u64,
            blas_threads: blas_threads() as u64,
            best,
            metrics: Default::default(),
        },
    }
}

/// Puts `trainer` where `snapshot` was taken. The message of an `Err` says what does not fit.
pub fn restore(trainer: &mut Trainer, snapshot: &Snapshot) -> std::result::Result<(), String> {
    let stored = Graph::from_json(&snapshot.network).map_err(|error| error.to_string())?;
    if stored != *trainer.network.graph() {
        return Err("holds another network than the job asks for; give the job it was trained with".into());
    }
    if snapshot.progress.step > LONGEST {
        return Err(format!("says it is at step {}, beyond any run", snapshot.progress.step));
    }
    let slot = snapshot.optimizer.iter().find(|slot| slot.name == MOMENTUM);
    let slot = slot.ok_or_else(|| format!("has no optimizer slot `{MOMENTUM}`"))?;
    let parameters = &mut trainer.network.parameters;
    let values = flat(parameters, &snapshot.parameters)?;
    trainer.optimizer.velocity = flat(parameters, &slot.tensors)?;
    parameters.values = values;
    trainer.step = snapshot.progress.step;
    Ok(())
}

/// The values of `tensors`, laid out by the table of `parameters`.
fn flat(parameters: &Parameters, tensors: &[Tensor]) -> std::result::Result<Vec<f32>, String> {
    if tensors.len() != parameters.table.len() {
        return Err(format!("holds {} tensors, its network has {}", tensors.len(), parameters.table.len()));
    }
    let mut values = vec![0.0; parameters.values.len()];
    for parameter in &parameters.table {
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

/// A network as a checkpoint holds it, for batches of up to `capacity`: nothing else is needed.
pub fn restore_network(path: &std::path::Path, snapshot: &Snapshot, capacity: usize) -> Result<Network> {
    let refuse = |message: String| Error::checkpoint(path, message);
    let graph = Graph::from_json(&snapshot.network).map_err(|error| refuse(error.to_string()))?;
    let mut network = Network::new(graph, capacity).map_err(|error| refuse(error.to_string()))?;
    network.parameters.values = flat(&network.parameters, &snapshot.parameters).map_err(refuse)?;
    Ok(network)
}
