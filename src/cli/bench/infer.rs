//! `ternflock bench infer`.

use std::path::Path;

use super::super::arguments::Infer;
use super::super::numbers::thousands;
use super::super::table::table;
use super::{json, warn};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_bench::infer::{
    Contestant, Inference, LayerMedian, default_batch, infer, sized, sizes, verify,
};
use ternflock_checkpoint as checkpoint;
use ternflock_models as models;
use ternflock_nn::{Execution, Graph};
use ternflock_tensor::{blas_computes, set_threads};
use ternflock_train::restore_network;

/// Runs the benchmark and returns the text to print.
pub fn main(arguments: &Infer) -> Result<String> {
    arguments.instructions.choose()?;
    set_threads(usize::from(arguments.threads))?;
    let mut networks = match &arguments.model {
        Some(name) => zoo(arguments, name)?,
        None => load(arguments)?,
    };
    if arguments.verify {
        let (first, others) =
            networks.split_first_mut().filter(|(_, others)| !others.is_empty()).ok_or_else(|| {
                Error::Usage(
                    "--verify compares networks with the first one: give two checkpoints or more".into(),
                )
            })?;
        for other in others {
            other.verified = Some(verify::compare(first, other)?);
        }
    }
    let inference = infer(networks, arguments.seconds, arguments.csr)?;
    warn(&inference.interference);
    Ok(if arguments.json { json(&inference) } else { say(&inference) })
}

/// The preset called `name`, with one or two lists of hidden units.
fn zoo(arguments: &Infer, name: &str) -> Result<Vec<Contestant>> {
    let name = models::find(name).map_err(|error| Error::Usage(format!("--model: {error}")))?;
    let embedding = arguments.vs_embedding.or(arguments.embedding);
    let mut all = vec![(arguments.hidden.as_deref(), arguments.embedding)];
    all.extend(arguments.vs_hidden.as_deref().map(|hidden| (Some(hidden), embedding)));
    let steps = arguments.steps as usize;
    let graph = |(hidden, embedding)| sizes::graph(name, steps, hidden, embedding);
    // All mistakes are reported before the first network is built.
    let graphs = all.into_iter().map(graph).collect::<Result<Vec<Graph>>>()?;
    graphs
        .into_iter()
        .map(|graph| {
            let execution = execution(arguments, &graph);
            sized(name, graph, execution)
        })
        .collect()
}

fn execution(arguments: &Infer, graph: &Graph) -> Execution {
    let batch = arguments.batch.map_or_else(|| default_batch(graph.input()), |batch| batch as usize);
    Execution { batch, precision: arguments.precision }
}

fn load(arguments: &Infer) -> Result<Vec<Contestant>> {
    let load = |path: &Path| {
        let snapshot = checkpoint::load(path)?;
        let graph = Graph::from_json(&snapshot.network)
            .map_err(|error| Error::checkpoint(path, error.to_string()))?;
        let network = restore_network(path, &snapshot, execution(arguments, &graph))?;
        Ok(Contestant::new(path.display().to_string(), network))
    };
    arguments.checkpoints.iter().map(|path| load(path)).collect()
}

/// "A", "B", ... for the columns.
fn letter(index: usize) -> String {
    u8::try_from(index)
        .ok()
        .filter(|&index| index < 26)
        .map_or_else(|| (index + 1).to_string(), |index| char::from(b'A' + index).to_string())
}

fn say(inference: &Inference) -> String {
    let Inference { batch, threads, blas, products, instructions, rounds, models, .. } = inference;
    let blas = if blas_computes() { format!("; {blas}") } else { String::new() };
    let titles = ["", "network", "params", "FLOPs per sample", "per pass", "speed-up", "CPU", "speed-up"];
    let mut rows = vec![titles.map(String::from).to_vec()];
    for (index, model) in models.iter().enumerate() {
        let speed_up = format!("{:.2}x", model.speed_up);
        let cpu_speed_up = format!("{:.2}x", models[0].cpu_ms / model.cpu_ms);
        let (params, flops) = (thousands(model.params), thousands(model.flops));
        let times = [ms(model.median_ms), speed_up, ms(model.cpu_ms), cpu_speed_up];
        rows.push([vec![letter(index), model.path.clone(), params, flops], times.to_vec()].concat());
    }
    let verified = models.iter().enumerate().filter_map(|(index, model)| {
        let verdict = model.verified?;
        Some(format!(
            "{} computes the same as A: logits differ by at most {:.1e}; rounding explains up to {:.1e}\n",
            letter(index),
            verdict.largest_difference,
            verdict.tolerance
        ))
    });
    let verified: String = verified.collect();
    let layers = layers(inference);
    let right: Vec<usize> = (1..layers[0].len()).collect();
    format!(
        "batch {batch}, {}, medians of {}, alternating; {products}; vector instructions: {instructions}{blas}\n{}{verified}\n{}",
        plural(*threads, "thread"),
        plural(*rounds, "round"),
        table(&rows, &[2, 3, 4, 5, 6, 7]),
        table(&layers, &right)
    )
}

fn ms(milliseconds: f64) -> String {
    format!("{milliseconds:.3} ms")
}

/// One row per layer: for each network its time, the time in sparse form, and the speed relative to the first
/// network.
fn layers(inference: &Inference) -> Vec<Vec<String>> {
    let models = &inference.models;
    let sparse = |layers: &[LayerMedian]| layers.iter().any(|layer| layer.csr.is_some());
    let mut rows = vec![vec!["layer".to_owned()]];
    for (index, model) in models.iter().enumerate() {
        rows[0].push(letter(index));
        if index > 0 {
            rows[0].push("speed-up".into());
        }
        if sparse(&model.layers) {
            rows[0].extend([format!("{} CSR", letter(index)), "zeros".into()]);
        }
    }
    for name in names(inference) {
        let of = |index: usize| models[index].layers.iter().find(|layer| layer.name == name);
        let mut row = vec![name.clone()];
        for (index, model) in models.iter().enumerate() {
            let layer = of(index);
            row.push(layer.map_or_else(String::new, |layer| ms(layer.median_ms)));
            if index > 0 {
                let both = of(0).zip(layer).filter(|(_, layer)| layer.median_ms > 0.0);
                let ratio = both.map(|(first, layer)| format!("{:.2}x", first.median_ms / layer.median_ms));
                row.push(ratio.unwrap_or_default());
            }
            if sparse(&model.layers) {
                let csr = layer.and_then(|layer| layer.csr.as_ref());
                row.push(csr.map_or_else(String::new, |csr| ms(csr.median_ms)));
                row.push(csr.map_or_else(String::new, |csr| format!("{:.1} %", 100.0 * csr.zeros)));
            }
        }
        rows.push(row);
    }
    rows
}

/// The names of all layers of all networks. Layers that only a later network has are placed after the layer
/// that they follow there.
fn names(inference: &Inference) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for model in &inference.models {
        let mut next = 0;
        for layer in &model.layers {
            match names.iter().position(|name| *name == layer.name) {
                Some(at) => next = at + 1,
                None => {
                    names.insert(next, layer.name.clone());
                    next += 1;
                }
            }
        }
    }
    names
}
