//! A checkpoint with a smaller network in place of the one it holds.

use std::path::Path;

use crate::state::restore::restore_parameters;
use ternflock_base::error::Result;
use ternflock_checkpoint::{Origin, Progress, Snapshot, Tensor};
use ternflock_compress::operation::Operation;
use ternflock_job::{LowRank, Shrink};
use ternflock_nn::{Graph, Parameter, Parameters};

/// Compresses the network of `snapshot` as requested. The new snapshot has everything needed to evaluate it
/// and to continue training from it: network, parameters, vocabulary, job. It omits everything that belongs
/// to the run that made the old one: the optimizer state, the state of recurrent layers, evaluations.
///
/// # Errors
/// Those of [`Operation::new`]; [`Error::Checkpoint`](ternflock_base::error::Error::Checkpoint) about `path`,
/// its source, when the snapshot contradicts itself.
pub fn compress_snapshot(
    path: &Path,
    snapshot: &Snapshot,
    shrink: Option<&Shrink>,
    low_rank: Option<&LowRank>,
) -> Result<(Snapshot, Parameters, Graph, Operation)> {
    let (graph, parameters) = restore_parameters(path, snapshot)?;
    let operation = Operation::new(&graph, &parameters, shrink, low_rank)?;
    let after = Snapshot {
        origin: Origin::now(),
        network: operation.graph.to_json(),
        job: snapshot.job.clone(),
        parameters: tensors(&operation.parameters),
        optimizer: Vec::new(),
        recurrent_state: Vec::new(),
        vocabulary: snapshot.vocabulary.clone(),
        preparation: snapshot.preparation.clone(),
        data: snapshot.data.clone(),
        progress: Progress { best: None, metrics: Default::default(), ..snapshot.progress.clone() },
    };
    Ok((after, parameters, graph, operation))
}

/// All tensors, those of one layer next to each other.
fn tensors(parameters: &Parameters) -> Vec<Tensor> {
    let tensor = |p: &Parameter, values: &[f32]| Tensor {
        name: p.name.clone(),
        shape: p.spec.shape.clone(),
        values: values[p.range.clone()].to_vec(),
    };
    let trained = parameters.table.iter().map(|p| (p.layer, tensor(p, &parameters.values)));
    let statistics = &parameters.statistics;
    let untrained = statistics.table.iter().map(|p| (p.layer, tensor(p, &statistics.values)));
    let mut all: Vec<_> = trained.chain(untrained).collect();
    all.sort_by_key(|(layer, _)| *layer);
    all.into_iter().map(|(_, tensor)| tensor).collect()
}
