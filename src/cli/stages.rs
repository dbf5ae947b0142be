//! The closing tables of a run in stages: what became of the network from the first to the last.

use std::path::{Path, PathBuf};

use super::numbers::{bytes, thousands};
use super::table::table;
use crate::checkpoint::{self, Snapshot};
use crate::compress::groups::{GroupKind, groups};
use crate::compress::low_rank::Form;
use crate::error::{Error, Result};
use crate::nn::{Graph, Parameters};
use crate::train::restore_parameters;

/// The network that a stage has left.
struct Left {
    stage: String,
    snapshot: Snapshot,
    graph: Graph,
    parameters: Parameters,
    bytes: u64,
}

/// Tables of the networks in the checkpoints at `paths`, which stages have ended with.
pub fn tables(paths: &[PathBuf]) -> Result<String> {
    let all = paths.iter().map(|path| read(path)).collect::<Result<Vec<Left>>>()?;
    Ok(format!("{}\n{}", table(&totals(&all)?, &[1, 2, 3, 4, 5]), table(&by_layer(&all)?, &[])))
}

fn read(path: &Path) -> Result<Left> {
    let snapshot = checkpoint::load(path)?;
    let refuse = |message: String| Error::checkpoint(path, message);
    let (graph, parameters) = restore_parameters(path, &snapshot)?;
    let bytes = std::fs::metadata(path).map_err(|error| refuse(format!("cannot be read: {error}")))?.len();
    let stage = snapshot.progress.stage.as_ref().map_or_else(String::new, |stage| stage.name.clone());
    Ok(Left { stage, snapshot, graph, parameters, bytes })
}

/// A row a stage.
fn totals(all: &[Left]) -> Result<Vec<Vec<String>>> {
    let metrics = all.first().map(|left| &left.snapshot.progress.metrics);
    // What was measured beside the loss: accuracy or perplexity.
    let score = metrics.into_iter().flat_map(|metrics| metrics.keys()).find(|name| !name.ends_with("loss"));
    let score = score.cloned().unwrap_or_default();
    let titles = ["stage", &score.replace('_', " "), "params", "not zero", "FLOPs", "file"];
    let mut rows = vec![titles.map(String::from).to_vec()];
    for left in all {
        let value = left.snapshot.progress.metrics.get(&score);
        let shown = |value: &f64| match score.ends_with("accuracy") {
            true => format!("{:.2} %", 100.0 * value),
            false => format!("{value:.2}"),
        };
        let flops = (0..left.graph.layers().len()).map(|layer| left.graph.multiply_adds(layer));
        let flops: u64 = 2 * flops.sum::<Result<u64>>()?;
        let not_zero = left.parameters.values.iter().filter(|&&value| value != 0.0).count();
        rows.push(vec![
            left.stage.clone(),
            value.map_or_else(String::new, shown),
            thousands(left.parameters.values.len() as u64),
            thousands(not_zero as u64),
            thousands(flops),
            bytes(left.bytes as f64),
        ]);
    }
    Ok(rows)
}

/// A row a layer that has a weight in the first network: its units, how many of them are not zero, and its rank.
fn by_layer(all: &[Left]) -> Result<Vec<Vec<String>>> {
    let mut titles = vec!["units of".to_owned()];
    titles.extend(all.iter().map(|left| left.stage.clone()));
    let mut rows = vec![titles];
    let kept = all.iter().map(kept).collect::<Result<Vec<_>>>()?;
    let Some(first) = all.first() else { return Ok(rows) };
    for (index, node) in first.graph.layers().iter().enumerate() {
        if !first.parameters.table.iter().any(|tensor| tensor.layer == index && tensor.spec.decay) {
            continue;
        }
        let mut row = vec![node.name.clone()];
        row.extend(all.iter().zip(&kept).map(|(left, kept)| of_layer(&node.name, left, kept)));
        rows.push(row);
    }
    Ok(rows)
}

/// By layer that has removable units: how many of them are not zero, and how many there are.
fn kept(left: &Left) -> Result<Vec<(String, usize, usize)>> {
    let mut all = Vec::new();
    for kind in [GroupKind::Filters, GroupKind::Neurons, GroupKind::HiddenUnits] {
        for groups in groups(&left.graph, &left.parameters, kind)? {
            let mut squares = vec![0.0; groups.count];
            groups.squares(&left.parameters.values, &mut squares);
            let alive = squares.iter().filter(|&&square| square != 0.0).count();
            all.push((groups.layer, alive, groups.count));
        }
    }
    Ok(all)
}

fn of_layer(name: &str, left: &Left, kept: &[(String, usize, usize)]) -> String {
    let units = |name: &str| {
        let index = left.graph.layers().iter().position(|node| node.name == name)?;
        Some(left.graph.shape(index + 1).units())
    };
    let Some(all) = units(name) else { return "gone".into() };
    let mut text = match kept.iter().find(|(layer, ..)| layer == name) {
        Some((_, alive, all)) if alive < all => format!("{alive} of {all}"),
        _ => all.to_string(),
    };
    let ranks =
        [Form::CrossFilter, Form::Separable].into_iter().filter_map(|form| units(&form.first_name(name)));
    ranks.for_each(|rank| text += &format!(", rank {rank}"));
    text
}
