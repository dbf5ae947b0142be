//! The result of a forecast.

use serde::Serialize;

use ternflock_bench::scaling::{Point, Scaling, WayTime};
use ternflock_bench::{Contender, Interference};

/// A job on each network.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// Interference from other work during the measurement of these ranks.
    pub interference: Interference,
    /// In the order of the request.
    pub networks: Vec<Network>,
}

/// A job on several numbers of nodes with one network.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// The name of the network, as requested.
    pub name: String,
    /// Seconds of a message from one rank to another, without its bytes.
    pub latency_s: f64,
    /// Seconds per byte of messages.
    pub byte_s: f64,
    /// Seconds of a rank's own time per message that it sends or receives.
    pub message_s: f64,
    /// The points, in the format of `ternflock bench scaling`.
    pub scaling: Scaling,
    /// Whether ternary gradients pay; `None` unless both ternary and float32 are among the methods.
    pub verdict: Option<Verdict>,
}

/// Whether ternary gradients pay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The smallest number of nodes from which on the best ternary all-reduce is always faster than float32,
    /// by at least one percent. `None` if it is not faster on the largest number of nodes.
    pub from_nodes: Option<usize>,
    /// Its speed relative to float32, by number of nodes.
    pub gains: Vec<(usize, f64)>,
    /// The number of nodes with the highest throughput, with any form of gradients.
    pub fastest_nodes: usize,
}

/// A forecast is not exact enough for differences of less than one percent.
const PAYS: f64 = 1.01;

/// The conclusions from `scaling` about ternaries.
pub fn verdict(scaling: &Scaling) -> Option<Verdict> {
    let gains: Option<Vec<(usize, f64)>> =
        scaling.points.iter().map(|point| gain(point).map(|gain| (point.hosts, gain))).collect();
    let gains = gains.filter(|gains| !gains.is_empty())?;
    let since = gains.iter().rposition(|(_, gain)| *gain < PAYS).map_or(0, |last| last + 1);
    let fastest = |point: &Point| point.ways.iter().map(|way| way.rate).fold(0.0, f64::max);
    let fastest = scaling.points.iter().max_by(|a, b| fastest(a).total_cmp(&fastest(b)))?;
    Some(Verdict {
        from_nodes: gains.get(since).map(|(nodes, _)| *nodes),
        gains,
        fastest_nodes: fastest.hosts,
    })
}

/// The speed of the best ternary all-reduce relative to the best float32 one.
fn gain(point: &Point) -> Option<f64> {
    let best = |is_float: bool| {
        let ways = point.ways.iter().filter(|way| is_float32(way) == is_float);
        ways.map(|way| way.rate).max_by(f64::total_cmp)
    };
    Some(best(false)? / best(true)?)
}

/// Whether `way` leaves gradients uncompressed.
fn is_float32(way: &WayTime) -> bool {
    Contender::from_name(&way.way).is_some_and(|contender| contender.method().is_lossless())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_bench::scaling::Mode;
    use ternflock_report::Phases;

    fn scaling(points: &[(usize, &[(&str, f64)])]) -> Scaling {
        let way = |&(way, rate): &(&str, f64)| WayTime {
            way: way.into(),
            step_s: 1.0,
            fastest_s: 1.0,
            slowest_s: 1.0,
            rate,
            bytes_sent: vec![0],
            phases: vec![Phases::default()],
        };
        let point = |&(nodes, ways): &(usize, &[(&str, f64)])| Point {
            ranks: nodes,
            hosts: nodes,
            threads: 1,
            global_batch: 1,
            parameters: 1,
            unit: "samples".into(),
            interference: None,
            ways: ways.iter().map(way).collect(),
        };
        Scaling { job: "x".into(), mode: Mode::Weak, points: points.iter().map(point).collect() }
    }

    #[test]
    fn ternaries_pay_from_where_they_always_win() {
        let with = |rates: [f64; 4]| {
            let ways =
                rates.map(|rate| [("ring_f32", 10.0), ("ring_ternary", rate), ("direct_ternary", 1.0)]);
            verdict(&scaling(&[(1, &ways[0]), (2, &ways[1]), (4, &ways[2]), (8, &ways[3])])).unwrap()
        };
        let some = with([9.0, 12.0, 15.0, 20.0]);
        assert_eq!((some.from_nodes, some.fastest_nodes), (Some(2), 8));
        assert_eq!(some.gains, [(1, 0.9), (2, 1.2), (4, 1.5), (8, 2.0)]);
        assert_eq!(with([11.0, 12.0, 9.0, 20.0]).from_nodes, Some(8));
        assert_eq!(with([11.0, 12.0, 15.0, 10.0]).from_nodes, None);
        assert_eq!(with([11.0, 30.0, 15.0, 20.0]).from_nodes, Some(1));
        assert_eq!(with([11.0, 30.0, 15.0, 20.0]).fastest_nodes, 2);
        assert_eq!(with([10.05, 10.2, 15.0, 20.0]).from_nodes, Some(2));
    }

    #[test]
    fn one_kind_alone_has_no_verdict() {
        assert_eq!(verdict(&scaling(&[(1, &[("ring_f32", 1.0)])])), None);
        assert_eq!(verdict(&scaling(&[])), None);
    }
}
