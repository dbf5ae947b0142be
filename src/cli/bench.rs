//! `ternflock bench`.

mod compression;
mod infer;
mod scaling;

use std::process::ExitCode;
use std::time::Duration;

use serde::Serialize;

use super::arguments::{Bench, BenchCommand};
use super::exit;
use super::launch::launch_ranks_or_say;
use super::launcher::is_not_first;
use super::numbers::{bytes, thousands};
use super::streams::{log, print};
use super::table::table;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_base::text::plural;
use ternflock_bench::{
    Case, Codec, Coder, Contender, Interference, NoiseTime, Plans, Ranks, Report, StepTime, codec,
    default_batch, instruction_sets, step,
};
use ternflock_nn::Execution;
use ternflock_report::json::to_text;
use ternflock_tensor::{Precision, blas_computes};

/// Runs the requested benchmark and prints tables, or JSON.
pub fn main(arguments: &Bench) -> ExitCode {
    match &arguments.command {
        BenchCommand::Step { model, batch, threads, precision, instructions, seconds, json } => {
            if is_not_first() {
                return ExitCode::SUCCESS;
            }
            let batch = batch.map(|batch| batch as usize);
            let timed = instructions
                .choose()
                .and_then(|()| time_step(model, batch, *precision, usize::from(*threads), *seconds));
            match timed {
                Ok(time) => {
                    warn(&time.interference);
                    print(&say_step(&time, *json))
                }
                Err(error) => exit::fail(&error),
            }
        }
        BenchCommand::Scaling(arguments) => scaling::main(arguments),
        BenchCommand::Compression(arguments) => {
            if is_not_first() {
                return ExitCode::SUCCESS;
            }
            match compression::main(arguments) {
                Ok(text) => print(&text),
                Err(error) => exit::fail(&error),
            }
        }
        BenchCommand::Infer(arguments) => {
            if is_not_first() {
                return ExitCode::SUCCESS;
            }
            match infer::main(arguments) {
                Ok(text) => print(&text),
                Err(error) => exit::fail(&error),
            }
        }
        BenchCommand::Codec { elements, rounds, isa, json } => {
            if is_not_first() {
                return ExitCode::SUCCESS;
            }
            match time_codec(*elements, usize::from(*rounds), isa.as_deref()) {
                Ok(times) => {
                    // The worst one represents all of them.
                    let waited = |codec: &&Codec| codec.interference.waiting.unwrap_or(0.0);
                    let busy = times.iter().filter(|codec| codec.interference.busy);
                    let worst = busy.max_by(|a, b| waited(a).total_cmp(&waited(b)));
                    worst.into_iter().for_each(|codec| warn(&codec.interference));
                    print(&say_codec(&times, *json))
                }
                Err(error) => exit::fail(&error),
            }
        }
        BenchCommand::Allreduce { elements, algorithms, rounds, timeout, json } => {
            let contenders = match contenders_of("--algorithms", algorithms) {
                Ok(contenders) => contenders,
                Err(error) if is_not_first() => return exit::quietly(&error),
                Err(error) => return exit::fail(&error),
            };
            let mut ranks = match launch_ranks_or_say(Duration::from_secs((*timeout).into())) {
                Ok(ranks) => ranks,
                Err(code) => return code,
            };
            let (elements, rounds) = (elements.clone(), rounds.map(usize::from));
            match ranks.measure(&Plans { elements, contenders, rounds }) {
                Ok(report) if !report.cases.iter().all(|case| case.verified) => wrong(&ranks, &report),
                Ok(report) if ranks.rank() == 0 => {
                    warn(&report.interference);
                    print(&say_report(&report, *json))
                }
                Ok(_) => ExitCode::SUCCESS,
                Err(error) => exit::fail_ranks(&ranks, &error),
            }
        }
    }
}

/// Warns on standard error that the machine was too busy to trust the times.
pub(super) fn warn(interference: &Interference) {
    if let Some(warning) = interference.warning() {
        log(format_args!("ternflock: warning: {warning}"));
    }
}

fn time_step(
    model: &str,
    batch: Option<usize>,
    precision: Precision,
    threads: usize,
    seconds: f64,
) -> Result<StepTime> {
    let batch = batch.map_or_else(|| default_batch(model), Ok)?;
    step(model, Execution { batch, precision }, threads, seconds)
}

fn time_codec(elements: usize, rounds: usize, isa: Option<&str>) -> Result<Vec<Codec>> {
    let known: Vec<&str> = instruction_sets().collect();
    let wanted = match isa {
        Some("all") => known.clone(),
        Some(isa) => vec![isa],
        None => known.last().copied().into_iter().collect(),
    };
    let time = |isa: &str| {
        codec(isa, elements, rounds)?.ok_or_else(|| {
            let advice = suggest(isa, &[&known[..], &["all"]].concat());
            Error::Usage(format!("--isa: this machine has no instruction set `{isa}`; {advice}"))
        })
    };
    wanted.into_iter().map(time).collect()
}

pub(super) fn contenders_of(option: &str, names: &[String]) -> Result<Vec<Contender>> {
    let all = Contender::all();
    if names == ["all"] {
        return Ok(all);
    }
    let named = |name: &String| {
        all.iter().copied().find(|contender| contender.name() == name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|contender| contender.name()).chain(["all"]).collect();
            let advice = suggest(name, &known);
            Error::Usage(format!("{option}: there is no `{name}`; {advice}"))
        })
    };
    names.iter().map(named).collect()
}

/// A wrong sum is a bug, and its times are meaningless.
fn wrong(ranks: &Ranks, report: &Report) -> ExitCode {
    let wrong = |case: &&Case| !case.verified;
    let names =
        report.cases.iter().filter(wrong).map(|case| format!("{} of {}", case.algorithm, case.elements));
    let names: Vec<String> = names.collect();
    let what = format!("wrong results, please report it: {}", names.join(", "));
    exit::fail_ranks(ranks, &Error::Disagree(what))
}

pub(super) fn json(value: &impl Serialize) -> String {
    // Structs of numbers and names can always be written as JSON.
    to_text(value).map(|text| text + "\n").unwrap_or_default()
}

fn say_step(time: &StepTime, as_json: bool) -> String {
    if as_json {
        return json(time);
    }
    let mut rows = vec![["layer", "forward", "backward"].map(String::from).to_vec()];
    for layer in &time.layers {
        let times = [layer.forward_ms, layer.backward_ms].map(|ms| format!("{ms:.3} ms"));
        rows.push([vec![layer.name.clone()], times.to_vec()].concat());
    }
    for (name, ms) in [("loss", time.loss_ms), ("update", time.update_ms)] {
        rows.push(vec![name.into(), String::new(), format!("{ms:.3} ms")]);
    }
    for NoiseTime { kind, ms, percent } in &time.noise {
        let name = format!("SmoothOut, {kind} noise");
        rows.push(vec![name, format!("{ms:.3} ms"), format!("{percent:.1} % of a step")]);
    }
    let share = 100.0 * time.gflops / time.gemm_peak_gflops;
    let blas = if blas_computes() { format!("{}\n", time.blas) } else { String::new() };
    format!(
        "{}, batch {}, {}: {} samples/s, {:.3} ms per step (median of {})\n\
         {:.1} GFLOP/s, {share:.0} % of a large product's {:.1}; {:.0} MB at most\n{}; vector instructions: {}\n{blas}{}",
        time.model,
        time.batch,
        plural(time.threads, "thread"),
        thousands(time.samples_per_s as u64),
        time.step_ms_median,
        time.steps,
        time.gflops,
        time.gemm_peak_gflops,
        time.peak_rss_mb,
        time.products,
        time.instructions,
        table(&rows, &[1, 2])
    )
}

fn say_codec(times: &[Codec], as_json: bool) -> String {
    if as_json {
        return times.iter().map(json).collect();
    }
    let mut rows = vec![["isa", "", "time", "of a memcpy", "elements/s"].map(String::from).to_vec()];
    for codec in times {
        let mut row = |what: &str, seconds: f64| {
            let rate = thousands((codec.elements as f64 / seconds / 1e6) as u64) + " M";
            let share = format!("{:.2}", seconds / codec.memcpy_s);
            rows.push(vec![codec.isa.into(), what.into(), milliseconds(seconds), share, rate]);
        };
        row("memcpy of float32", codec.memcpy_s);
        row("encode, including moments", codec.encode_s);
        row("  the moments alone", codec.moments_s);
        row(&format!("decode {} planes", codec.plane_add_planes), codec.decode_s);
        row(&format!("add {} planes to {0}", codec.plane_add_planes), codec.plane_add_s);
        for Coder { ranks, planes, bits_per_element, code_s, restore_s, .. } in &codec.coder {
            let of = plural(*ranks, "rank");
            let bits = format!("{bits_per_element:.2} of {planes} bits");
            row(&format!("entropy-code sums over {of}, {bits}"), *code_s);
            row(&format!("entropy-decode sums over {of}, {bits}"), *restore_s);
        }
    }
    let elements = times.first().map_or(0, |codec| codec.elements);
    format!(
        "{} elements, one core, medians; all results are correct\n{}",
        thousands(elements as u64),
        table(&rows, &[2, 3, 4])
    )
}

fn say_report(report: &Report, as_json: bool) -> String {
    if as_json {
        return json(report);
    }
    let header =
        ["elements", "", "min", "median", "p99", "sent per rank", "formula", "float32 bytes/s", "memcpy"];
    let mut rows = vec![header.map(String::from).to_vec()];
    let optional = |count: Option<u64>| count.map_or("-".into(), |count| bytes(count as f64));
    for case in &report.cases {
        rows.push(vec![
            thousands(case.elements as u64),
            case.algorithm.into(),
            milliseconds(case.min_s),
            milliseconds(case.p50_s),
            milliseconds(case.p99_s),
            optional(case.bytes_sent_per_rank),
            optional(case.formula_bytes_per_rank),
            bytes(case.effective_bytes_per_s),
            milliseconds(case.memcpy_s),
        ]);
    }
    let Report { ranks, hosts, mpi, .. } = report;
    format!(
        "{} on {}, {mpi}; all results are correct\n{}",
        plural(*ranks, "rank"),
        plural(*hosts, "host"),
        table(&rows, &[0, 2, 3, 4, 5, 6, 7, 8])
    )
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", 1e3 * seconds)
}
