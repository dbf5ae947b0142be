//! `ternflock inspect`.

mod text;

use std::path::Path;
use std::process::ExitCode;

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::arguments::Inspect;
use super::exit;
use super::launcher::is_not_first;
use super::streams::print;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Snapshot};
use ternflock_compress::low_rank::LayerRank;
use ternflock_compress::sparsity_report::{LayerSparsity, sparsity_report};
use ternflock_job::Job;
use ternflock_nn::StructureKind;
use ternflock_nn::parameters::of_layer;
use ternflock_nn::{Graph, Node, Parameter, Parameters};
use ternflock_report::json::to_value;
use ternflock_train::{hash_values, restore_parameters};

/// Shows the checkpoint's network and counters. FLOPs are those of the forward pass per sample; a
/// multiply-add counts as two.
pub fn main(arguments: &Inspect) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match show(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn show(arguments: &Inspect) -> Result<String> {
    let snapshot = checkpoint::load(&arguments.checkpoint)?;
    let (graph, parameters) = restore_parameters(&arguments.checkpoint, &snapshot)?;
    let sparsity = sparsity_report(&graph, &parameters, (!arguments.no_ranks).then_some(arguments.energy))?;
    let (rows, job) = (rows(&graph, &parameters, sparsity), stored_job(&arguments.checkpoint, &snapshot)?);
    Ok(match arguments.json {
        true => as_json(arguments, &snapshot, &graph, &job, &rows),
        false => text::say(arguments, &snapshot, &job, &rows),
    })
}

fn stored_job(path: &Path, snapshot: &Snapshot) -> Result<Job> {
    Job::from_stored(&snapshot.job)
        .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))
}

/// The report on one layer.
struct Row {
    name: String,
    kind: &'static str,
    inputs: Vec<String>,
    output: String,
    shapes: Vec<(String, Vec<usize>)>,
    /// Its tensors that are not trained.
    untrained: Vec<(String, Vec<usize>)>,
    params: u64,
    flops: u64,
    sparsity: LayerSparsity,
}

fn rows(graph: &Graph, parameters: &Parameters, sparsity: Vec<LayerSparsity>) -> Vec<Row> {
    let shapes = |table: &[Parameter], index: usize| -> Vec<(String, Vec<usize>)> {
        let mine = of_layer(table, index);
        mine.iter().map(|p| (p.spec.name.to_string(), p.spec.shape.clone())).collect()
    };
    let row = |(index, (node, sparsity)): (usize, (&Node, LayerSparsity))| Row {
        name: node.name.clone(),
        kind: node.layer.kind(),
        inputs: node.inputs.clone(),
        output: graph.shape(index + 1).to_string(),
        shapes: shapes(&parameters.table, index),
        untrained: shapes(&parameters.statistics.table, index),
        params: sparsity.parameters as u64,
        flops: 2 * sparsity.multiply_adds,
        sparsity,
    };
    graph.layers().iter().zip(sparsity).enumerate().map(row).collect()
}

/// A hash of all parameters, of the optimizer state and of the state of recurrent layers: equal for runs that
/// are equal to the bit.
fn hash(snapshot: &Snapshot) -> String {
    let state = snapshot.optimizer.iter().flat_map(|slot| &slot.tensors);
    let tensors = snapshot.parameters.iter().chain(state).chain(&snapshot.recurrent_state);
    let hashes: Vec<u64> = tensors.map(|tensor| hash_values(&tensor.values)).collect();
    format!("{:016x}", xxh3_64(bytemuck::cast_slice(&hashes)))
}

fn network_name(job: &Job) -> &str {
    job.model.preset.as_deref().unwrap_or(&job.name)
}

/// Its name in job files.
fn word(kind: StructureKind) -> String {
    json!(kind).as_str().unwrap_or_default().into()
}

/// The numbers of remaining and of all structures by kind, and further facts, with their names.
fn sparsity_json(arguments: &Inspect, sparsity: &LayerSparsity) -> [(&'static str, Value); 5] {
    let kept = sparsity.structures.iter().map(|s| (word(s.kind), json!([s.kept, s.all])));
    let rank = |LayerRank { tensor, rank, full_rank, .. }: &LayerRank| json!({"tensor": tensor, "energy": to_value(&arguments.energy), "rank": rank, "full": full_rank});
    [
        ("kept", kept.collect::<Map<_, _>>().into()),
        ("rank", sparsity.ranks.first().map(rank).into()),
        ("recurrent_rank", sparsity.ranks.get(1).map(rank).into()),
        ("nonzero", sparsity.nonzero.into()),
        ("not_finite", sparsity.not_finite.clone().into()),
    ]
}

fn as_json(arguments: &Inspect, snapshot: &Snapshot, graph: &Graph, job: &Job, rows: &[Row]) -> String {
    let layer = |row: &Row| -> Value {
        let named = |tensors: &[(String, Vec<usize>)]| -> Map<String, Value> {
            tensors.iter().map(|(name, shape)| (name.clone(), json!(shape))).collect()
        };
        let (shapes, untrained) = (named(&row.shapes), named(&row.untrained));
        let mut layer = json!({"name": row.name, "type": row.kind, "inputs": row.inputs, "output": row.output,
                               "shapes": shapes, "untrained": untrained, "params": row.params, "flops": row.flops});
        for (key, value) in sparsity_json(arguments, &row.sparsity) {
            layer[key] = value;
        }
        layer
    };
    let progress = &snapshot.progress;
    let best = progress.best.as_ref().map(|b| json!({"step": b.step, "metric": b.metric, "value": to_value(&b.value), "loss": to_value(&b.loss)}));
    let object = json!({
        "checkpoint": arguments.checkpoint.display().to_string(),
        "program_version": snapshot.origin.program_version,
        "created": snapshot.origin.created,
        "job": job.name,
        "network": network_name(job),
        "input": graph.input().to_string(),
        "params": rows.iter().map(|row| row.params).sum::<u64>(),
        "flops": rows.iter().map(|row| row.flops).sum::<u64>(),
        "nonzero": rows.iter().map(|row| row.sparsity.nonzero).sum::<usize>(),
        "step": progress.step,
        "stage": progress.stage.as_ref().map(|stage| json!({"name": stage.name, "start": stage.start})),
        "epoch": progress.epoch,
        "samples_seen": progress.samples_seen,
        "ranks": progress.ranks,
        "threads": progress.threads,
        "blas": progress.blas,
        "vectors": progress.vectors,
        "products": progress.products,
        "metrics": to_value(&progress.metrics),
        "hash": hash(snapshot),
        "best": best,
        "layers": rows.iter().map(layer).collect::<Vec<_>>(),
    });
    format!("{object}\n")
}
