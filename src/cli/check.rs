//! `ternflock check`.

use std::process::ExitCode;

use serde_json::{Value, json};

use super::arguments::Check;
use super::exit;
use super::launcher::is_not_first;
use super::numbers::{bytes, duration, thousands};
use super::streams::print;
use super::table::table;
use ternflock_base::available::available_bytes;
use ternflock_base::error::Result;
use ternflock_base::text::plural;
use ternflock_train::{Bytes, DryRun, dry_run, load};

/// Describes what a run of the job would do, or what is wrong with it.
pub fn main(arguments: &Check) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match check(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

fn check(arguments: &Check) -> Result<String> {
    let loaded = load(&arguments.job, &arguments.sets)?;
    let per_node = arguments.ranks_per_node.unwrap_or(arguments.ranks);
    let run = dry_run(&loaded, arguments.ranks as usize, per_node as usize)?;
    Ok(match arguments.json {
        true => format!("{}\n", object(&loaded.job.name, &run)),
        false => text(&loaded.job.name, &run),
    })
}

fn text(job: &str, run: &DryRun) -> String {
    let mut rows = vec![
        ("job", job.to_owned()),
        ("a sample", format!("{}; to predict: {}", run.input.described(), run.target.described())),
    ];
    rows.extend(run.data.iter().map(|(set, facts)| {
        let facts =
            facts.iter().filter(|(_, value)| value.len() < 16).map(|(fact, value)| format!("{fact} {value}"));
        (set.as_str(), facts.collect::<Vec<_>>().join(", "))
    }));
    let (ranks, nodes) = (plural(run.ranks, "rank"), plural(run.nodes, "node"));
    let threads = plural(run.threads, "thread");
    rows.extend([
        ("network", format!("{} parameters", thousands(run.parameters as u64))),
        ("ranks", format!("{ranks} on {nodes}; {threads} per rank ({})", run.threads_reason)),
        ("batch", batch(run)),
        ("steps", steps(run)),
        ("memory", memory(run)),
        ("exchange", exchange(run)),
        ("traffic", traffic(run)),
        ("time", time(run)),
    ]);
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect();
    let notes = run.remarks.iter().map(|remark| format!("note: {remark}\n"));
    notes.chain([table(&rows, &[])]).collect()
}

fn batch(run: &DryRun) -> String {
    let share = format!("{} per rank and step, at most", plural(run.share, "sample"));
    if run.at_a_time < run.share { format!("{share}; {} at a time", run.at_a_time) } else { share }
}

fn steps(run: &DryRun) -> String {
    let all = thousands(total(run));
    let stages: Vec<String> = run
        .stages
        .iter()
        .filter_map(|(name, steps)| Some(format!("{} {}", name.as_ref()?, thousands(*steps))))
        .collect();
    if stages.is_empty() { all } else { format!("{all}: {}", stages.join(", ")) }
}

fn total(run: &DryRun) -> u64 {
    run.stages.iter().map(|(_, steps)| steps).sum()
}

fn memory(run: &DryRun) -> String {
    let free =
        available_bytes().map_or_else(String::new, |free| format!("; {} are free here", bytes(free as f64)));
    let [rank, checkpoint, node] =
        [run.rank_bytes, run.checkpoint_bytes, run.node_bytes].map(|count| bytes(count as f64));
    format!("{rank} per rank, {checkpoint} more on rank 0 for a checkpoint: {node} per node{free}")
}

fn exchange(run: &DryRun) -> String {
    let methods = run.exchange.methods.iter().map(|(name, tensors, parameters)| {
        format!("{name}: {} of {}", thousands(*parameters as u64), plural(*tensors, "tensor"))
    });
    let open = if run.exchange.is_open { "; the ranks choose the method at the start" } else { "" };
    let parts = plural(run.exchange.buckets, "part");
    format!("{}; in {parts}{open}", methods.collect::<Vec<_>>().join(", "))
}

fn traffic(run: &DryRun) -> String {
    let most = if matches!(run.exchange.bytes, Bytes::AtMost(_)) { "at most " } else { "" };
    let sent = bytes(run.exchange.bytes.bound() as f64);
    format!("rank 0 sends {most}{sent} per step; in float32 {}", bytes(run.exchange.float32_bytes as f64))
}

fn time(run: &DryRun) -> String {
    let unit = run.task.count(0).unit();
    let rate = thousands((run.labels_per_step as f64 / run.step_seconds) as u64);
    format!(
        "{:.1} ms per step of one rank that computes alone, without the exchange (median of {}); at this speed all \
         ranks together compute {rate} {unit}/s, and the run takes {}",
        1e3 * run.step_seconds,
        run.timed,
        duration(run.step_seconds * total(run) as f64)
    )
}

/// The keys are documented in docs/metrics.md.
fn object(job: &str, run: &DryRun) -> Value {
    let exchange = &run.exchange;
    let methods = exchange.methods.iter().map(
        |(name, tensors, parameters)| json!({"method": name, "tensors": tensors, "parameters": parameters}),
    );
    let stages = run.stages.iter().map(|(name, steps)| json!({"name": name, "steps": steps}));
    json!({
        "job": job,
        "input": run.input.to_string(),
        "target": run.target.described(),
        "data": run.data,
        "remarks": run.remarks,
        "ranks": run.ranks,
        "nodes": run.nodes,
        "threads": run.threads,
        "parameters": run.parameters,
        "samples_per_rank": run.share,
        "samples_at_a_time": run.at_a_time,
        "stages": stages.collect::<Vec<_>>(),
        "steps": total(run),
        "rank_bytes": run.rank_bytes as f64,
        "checkpoint_bytes": run.checkpoint_bytes as f64,
        "node_bytes": run.node_bytes as f64,
        "methods": methods.collect::<Vec<_>>(),
        "method_is_open": exchange.is_open,
        "buckets": exchange.buckets,
        "bytes_sent": exchange.bytes.bound(),
        "bytes_sent_is_bound": matches!(exchange.bytes, Bytes::AtMost(_)),
        "float32_bytes_sent": exchange.float32_bytes,
        "step_s": run.step_seconds,
        "timed_steps": run.timed,
    })
}
