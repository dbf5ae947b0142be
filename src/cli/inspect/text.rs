//! The text of `ternflock inspect`: the progress of training, the layers and their cost, and the structures
//! that are left.

use super::super::arguments::Inspect;
use super::super::numbers::{bytes, thousands};
use super::super::table::table;
use super::{Row, hash, network_name, word};
use ternflock_base::text::{noun_for, plural};
use ternflock_checkpoint::Snapshot;
use ternflock_compress::low_rank::LayerRank;
use ternflock_job::Job;
use ternflock_nn::StructureKind;

/// The complete text.
pub fn say(arguments: &Inspect, snapshot: &Snapshot, job: &Job, rows: &[Row]) -> String {
    let left = left(arguments, rows).map_or_else(String::new, |left| format!("\n{left}"));
    format!("{}\n{}{left}", about(arguments, snapshot, job, rows), costs(rows))
}

fn about(arguments: &Inspect, snapshot: &Snapshot, job: &Job, rows: &[Row]) -> String {
    let (origin, progress) = (&snapshot.origin, &snapshot.progress);
    let params: u64 = rows.iter().map(|row| row.params).sum();
    let steps = format!("step {}, epoch {}", thousands(progress.step), progress.epoch);
    let seen = noun_for(progress.samples_seen as usize, "sample");
    let samples =
        format!("{} {seen}, {}", thousands(progress.samples_seen), plural(progress.ranks as usize, "rank"));
    let stage = progress.stage.as_ref().map_or_else(
        || "none: the job has no stages".into(),
        |stage| format!("{}, since step {}", stage.name, thousands(stage.start)),
    );
    let mut about = vec![
        ("checkpoint", arguments.checkpoint.display().to_string()),
        ("written", format!("{} by version {}", origin.created, origin.program_version)),
        ("job", format!("{}, network {}, data {}", job.name, network_name(job), job.data.dataset)),
        ("progress", format!("{steps}, {samples}")),
        ("stage", stage),
        ("tensors", format!("{} of parameters, hash {}", bytes(4.0 * params as f64), hash(snapshot))),
    ];
    about.extend(untrained(rows).map(|text| ("untrained", text)));
    about.extend(rows.iter().filter_map(|row| Some(("not finite", row.sparsity.not_finite.clone()?))));
    if let Some(best) = &progress.best {
        about.push(("best", format!("{} {:.4} at step {}", best.metric, best.value, thousands(best.step))));
    }
    about.extend(progress.metrics.iter().map(|(name, value)| (name.as_str(), format!("{value:.4}"))));
    let about: Vec<Vec<String>> = about.into_iter().map(|(k, v)| vec![k.to_string(), v]).collect();
    table(&about, &[])
}

/// The tensors that are not trained, in words: "running_mean, running_var of 19 layers, 1,376 numbers".
fn untrained(rows: &[Row]) -> Option<String> {
    let keep: Vec<&Row> = rows.iter().filter(|row| !row.untrained.is_empty()).collect();
    let tensors = || keep.iter().flat_map(|row| &row.untrained);
    let numbers: usize = tensors().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let names: std::collections::BTreeSet<&str> = tensors().map(|(name, _)| name.as_str()).collect();
    let names = Vec::from_iter(names).join(", ");
    (numbers > 0).then(|| {
        format!(
            "{names} of {}, {} {}",
            plural(keep.len(), "layer"),
            thousands(numbers as u64),
            noun_for(numbers, "number")
        )
    })
}

/// The layers and their cost, and the number of non-zero parameters if some are zero.
fn costs(rows: &[Row]) -> String {
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>();
    let (params, flops) = (sum(|row| row.params), sum(|row| row.flops));
    let nonzero = sum(|row| row.sparsity.nonzero as u64);
    let weight = |row: &Row| {
        let shape = row.shapes.first().map(|(_, shape)| shape.iter().map(usize::to_string));
        shape.map_or_else(String::new, |sizes| sizes.collect::<Vec<_>>().join("x"))
    };
    let titles = ["layer", "type", "output", "weight", "params", "not zero", "FLOPs"];
    let mut lines = vec![titles.map(String::from).to_vec()];
    lines.extend(rows.iter().map(|row| {
        let [params, nonzero, flops] = [row.params, row.sparsity.nonzero as u64, row.flops].map(thousands);
        vec![row.name.clone(), row.kind.into(), row.output.clone(), weight(row), params, nonzero, flops]
    }));
    let totals = [params, nonzero, flops].map(thousands);
    lines.push(["total", "", "", ""].map(String::from).into_iter().chain(totals).collect());
    if nonzero == params {
        lines.iter_mut().for_each(|line| _ = line.remove(5));
    }
    table(&lines, &[4, 5, 6])
}

/// A column of [`left`]: its title, and its cells.
type Column = (String, Vec<Option<String>>);

/// The number of structures that are left in each layer, and its rank. A layer without structures has no row,
/// and a kind without layers has no column.
fn left(arguments: &Inspect, rows: &[Row]) -> Option<String> {
    use StructureKind::{Channels, Filters, Filters2d, HiddenUnits, Inputs, Layers, Neurons, Shapes};
    let kinds = [Filters, Channels, Shapes, Filters2d, Layers, HiddenUnits, Neurons, Inputs];
    let of_kind = |kind: StructureKind| -> Column {
        let cell = |row: &Row| row.sparsity.of(kind).map(|s| format!("{}/{}", s.kept, s.all));
        (word(kind).replace('_', " "), rows.iter().map(cell).collect())
    };
    let rank = |row: &Row| {
        let of_tensor = |r: &LayerRank| format!("{}/{}", r.rank, r.full_rank);
        let all: Vec<String> = row.sparsity.ranks.iter().map(of_tensor).collect();
        (!all.is_empty()).then(|| all.join(", "))
    };
    let ranks: Column = (format!("rank at {} %", 100.0 * arguments.energy), rows.iter().map(rank).collect());
    let columns = kinds.into_iter().map(of_kind).chain([ranks]);
    let columns: Vec<Column> = columns.filter(|(_, cells)| cells.iter().any(|cell| cell.is_some())).collect();
    let mut lines = vec![vec!["left of".to_owned()]];
    lines[0].extend(columns.iter().map(|(title, _)| title.clone()));
    for (index, row) in rows.iter().enumerate() {
        let cells = columns.iter().map(|(_, cells)| cells[index].clone());
        if cells.clone().any(|cell| cell.is_some()) {
            lines.push([row.name.clone()].into_iter().chain(cells.map(Option::unwrap_or_default)).collect());
        }
    }
    let right: Vec<usize> = (1..=columns.len()).collect();
    (!columns.is_empty()).then(|| table(&lines, &right))
}
