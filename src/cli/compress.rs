//! `ternflock compress`.

use std::path::Path;
use std::process::ExitCode;

use serde_json::json;

use super::arguments::Compress;
use super::exit;
use super::launcher::is_not_first;
use super::numbers::{bytes, thousands};
use super::output;
use super::streams::print;
use super::table::table;
use ternflock_base::error::{Error, Result};
use ternflock_checkpoint::{self as checkpoint, Snapshot};
use ternflock_compress::low_rank::{LayerReport, Outcome};
use ternflock_compress::operation::Operation;
use ternflock_job::{LowRank, LowRankMethod, Shrink};
use ternflock_nn::parameters::of_layer;
use ternflock_nn::{Graph, Parameters};
use ternflock_report::json::to_value;
use ternflock_train::compress_snapshot;

/// Performs surgery on a checkpoint and writes the smaller one.
pub fn main(arguments: &Compress) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match compress(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn compress(arguments: &Compress) -> Result<String> {
    let (from, to) = (&arguments.checkpoint, &arguments.output);
    output::CHECKPOINT.check("--output", to)?;
    let low_rank = request(arguments)?;
    let default = Shrink::default();
    let shrink = arguments.shrink.then(|| Shrink {
        round_to: arguments.round_to.unwrap_or(default.round_to),
        columns: !arguments.whole_kernels,
    });
    if shrink.is_none() && low_rank.is_none() {
        return Err(Error::Usage(
            "compress: nothing to do: add --shrink, --low-rank energy=0.95, or both".into(),
        ));
    }
    output::check_new(to, arguments.overwrite)?;
    let snapshot = checkpoint::load(from)?;
    let (after, parameters, graph, operation) =
        compress_snapshot(from, &snapshot, shrink.as_ref(), low_rank.as_ref()).map_err(
            |error| match error {
                Error::Usage(message) if !is_finite(&snapshot) => Error::checkpoint(from, message),
                Error::Usage(_) => error,
                other => Error::checkpoint(from, other.to_string()),
            },
        )?;
    // Read the size before writing, because input and output may be the same file.
    let size_before = size(from)?;
    checkpoint::save(to, &after)?;
    let sizes = [size_before, size(to)?];
    let change = Change { before: (&graph, &parameters), after: &operation, sizes };
    Ok(if arguments.json { change.json(arguments)? } else { change.text(arguments)? })
}

fn is_finite(snapshot: &Snapshot) -> bool {
    snapshot.parameters.iter().flat_map(|tensor| &tensor.values).all(|value| value.is_finite())
}

fn size(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path);
    metadata
        .map(|data| data.len())
        .map_err(|error| Error::checkpoint(path, format!("cannot be read: {error}")))
}

/// The factorisation that the options request.
fn request(arguments: &Compress) -> Result<Option<LowRank>> {
    let Compress { low_rank, separable, except, svd, whatever_it_costs, .. } = arguments;
    if low_rank.is_empty() {
        let beside = !separable.is_empty() || !except.is_empty() || *svd || *whatever_it_costs;
        let message = "compress: --separable, --except, --svd and --whatever-it-costs need --low-rank";
        return if beside { Err(Error::Usage(message.into())) } else { Ok(None) };
    }
    let mut request = LowRank {
        method: if *svd { LowRankMethod::Svd } else { LowRankMethod::Pca },
        separable: separable.clone(),
        except: except.clone(),
        cost_test: !whatever_it_costs,
        ..LowRank::default()
    };
    for text in low_rank {
        let refuse = || {
            Error::Usage(format!(
                "compress: --low-rank {text}: energy=SHARE (above 0, at most 1) or LAYER=RANK is needed"
            ))
        };
        let (name, value) = text.split_once('=').ok_or_else(refuse)?;
        if name == "energy" {
            let share = value.parse().ok().filter(|share| *share > 0.0 && *share <= 1.0);
            request.energy = Some(share.ok_or_else(refuse)?);
        } else {
            request.ranks.insert(name.into(), value.parse().map_err(|_| refuse())?);
        }
    }
    Ok(Some(request))
}

/// The report on the surgery.
struct Change<'a> {
    before: (&'a Graph, &'a Parameters),
    after: &'a Operation,
    /// The sizes of the files in bytes.
    sizes: [u64; 2],
}

impl Change<'_> {
    fn flops(graph: &Graph) -> Result<u64> {
        (0..graph.layers().len()).map(|layer| Ok(2 * graph.multiply_adds(layer)?)).sum()
    }

    fn totals(&self) -> Result<[[u64; 3]; 2]> {
        let (graph, parameters) = self.before;
        let after = self.after;
        Ok([
            [parameters.values.len() as u64, Self::flops(graph)?, self.sizes[0]],
            [after.parameters.values.len() as u64, Self::flops(&after.graph)?, self.sizes[1]],
        ])
    }

    fn json(&self, arguments: &Compress) -> Result<String> {
        let [before, after] = self
            .totals()?
            .map(|[params, flops, bytes]| json!({"params": params, "flops": flops, "bytes": bytes}));
        let layer = |layer: &LayerReport| {
            let (factorised, reason) = match &layer.outcome {
                Outcome::Factorised(_) | Outcome::Product => (true, None),
                Outcome::Kept(reason) => (false, Some(reason)),
            };
            json!({"name": layer.layer, "rank": layer.rank, "full_rank": layer.full_rank, "energy": to_value(&layer.energy),
                   "factorised": factorised, "reason": reason})
        };
        let object = json!({
            "checkpoint": arguments.checkpoint.display().to_string(),
            "output": arguments.output.display().to_string(),
            "before": before,
            "after": after,
            "emptied": self.after.emptied,
            "low_rank": self.after.low_rank.iter().map(layer).collect::<Vec<_>>(),
        });
        Ok(format!("{object}\n"))
    }

    fn text(&self, arguments: &Compress) -> Result<String> {
        let weight = |graph: &Graph, parameters: &Parameters, name: &str| {
            let tensor = of_layer(&parameters.table, graph.find(name)?).first();
            let shape = |shape: &[usize]| shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
            tensor.map(|tensor| shape(&tensor.spec.shape))
        };
        let mut rows = vec![["layer", "weight before", "weight after", ""].map(String::from).to_vec()];
        let (graph, parameters) = self.before;
        let after = &self.after.graph;
        let gone = graph.layers().iter().filter(|node| after.find(&node.name).is_none());
        for name in after.layers().iter().chain(gone).map(|node| node.name.clone()) {
            let (before, now) =
                (weight(graph, parameters, &name), weight(after, &self.after.parameters, &name));
            if before.is_none() && now.is_none() {
                continue;
            }
            let gone = |weight: Option<String>| weight.unwrap_or_else(|| "-".into());
            rows.push(vec![name.clone(), gone(before), gone(now), self.remark(&name)]);
        }
        let [before, after] = self.totals()?;
        let mut about = vec![["", "before", "after", "ratio"].map(String::from).to_vec()];
        for (number, name) in ["parameters", "FLOPs per sample", "file"].into_iter().enumerate() {
            let say = |n: u64| if number == 2 { bytes(n as f64) } else { thousands(n) };
            let ratio = before[number] as f64 / (after[number] as f64).max(1.0);
            about.push(vec![name.into(), say(before[number]), say(after[number]), format!("{ratio:.2}")]);
        }
        let output = arguments.output.display();
        let program = std::env::args().next().unwrap_or_else(|| "ternflock".into());
        Ok(format!(
            "{}\n{}\nnext:\n  {program} eval {output}\n  {program} inspect {output}\n  {program} train JOB.toml --set model.checkpoint={output}\n",
            table(&rows, &[]),
            table(&about, &[1, 2, 3])
        ))
    }

    /// The description of the outcome for layer `name`.
    fn remark(&self, name: &str) -> String {
        if self.after.emptied.iter().any(|emptied| emptied == name) {
            return "nothing would have been left, so the strongest unit or column was kept".into();
        }
        let recurrent = format!("{name}/");
        let of_layer = |row: &&LayerReport| row.layer == name || row.layer.starts_with(&recurrent);
        let remarks: Vec<String> = self.after.low_rank.iter().filter(of_layer).map(said).collect();
        remarks.join("; ")
    }
}

/// The outcome for a layer's weight, or for its recurrent weight.
fn said(layer: &LayerReport) -> String {
    let weight = layer.layer.rsplit_once('/').map_or_else(String::new, |(_, tensor)| format!("{tensor}: "));
    match (&layer.outcome, layer.rank, layer.full_rank, layer.energy) {
        (Outcome::Factorised(_) | Outcome::Product, Some(rank), Some(full), Some(energy)) => {
            format!("{weight}rank {rank} of {full}, {:.1} % of its energy", 100.0 * energy)
        }
        (Outcome::Kept(reason), ..) => format!("{weight}not factorised: {reason}"),
        _ => String::new(),
    }
}
