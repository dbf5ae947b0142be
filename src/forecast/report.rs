//! The result of a forecast.

use serde::Serialize;

use ternflock_bench::scaling::{Point, Scaling, WayTime};
use ternflock_bench::{Contender, Interference};

/// A job on each network.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    /// Interference from other work while these ranks were measured.
    pub interference: Interference,
    /// In the order asked for.
    pub networks: Vec<Network>,
}

/// A job on several numbers of nodes that one network joins.
#[derive(Clone, Debug, Serialize)]
pub struct Network {
    /// As it was asked for.
    pub name: String,
    /// Seconds from leaving a rank to coming to another, bytes not counted.
    pub latency_s: f64,
    /// Seconds for each byte of messages.
    pub byte_s: f64,
    /// Seconds of a rank's own time for each message it sends and each it takes.
    pub message_s: f64,
    /// As `ternflock bench scaling` says what it has measured.
    pub scaling: Scaling,
    /// Whether ternaries pay; none unless ternaries and float32 are both among the ways.
    pub verdict: Option<Verdict>,
}

/// Whether ternaries pay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The fewest nodes from which on the best of the ternaries is always faster than float32, by a percent at least; none if it is
    /// not on the most.
    pub from_nodes: Option<usize>,
    /// How many times as fast it is, by nodes.
    pub gains: Vec<(usize, f64)>,
    /// The number of nodes on which most samples a second are trained, whatever the gradients travel as.
    pub fastest_nodes: usize,
}

/// Less than one percent is not worth a word, nor as exact as a forecast.
const PAYS: f64 = 1.01;

/// What `scaling` says of ternaries.
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

/// How many times as fast as the best float32 the best ternary is.
fn gain(point: &Point) -> Option<f64> {
    let best = |is_float: bool| {
        let ways = point.ways.iter().filter(|way| is_float32(way) == is_float);
        ways.map(|way| way.rate).max_by(f64::total_cmp)
    };
    Some(best(false)? / best(true)?)
}

/// Whether `way` does not compress gradients.
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
