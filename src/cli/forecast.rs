//! `ternflock forecast`.

use std::process::ExitCode;

use super::arguments::Forecast as Arguments;
use super::bench::{contenders_of, json, warn};
use super::exit;
use super::launch::launch_or_say;
use super::numbers::{bytes, percent, thousands};
use super::output;
use super::streams::print;
use super::table::table;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::write_output;
use ternflock_base::text::plural;
use ternflock_bench::Contender;
use ternflock_bench::scaling::{Mode, plot_rates};
use ternflock_forecast::{Forecast, Link, Network, Scenario, Verdict, forecast, job_of};
use ternflock_job::{Exchange, Loaded};
use ternflock_train::{self as train};
use ternflock_world::{Patience, World};

/// Measures these ranks, computes the forecast, and prints tables, or JSON.
pub fn main(arguments: &Arguments) -> ExitCode {
    let asked = scenario(arguments).and_then(|scenario| Ok((load(arguments, 1)?, scenario)));
    let exchange =
        asked.as_ref().map_or_else(|_| Exchange::default(), |(loaded, _)| loaded.job.exchange.clone());
    let mut world = match launch_or_say(Patience::of(&exchange), None) {
        Ok(world) => world,
        Err(code) => return code,
    };
    let said = world.all_or_none(asked).and_then(|(_, scenario)| here(arguments, &scenario, &mut world));
    match said {
        Ok(text) if world.rank() == 0 => print(&text),
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => exit::fail_on(world, &error),
    }
}

/// The job, for `ranks` ranks.
fn load(arguments: &Arguments, ranks: usize) -> Result<Loaded> {
    match (&arguments.job, &arguments.model) {
        (Some(path), _) => train::load(path, &arguments.sets),
        (None, Some(name)) => job_of(name, &arguments.sets, ranks),
        (None, None) => Err(Error::Usage("a job file or --model is needed".into())),
    }
}

fn scenario(arguments: &Arguments) -> Result<Scenario> {
    let links = match arguments.links.is_empty() {
        true => vec!["1gbit,100us".parse()?],
        false => arguments.links.iter().map(|link| link.parse()).collect::<Result<Vec<Link>>>()?,
    };
    if !(arguments.speed.is_finite() && arguments.speed > 0.0) {
        return Err(Error::Usage(format!("--speed {}: it must be above 0", arguments.speed)));
    }
    arguments.svg.iter().try_for_each(|path| output::PICTURE.check("--svg", path))?;
    let mut ways = contenders_of("--ways", &arguments.ways)?;
    if arguments.ways == ["all"] {
        ways.retain(|way| matches!(way, Contender::Ours(_)));
    }
    let is_weak = arguments.weak || (arguments.model.is_some() && !arguments.strong);
    Ok(Scenario {
        nodes: nodes(&arguments.nodes)?,
        links,
        ways,
        mode: if is_weak { Mode::Weak } else { Mode::Strong },
        steps: arguments.steps.into(),
        speed: arguments.speed,
    })
}

/// A limit on the number of ranks, because each is simulated.
const MOST_NODES: usize = 4096;

/// The numbers in `text`.
fn nodes(text: &str) -> Result<Vec<usize>> {
    let refuse = |why: &str| {
        Error::Usage(format!(
            "--nodes {text}: {why}; use 1,2,3 or 1..64, with numbers from 1 to {MOST_NODES}"
        ))
    };
    let number = |text: &str| {
        let number = text.trim().parse().ok().filter(|nodes| (1..=MOST_NODES).contains(nodes));
        number.ok_or_else(|| refuse(&format!("`{text}` is not a number of nodes")))
    };
    let mut nodes = match text.split_once("..") {
        Some((first, last)) => {
            let (first, last): (usize, usize) = (number(first)?, number(last)?);
            if first > last {
                return Err(refuse("the first number is larger than the last"));
            }
            let mut nodes: Vec<usize> = std::iter::successors(Some(first), |nodes| Some(2 * nodes))
                .take_while(|&nodes| nodes <= last)
                .collect();
            nodes.push(last);
            nodes
        }
        None => text.split(',').map(number).collect::<Result<Vec<_>>>()?,
    };
    nodes.sort_unstable();
    nodes.dedup();
    Ok(nodes)
}

/// On rank 0: writes the picture and returns the text to print.
fn here(arguments: &Arguments, scenario: &Scenario, world: &mut World) -> Result<String> {
    let loaded = load(arguments, world.size())?;
    let forecast = forecast(&loaded, scenario, world)?;
    let text = if world.rank() == 0 { finish(arguments, &forecast) } else { Ok(String::new()) };
    world.all_or_none(text)
}

fn finish(arguments: &Arguments, forecast: &Forecast) -> Result<String> {
    warn(&forecast.interference);
    if let Some(path) = &arguments.svg {
        let refuse = |why: String| Error::Usage(format!("--svg {}: {why}", path.display()));
        let charts: Vec<_> =
            forecast.networks.iter().map(|network| (network.name.as_str(), &network.scaling)).collect();
        let picture = plot_rates(&charts)?;
        write_output(path, picture.as_bytes())
            .map_err(|error| refuse(format!("cannot be written: {error}")))?;
    }
    Ok(if arguments.json { json(forecast) } else { say(forecast, arguments.speed) })
}

fn say(forecast: &Forecast, speed: f64) -> String {
    let mut text = String::new();
    if let Some(first) = forecast.networks.first().and_then(|network| network.scaling.points.first()) {
        let faster = if speed == 1.0 {
            String::new()
        } else {
            format!(", assumed to be {speed} times as fast as here")
        };
        let each = first.ranks / first.hosts;
        text = format!(
            "{}: {} parameters, {} per node with {} each{faster}\n",
            forecast.networks[0].scaling.job,
            thousands(first.parameters as u64),
            plural(each, "rank"),
            plural(first.threads, "compute thread"),
        );
    }
    for network in &forecast.networks {
        text += &format!("\n{}\n", say_network(network));
    }
    text
}

fn say_network(network: &Network) -> String {
    let scaling = &network.scaling;
    let unit = scaling.points.first().map_or("samples", |point| &point.unit);
    let header = [
        "nodes",
        "samples per step",
        "way",
        &format!("{unit}/s"),
        "efficiency",
        "step",
        "compute",
        "codec",
        "wire",
        "hidden",
        "sent per rank",
    ];
    let mut rows = vec![header.map(String::from).to_vec()];
    for point in &scaling.points {
        for way in &point.ways {
            let phases = way.mean_phases();
            let times = [
                way.step_s,
                phases.compute + phases.update,
                phases.encode + phases.decode,
                phases.wait + phases.exchange,
                phases.hidden,
            ];
            let mut row = vec![
                point.hosts.to_string(),
                thousands(point.global_batch as u64),
                way.way.clone(),
                thousands(way.rate as u64),
                percent(scaling.efficiency(point.ranks, way.rate)),
            ];
            row.extend(times.map(|seconds| format!("{:.2} ms", 1e3 * seconds)));
            row.push(bytes(way.bytes_sent[0] as f64));
            rows.push(row);
        }
    }
    let what = match scaling.mode {
        Mode::Strong => "constant samples per step",
        Mode::Weak => "constant samples per rank",
    };
    format!(
        "network {} ({}/s, {:.1} us), {what}\n{}{}",
        network.name,
        bytes(1.0 / network.byte_s),
        1e6 * network.latency_s,
        table(&rows, &[0, 1, 3, 4, 5, 6, 7, 8, 9, 10]),
        network.verdict.as_ref().map_or(String::new(), say_verdict)
    )
}

fn say_verdict(verdict: &Verdict) -> String {
    let times = |(nodes, gain): &(usize, f64)| format!("{gain:.2} on {nodes}");
    let gains: Vec<String> = verdict.gains.iter().map(times).collect();
    let pays = match verdict.from_nodes {
        Some(nodes) => format!("ternary gradients pay from {} on", plural(nodes, "node")),
        None => "ternary gradients do not pay on the largest number of nodes".into(),
    };
    let fastest = plural(verdict.fastest_nodes, "node");
    format!("{pays}; times as fast as float32: {}; fastest on {fastest}\n", gains.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_listed_or_doubled() {
        assert_eq!(nodes("1..8").unwrap(), [1, 2, 4, 8]);
        assert_eq!(nodes("3..20").unwrap(), [3, 6, 12, 20]);
        assert_eq!(nodes("4, 2,2").unwrap(), [2, 4]);
        assert_eq!(nodes("5..5").unwrap(), [5]);
        for (text, what) in [
            ("", "`` is not a number of nodes"),
            ("0..4", "`0` is not a number of nodes"),
            ("8..4", "the first number is larger than the last"),
            ("1,x", "`x` is not a number of nodes"),
            ("1..9999", "`9999` is not a number of nodes"),
            ("-1", "`-1` is not a number of nodes"),
        ] {
            let error = nodes(text).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }
}
