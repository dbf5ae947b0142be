//! `ternflock bench scaling`.

use std::process::{Command, ExitCode, Stdio};

use super::super::arguments::Scaling as Arguments;
use super::super::exit;
use super::super::launch::launch_or_say;
use super::super::launcher::{Launch, recognise};
use super::super::numbers::{bytes, percent, thousands};
use super::super::output;
use super::super::streams::{log, print};
use super::super::table::table;
use super::{contenders_of, json, warn};
use ternflock_base::child::end_with_parent;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::write_output;
use ternflock_base::text::plural;
use ternflock_bench::scaling::{Mode, Point, Scaling, ScalingOptions, measure, plot};
use ternflock_job::{Exchange, Loaded};
use ternflock_train::{self as train};
use ternflock_world::{Patience, World};

/// Measures these ranks, or several numbers of ranks, and prints a table, or JSON.
pub fn main(arguments: &Arguments) -> ExitCode {
    if !arguments.ranks.is_empty() {
        return several(arguments).unwrap_or_else(|error| exit::fail(&error));
    }
    let loaded = load(arguments);
    let exchange = loaded.as_ref().map_or_else(|_| Exchange::default(), |loaded| loaded.job.exchange.clone());
    let mut world = match launch_or_say(Patience::of(&exchange), None) {
        Ok(world) => world,
        Err(code) => return code,
    };
    let measured = world.all_or_none(loaded).and_then(|loaded| here(arguments, loaded, &mut world));
    match measured {
        Ok(text) if world.rank() == 0 => print(&text),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail_on(world, &error),
    }
}

fn load(arguments: &Arguments) -> Result<Loaded> {
    contenders_of("--ways", &arguments.ways)?;
    arguments.svg.iter().try_for_each(|path| output::PICTURE.check("--svg", path))?;
    train::load(&arguments.job, &arguments.sets)
}

fn mode(arguments: &Arguments) -> Mode {
    if arguments.weak { Mode::Weak } else { Mode::Strong }
}

/// Measures the existing ranks and returns the text to print.
fn here(arguments: &Arguments, mut loaded: Loaded, world: &mut World) -> Result<String> {
    if arguments.weak {
        loaded.job.train.global_batch *= world.size();
    }
    // A number of steps that is never reached, but small enough that the steps of a schedule can be counted.
    let (rounds, steps) = (usize::from(arguments.rounds), usize::from(arguments.steps));
    let ways = contenders_of("--ways", &arguments.ways)?;
    loaded.job.train.steps = Some((rounds * ways.len() * (steps + 1)) as u64);
    loaded.job.train.epochs = None;
    let point = measure(&loaded, world, &ScalingOptions { ways, steps, rounds })?;
    // With --ranks, the program that started this one reads standard error.
    point.interference.iter().filter(|_| world.rank() == 0).for_each(warn);
    let scaling = Scaling { job: loaded.job.name.clone(), mode: mode(arguments), points: vec![point] };
    let text = if world.rank() == 0 { finish(arguments, &scaling) } else { Ok(String::new()) };
    world.all_or_none(text)
}

/// Starts each of several numbers of ranks, one after the other. If one of them fails, the earlier
/// measurements are still printed.
fn several(arguments: &Arguments) -> Result<ExitCode> {
    if recognise(|name| std::env::var(name).ok()) != Launch::Alone {
        return Err(Error::Usage(
            "--ranks starts the ranks itself: start this without a launcher, or omit --ranks to measure the current ranks".into(),
        ));
    }
    let loaded = load(arguments)?;
    let mut ranks = arguments.ranks.clone();
    ranks.sort_unstable();
    ranks.dedup();
    let mut scaling = Scaling { job: loaded.job.name.clone(), mode: mode(arguments), points: Vec::new() };
    for ranks in ranks {
        log(format_args!("ternflock: {} on {}", scaling.job, plural(ranks as usize, "rank")));
        match start(arguments, ranks) {
            Ok(point) => scaling.points.push(point),
            Err(error) if scaling.points.is_empty() => return Err(error),
            Err(error) => {
                print(&finish(arguments, &scaling)?);
                return Err(error);
            }
        }
    }
    finish(arguments, &scaling).map(|text| print(&text))
}

/// Runs this program on `ranks` ranks and returns its measurements.
fn start(arguments: &Arguments, ranks: u32) -> Result<Point> {
    let launcher = arguments.launcher.replace("{}", &ranks.to_string());
    let failed = |why: String| Error::Usage(format!("--launcher: `{launcher}`: {why}"));
    let this =
        std::env::current_exe().map_err(|error| failed(format!("this program cannot be found: {error}")))?;
    let mut words = launcher.split_whitespace();
    let program = words.next().ok_or_else(|| failed("it is empty; 'mpirun -n {}'".into()))?;
    let mut command = Command::new(program);
    command.args(words).arg(this).args(["bench", "scaling", "--json"]).arg(&arguments.job);
    command.arg(if arguments.weak { "--weak" } else { "--strong" });
    command.arg(format!("--ways={}", arguments.ways.join(",")));
    command.arg(format!("--steps={}", arguments.steps)).arg(format!("--rounds={}", arguments.rounds));
    command.args(arguments.sets.iter().map(|set| format!("--set={set}")));
    // A signal ends this process and the ranks.
    end_with_parent(&mut command, libc::SIGTERM);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| failed(format!("cannot be started: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}; its output is above", output.status)));
    }
    let scaling: Scaling = serde_json::from_slice(&output.stdout).map_err(|error| {
        failed(format!("did not print what `ternflock bench scaling --json` prints: {error}"))
    })?;
    match scaling.points.into_iter().next() {
        Some(point) if point.ranks == ranks as usize => Ok(point),
        point => Err(failed(format!(
            "started {} instead of {ranks}; {{}} stands for the number of ranks",
            plural(point.map_or(0, |point| point.ranks), "rank")
        ))),
    }
}

/// Writes the picture and returns the text to print.
fn finish(arguments: &Arguments, scaling: &Scaling) -> Result<String> {
    if let Some(path) = &arguments.svg {
        let refuse = |why: String| Error::Usage(format!("--svg {}: {why}", path.display()));
        let picture = plot(scaling)?;
        write_output(path, picture.as_bytes())
            .map_err(|error| refuse(format!("cannot be written: {error}")))?;
    }
    Ok(if arguments.json { json(scaling) } else { say(scaling) })
}

fn say(scaling: &Scaling) -> String {
    let unit = scaling.points.first().map_or("samples", |point| &point.unit);
    let speed = format!("{unit}/s");
    let header = [
        "ranks",
        "hosts",
        "way",
        &speed,
        "efficiency",
        "step",
        "compute",
        "encode",
        "wait",
        "wire",
        "decode",
        "update",
        "hidden",
        "sent per rank",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for point in &scaling.points {
        for way in &point.ways {
            let phases = way.mean_phases();
            let sent = way.bytes_sent.iter().copied().max().unwrap_or(0);
            let mut row = vec![
                point.ranks.to_string(),
                point.hosts.to_string(),
                way.way.clone(),
                thousands(way.rate as u64),
                percent(scaling.efficiency(point.ranks, way.rate)),
            ];
            let phases = [
                way.step_s,
                phases.compute,
                phases.encode,
                phases.wait,
                phases.exchange,
                phases.decode,
                phases.update,
                phases.hidden,
            ];
            row.extend(phases.map(|seconds| format!("{:.2} ms", 1e3 * seconds)));
            row.push(if sent == 0 { "-".into() } else { bytes(sent as f64) });
            rows.push(row);
        }
    }
    let what = match scaling.mode {
        Mode::Strong => "strong scaling: constant samples per step",
        Mode::Weak => "weak scaling: constant samples per rank",
    };
    format!("{}, {what}\n{}", scaling.job, table(&rows, &[0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]))
}
