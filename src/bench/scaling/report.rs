//! The report on how training scales. External scripts and `ternflock forecast` rely on the keys.

use serde::{Deserialize, Serialize};

use crate::Interference;
use ternflock_report::{Phases, json};

/// The batch size that stays constant as ranks are added.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The samples per step, which more ranks share.
    Strong,
    /// The samples per rank.
    Weak,
}

/// The same job on several numbers of ranks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Scaling {
    /// The job's name.
    pub job: String,
    /// The batch size that stays constant.
    pub mode: Mode,
    /// By number of ranks.
    pub points: Vec<Point>,
}

/// One number of ranks.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Point {
    /// Ranks.
    pub ranks: usize,
    /// Hosts that the ranks run on.
    pub hosts: usize,
    /// Compute threads of rank 0.
    pub threads: usize,
    /// Samples per step, over all ranks.
    pub global_batch: usize,
    /// Parameters of the network.
    pub parameters: usize,
    /// The unit of [`WayTime::rate`]: samples or tokens.
    pub unit: String,
    /// Interference from other work during the measurement; `None` for forecasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interference: Option<Interference>,
    /// Each way to average gradients.
    pub ways: Vec<WayTime>,
}

/// Steps with one way to average gradients.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct WayTime {
    /// Its name.
    pub way: String,
    /// Seconds per step: the median over rounds of the mean step time of the slowest rank.
    #[serde(deserialize_with = "json::deserialize")]
    pub step_s: f64,
    /// The fastest round.
    #[serde(deserialize_with = "json::deserialize")]
    pub fastest_s: f64,
    /// The slowest round.
    #[serde(deserialize_with = "json::deserialize")]
    pub slowest_s: f64,
    /// Samples or tokens per second.
    #[serde(deserialize_with = "json::deserialize")]
    pub rate: f64,
    /// Bytes that each rank sends per step, by rank; 0 if the MPI library sends them.
    pub bytes_sent: Vec<u64>,
    /// Seconds of each phase of a step, by rank: the means over all steps.
    pub phases: Vec<Phases>,
}

impl WayTime {
    /// The mean over ranks.
    pub fn mean_phases(&self) -> Phases {
        self.phases
            .iter()
            .copied()
            .fold(Phases::default(), std::ops::Add::add)
            .divided_by(self.phases.len() as f64)
    }
}

impl Scaling {
    /// The efficiency: `rate` relative to perfect scaling of the fastest way on the fewest ranks, which is 1.
    pub fn efficiency(&self, ranks: usize, rate: f64) -> f64 {
        let fewest = self.points.iter().min_by_key(|point| point.ranks);
        let base = fewest.map_or(f64::NAN, |point| {
            point.ways.iter().map(|way| way.rate).fold(0.0, f64::max) / point.ranks as f64
        });
        rate / (ranks as f64 * base)
    }

    /// The names of all ways, in the order in which they first appear.
    pub fn ways(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for way in self.points.iter().flat_map(|point| &point.ways) {
            if !names.contains(&way.way.as_str()) {
                names.push(&way.way);
            }
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn efficiency_is_of_the_fastest_way_on_the_fewest_ranks() {
        let way = |way: &str, rate| WayTime {
            way: way.into(),
            step_s: 1.0,
            fastest_s: 1.0,
            slowest_s: 1.0,
            rate,
            bytes_sent: vec![0],
            phases: vec![Phases { compute: 2.0, ..Phases::default() }, Phases::default()],
        };
        let point = |ranks, ways| Point {
            ranks,
            hosts: ranks,
            threads: 1,
            global_batch: 8,
            parameters: 1,
            unit: "samples".into(),
            interference: None,
            ways,
        };
        let points = vec![point(4, vec![way("b", 100.0)]), point(2, vec![way("a", 80.0), way("b", 60.0)])];
        let scaling = Scaling { job: "x".into(), mode: Mode::Strong, points };
        assert_eq!(scaling.efficiency(4, 100.0), 100.0 / 160.0);
        assert_eq!(scaling.efficiency(2, 80.0), 1.0);
        assert_eq!(scaling.ways(), ["b", "a"]);
        assert_eq!(scaling.points[0].ways[0].mean_phases().compute, 1.0);
        let reread = |scaling: &Scaling| -> Scaling {
            serde_json::from_str(&json::to_text(scaling).unwrap()).unwrap()
        };
        let read = reread(&scaling);
        assert_eq!((read.mode, read.points[1].ways[1].rate), (Mode::Strong, 60.0));
        // A method that took no measurable time is read back too.
        let mut scaling = scaling;
        let way = &mut scaling.points[0].ways[0];
        (way.rate, way.phases[0].wait) = (f64::INFINITY, f64::NEG_INFINITY);
        let read = reread(&scaling);
        let way = &read.points[0].ways[0];
        assert_eq!((way.rate, way.phases[0].wait), (f64::INFINITY, f64::NEG_INFINITY));
    }
}
