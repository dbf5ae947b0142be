//! The closing tables of a run with stages: the network after each stage.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::numbers::{bytes, shown, thousands};
use super::table::table;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_bench::infer::{Contestant, ModelTime, infer};
use ternflock_checkpoint as checkpoint;
use ternflock_compress::low_rank::Form;
use ternflock_compress::sparsity_report::{LayerSparsity, sparsity_report};
use ternflock_job::{Job, Metric};
use ternflock_nn::{Execution, StructureKind};
use ternflock_report::Score;
use ternflock_tensor as tensor;
use ternflock_train::{precision, restore_network};

/// Samples per timed pass, and the time for measuring.
const BATCH: usize = 64;
const SECONDS: f64 = 2.0;
/// The maximum number of networks in memory at the same time.
const MOST_NETWORKS: usize = 8;

/// Facts about the network at the end of a stage.
struct Left {
    stage: String,
    /// The metric that chose its network.
    metric: Option<Metric>,
    metrics: BTreeMap<String, f64>,
    layers: Vec<LayerSparsity>,
    bytes: u64,
}

/// Tables of the networks in the checkpoints at `paths`, the last ones of the stages. Their passes are timed
/// alternately on one process; the others should have ended.
pub fn tables(paths: &[PathBuf]) -> Result<String> {
    let (mut all, mut times) = (Vec::new(), Vec::new());
    let groups = groups(paths);
    let seconds = SECONDS / groups.len().max(1) as f64;
    for group in groups {
        let read = group.into_iter().map(|path| read(path)).collect::<Result<Vec<_>>>()?;
        let (left, contestants): (Vec<Left>, Vec<Contestant>) = read.into_iter().unzip();
        let models = infer(contestants, seconds, false)?.models;
        // The first network is in every group, as the baseline for the speed-ups of the others.
        let new = usize::from(!all.is_empty());
        all.extend(left.into_iter().skip(new));
        times.extend(models.into_iter().skip(new));
    }
    Ok(format!(
        "{}\n  A pass is a forward pass of {BATCH} samples on {}.\n\n{}",
        table(&totals(&all, &times), &[1, 2, 3, 4, 5, 6, 7]),
        plural(tensor::threads(), "thread"),
        table(&by_layer(&all), &[])
    ))
}

/// Splits `paths` into groups that fit in memory. Each group begins with the first path.
fn groups(paths: &[PathBuf]) -> Vec<Vec<&PathBuf>> {
    match paths {
        [] => Vec::new(),
        [only] => vec![vec![only]],
        [first, others @ ..] => others
            .chunks(MOST_NETWORKS - 1)
            .map(|others| [first].into_iter().chain(others).collect())
            .collect(),
    }
}

fn read(path: &Path) -> Result<(Left, Contestant)> {
    let snapshot = checkpoint::load(path)?;
    let job = Job::from_stored(&snapshot.job)
        .map_err(|error| Error::checkpoint(path, format!("its job cannot be read: {error}")))?;
    let network = restore_network(path, &snapshot, Execution { batch: BATCH, precision: precision(&job) })?;
    let metadata = std::fs::metadata(path);
    let bytes = metadata.map_err(|error| Error::checkpoint(path, format!("cannot be read: {error}")))?.len();
    let stage = snapshot.progress.stage.as_ref().map_or_else(String::new, |stage| stage.name.clone());
    let layers = sparsity_report(network.graph(), &network.parameters, None)?;
    let contestant = Contestant::new(stage.clone(), network);
    let metric = snapshot.progress.best.as_ref().and_then(|best| Metric::named(&best.metric));
    Ok((Left { stage, metric, metrics: snapshot.progress.metrics, layers, bytes }, contestant))
}

/// One row per stage.
fn totals(all: &[Left], times: &[ModelTime]) -> Vec<Vec<String>> {
    // The metric by which the networks were chosen, on the set that chose them.
    let metric = all.iter().find_map(|left| left.metric);
    let is_score =
        |name: &&String| metric.is_some_and(|metric| name.ends_with(&format!("_{}", metric.name())));
    let score = all.iter().flat_map(|left| left.metrics.keys()).find(is_score).cloned().unwrap_or_default();
    let title = metric.map_or_else(String::new, |metric| score.replace(metric.name(), metric.title()));
    let titles =
        ["stage", &title.replace('_', " "), "params", "not zero", "FLOPs", "file", "pass", "speed-up"];
    let mut rows = vec![titles.map(String::from).to_vec()];
    for (left, time) in all.iter().zip(times) {
        let shown = |value: &f64| metric.map_or_else(String::new, |metric| shown(Score::new(metric, *value)));
        rows.push(vec![
            left.stage.clone(),
            left.metrics.get(&score).map_or_else(String::new, shown),
            thousands(time.params),
            thousands(left.layers.iter().map(|layer| layer.nonzero as u64).sum()),
            thousands(time.flops),
            bytes(left.bytes as f64),
            format!("{:.2} ms", time.median_ms),
            format!("{:.2}", time.speed_up),
        ]);
    }
    rows
}

/// One row per layer with its own units in the first network: their number, the number of non-zero ones, and
/// the rank.
fn by_layer(all: &[Left]) -> Vec<Vec<String>> {
    let mut titles = vec!["units of".to_owned()];
    titles.extend(all.iter().map(|left| left.stage.clone()));
    let mut rows = vec![titles];
    let layers = all.first().into_iter().flat_map(|left| &left.layers);
    for layer in layers.filter(|layer| units(layer).is_some()) {
        let mut row = vec![layer.layer.clone()];
        row.extend(all.iter().map(|left| of_layer(&layer.layer, left)));
        rows.push(row);
    }
    rows
}

/// The number of non-zero units, and of all units.
fn units(layer: &LayerSparsity) -> Option<(usize, usize)> {
    let kinds = [StructureKind::Filters, StructureKind::Neurons, StructureKind::HiddenUnits];
    kinds.into_iter().find_map(|kind| layer.of(kind)).map(|units| (units.kept, units.all))
}

fn of_layer(name: &str, left: &Left) -> String {
    let find = |name: &str| left.layers.iter().find(|layer| layer.layer == name);
    let Some((kept, all)) = find(name).and_then(units) else { return "gone".into() };
    let mut text = if kept < all { format!("{kept} of {all}") } else { all.to_string() };
    for form in [Form::CrossFilter, Form::Separable] {
        if let Some((_, rank)) = find(&form.first_name(name)).and_then(units) {
            text += &format!(", rank {rank}");
        }
    }
    if let Some(rank) = find(name).and_then(|layer| layer.recurrent_rank) {
        text += &format!(", recurrent rank {rank}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_networks_are_in_memory_than_fit() {
        let paths: Vec<PathBuf> = (0..20).map(|number| number.to_string().into()).collect();
        assert!(groups(&[]).is_empty());
        for count in 1..=20 {
            let groups = groups(&paths[..count]);
            assert!(groups.iter().all(|group| group.len() <= MOST_NETWORKS && group[0] == &paths[0]));
            let others: Vec<_> = groups.iter().flat_map(|group| &group[1..]).copied().collect();
            assert!(others.into_iter().eq(&paths[1..count]));
        }
    }
}
