//! `ternflock inspect`.

use std::process::ExitCode;

use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use super::arguments::Inspect;
use super::exit;
use super::launcher::is_not_first;
use super::numbers::{bytes, thousands};
use super::streams::print;
use super::table::table;
use crate::checkpoint::{self, Snapshot};
use crate::error::{Error, Result};
use crate::job::Job;
use crate::nn::{Graph, Parameter, parameters};
use crate::train::hash_values;

/// Shows the checkpoint's network and counters. FLOPs are those of the forward pass of one sample, a multiply-add
/// counted as two.
pub fn main(arguments: &Inspect) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    let shown = checkpoint::load(&arguments.checkpoint).and_then(|snapshot| {
        let graph = Graph::from_json(&snapshot.network)
            .map_err(|error| Error::checkpoint(&arguments.checkpoint, error.to_string()))?;
        if arguments.json {
            as_json(arguments, &snapshot, &graph)
        } else {
            as_text(arguments, &snapshot, &graph)
        }
    });
    match shown {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

/// What is said of one layer.
struct Row {
    name: String,
    kind: &'static str,
    inputs: Vec<String>,
    output: String,
    shapes: Vec<(String, Vec<usize>)>,
    /// What it keeps untrained.
    untrained: Vec<(String, Vec<usize>)>,
    params: u64,
    flops: u64,
}

fn rows(graph: &Graph) -> Result<Vec<Row>> {
    let (table, untrained) = (parameters::table(graph)?, parameters::statistics_table(graph)?);
    let shapes = |table: &[Parameter], index: usize| -> Vec<(String, Vec<usize>)> {
        let mine = table.iter().filter(|p| p.layer == index);
        mine.map(|p| (p.spec.name.to_string(), p.spec.shape.clone())).collect()
    };
    let row = |(index, node): (usize, &crate::nn::Node)| {
        let mine = || table.iter().filter(|p| p.layer == index);
        Ok(Row {
            name: node.name.clone(),
            kind: node.layer.kind(),
            inputs: node.inputs.clone(),
            output: graph.shape(index + 1).to_string(),
            shapes: shapes(&table, index),
            untrained: shapes(&untrained, index),
            params: mine().map(|p| p.range.len() as u64).sum(),
            flops: 2 * graph.multiply_adds(index)?,
        })
    };
    graph.layers().iter().enumerate().map(row).collect()
}

/// A hash of all parameters, of the optimizer's state and of what recurrent layers carry on: equal for runs that are equal to the bit.
fn hash(snapshot: &Snapshot) -> String {
    let state = snapshot.optimizer.iter().flat_map(|slot| &slot.tensors);
    let tensors = snapshot.parameters.iter().chain(state).chain(&snapshot.carried);
    let hashes: Vec<u64> = tensors.map(|tensor| hash_values(&tensor.values)).collect();
    format!("{:016x}", xxh3_64(bytemuck::cast_slice(&hashes)))
}

fn network_name(job: &Job) -> &str {
    job.model.preset.as_deref().unwrap_or(&job.name)
}

fn as_json(arguments: &Inspect, snapshot: &Snapshot, graph: &Graph) -> Result<String> {
    let (rows, job) = (rows(graph)?, Job::from_toml(&snapshot.job)?);
    let layer = |row: &Row| -> Value {
        let named = |tensors: &[(String, Vec<usize>)]| -> serde_json::Map<String, Value> {
            tensors.iter().map(|(name, shape)| (name.clone(), json!(shape))).collect()
        };
        let (shapes, untrained) = (named(&row.shapes), named(&row.untrained));
        json!({"name": row.name, "type": row.kind, "inputs": row.inputs, "output": row.output,
               "shapes": shapes, "untrained": untrained, "params": row.params, "flops": row.flops})
    };
    let progress = &snapshot.progress;
    let best = progress.best.as_ref().map(|b| json!({"step": b.step, "metric": b.metric, "value": b.value}));
    let object = json!({
        "checkpoint": arguments.checkpoint.display().to_string(),
        "program_version": snapshot.origin.program_version,
        "created": snapshot.origin.created,
        "job": job.name,
        "network": network_name(&job),
        "input": graph.input().to_string(),
        "params": rows.iter().map(|row| row.params).sum::<u64>(),
        "flops": rows.iter().map(|row| row.flops).sum::<u64>(),
        "step": progress.step,
        "epoch": progress.epoch,
        "samples_seen": progress.samples_seen,
        "ranks": progress.ranks,
        "threads": progress.threads,
        "metrics": progress.metrics,
        "hash": hash(snapshot),
        "best": best,
        "layers": rows.iter().map(layer).collect::<Vec<_>>(),
    });
    Ok(format!("{object}\n"))
}

/// What layers keep beside their parameters, in words: "running_mean, running_var of 19 layers, 1,376 numbers".
fn untrained(rows: &[Row]) -> Option<String> {
    let keep: Vec<&Row> = rows.iter().filter(|row| !row.untrained.is_empty()).collect();
    let tensors = || keep.iter().flat_map(|row| &row.untrained);
    let numbers: usize = tensors().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let names: std::collections::BTreeSet<&str> = tensors().map(|(name, _)| name.as_str()).collect();
    let names = Vec::from_iter(names).join(", ");
    (numbers > 0).then(|| format!("{names} of {} layers, {} numbers", keep.len(), thousands(numbers as u64)))
}

fn as_text(arguments: &Inspect, snapshot: &Snapshot, graph: &Graph) -> Result<String> {
    let (rows, job) = (rows(graph)?, Job::from_toml(&snapshot.job)?);
    let progress = &snapshot.progress;
    let words = |row: [&str; 6]| row.map(String::from).to_vec();
    let mut lines = vec![words(["layer", "type", "output", "weight", "params", "FLOPs"])];
    for row in &rows {
        let weight = row
            .shapes
            .first()
            .map(|(_, shape)| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x"));
        lines.push(words([
            &row.name,
            row.kind,
            &row.output,
            &weight.unwrap_or_default(),
            &thousands(row.params),
            &thousands(row.flops),
        ]));
    }
    let params: u64 = rows.iter().map(|row| row.params).sum();
    let flops: u64 = rows.iter().map(|row| row.flops).sum();
    lines.push(words(["total", "", "", "", &thousands(params), &thousands(flops)]));
    let mut about = vec![
        ("checkpoint", arguments.checkpoint.display().to_string()),
        ("written", format!("{} by version {}", snapshot.origin.created, snapshot.origin.program_version)),
        ("job", format!("{}, network {}, data {}", job.name, network_name(&job), job.data.dataset)),
        (
            "progress",
            format!(
                "step {}, epoch {}, {} samples, {} ranks",
                thousands(progress.step),
                progress.epoch,
                thousands(progress.samples_seen),
                progress.ranks
            ),
        ),
        ("tensors", format!("{} of parameters, hash {}", bytes(4.0 * params as f64), hash(snapshot))),
    ];
    about.extend(untrained(&rows).map(|text| ("untrained", text)));
    if let Some(best) = &progress.best {
        about.push(("best", format!("{} {:.4} at step {}", best.metric, best.value, thousands(best.step))));
    }
    about.extend(progress.metrics.iter().map(|(name, value)| (name.as_str(), format!("{value:.4}"))));
    let about: Vec<Vec<String>> = about.into_iter().map(|(k, v)| vec![k.to_string(), v]).collect();
    Ok(format!("{}\n{}", table(&about, &[]), table(&lines, &[4, 5])))
}
