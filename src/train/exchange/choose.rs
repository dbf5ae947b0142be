//! `exchange.algorithm = "auto"` and `exchange.coding = "auto"`: choose the fastest way to average the gradients with the cost
//! model of the collectives.

use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::topology::Topology;

use super::bucket::{DECISIONS, agreed_words};
use super::method::{Averaging, Method, ReductionPath, Share, float32::Float32};
use ternflock_base::error::Result;
use ternflock_job::{self as job, Gradients};
use ternflock_world::World;

/// How gradients are averaged, and why.
pub struct Choice {
    /// The averaging method.
    pub gradients: Gradients,
    /// The all-reduce of its payloads.
    pub algorithm: Algorithm,
    /// The messages that are coded.
    pub coding: Coding,
    /// The reason, in one or two sentences.
    pub reason: String,
}

/// The settings of a job. A setting that is `None` leaves the choice to the ranks.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    pub gradients: Gradients,
    /// That of `gradients`, or one that was set in its place.
    pub method: &'static dyn Method,
    /// The method stays, even if float32 is faster.
    pub keeps: bool,
    pub algorithm: Option<Algorithm>,
    pub coding: Option<Coding>,
}

impl Asked {
    /// What `job` asks for, with these gradients, which `method` averages.
    pub fn of(job: &job::Exchange, gradients: Gradients, method: &'static dyn Method) -> Asked {
        let coding = match job.coding {
            job::Coding::Auto => None,
            job::Coding::Always => Some(Coding::Always),
            job::Coding::Never => Some(Coding::Never),
        };
        Asked {
            gradients,
            method,
            keeps: false,
            algorithm: Algorithm::from_name(job.algorithm.name()),
            coding,
        }
    }

    /// The messages that may be coded on `topology`: within a node, copying is faster.
    fn codings(self, topology: &Topology) -> Vec<Coding> {
        match self.coding {
            Some(coding) => vec![coding],
            None if topology.nodes() > 1 => vec![Coding::Never, Coding::BetweenNodes],
            None => vec![Coding::Never],
        }
    }
}

/// Chooses the fastest way to average `buckets` among those that are `asked` for, and float32 if the all-reduce is open;
/// the choice is the same on all ranks. A run that has averaged by `resumed_choice` keeps that, and a world of one rank
/// keeps what it has. None if there is nothing to choose.
pub fn choose(
    world: &mut World,
    buckets: &[Vec<Share>],
    asked: Asked,
    resumed_choice: Option<Gradients>,
) -> Result<Option<Choice>> {
    if !asked.keeps && asked.algorithm.is_none() && resumed_choice == Some(Gradients::Float32) {
        let reason =
            "exchange.algorithm = \"auto\": compression stays off, as this run decided when it began".into();
        let (gradients, algorithm) = (Gradients::Float32, Averaging::DEFAULT_ALGORITHM);
        return Ok(Some(Choice { gradients, algorithm, coding: Coding::Never, reason }));
    }
    let topology = world.topology();
    let is_open = asked.algorithm.is_none() || asked.codings(&topology).len() > 1;
    if world.size() == 1 || !is_open {
        return Ok(None);
    }
    let costs = world.costs()?;
    Ok(Some(decide(&costs, &topology, buckets, asked, asked.keeps || resumed_choice.is_some())))
}

/// A way to average the gradients, and its time.
#[derive(Clone, Copy, Debug)]
pub struct TimedPath {
    /// The method and its all-reduce.
    pub averaging: Averaging,
    /// The messages that are coded.
    pub coding: Coding,
    /// Seconds per step according to the cost model.
    pub seconds: f64,
}

/// The choice with the lowest total of `costs`; if the method `is_decided`, only the all-reduces of `asked`
/// are compared.
fn decide(
    costs: &Costs,
    topology: &Topology,
    buckets: &[Vec<Share>],
    asked: Asked,
    is_decided: bool,
) -> Choice {
    let paths = timed_paths(costs, topology, buckets, asked);
    let TimedPath { averaging, coding, seconds: best } = paths[0];
    let algorithm = averaging.algorithm;
    let at = links(costs, topology);
    let float32 = float32_seconds(costs, topology, buckets);
    let explanation = |key: &str, reason: String| format!("exchange.{key} = \"auto\": {reason}");
    let (gradients, method) = (asked.gradients, asked.method.name());
    if asked.algorithm.is_some() {
        let (coded, otherwise) = match coding {
            Coding::Never => ("no message is coded", "if those between nodes were"),
            _ => ("messages between nodes are coded", "otherwise"),
        };
        let [best, second] = [best, paths[1].seconds].map(time);
        let reason =
            format!("{coded}, {best} per exchange according to the cost model ({second} {otherwise}) {at}");
        return Choice { gradients, algorithm, coding, reason: explanation("coding", reason) };
    }
    let [float32_time, best_time] = [float32, best].map(time);
    let name = name(&paths[0]);
    if float32 < best && !is_decided {
        let ring = Float32.label(algorithm);
        let reason = format!(
            "float32 is faster here: compression is off ({ring} {float32_time} per exchange according to the \
             cost model, the best {}, {name}, {best_time}) {at}",
            method
        );
        let (gradients, coding) = (Gradients::Float32, Coding::Never);
        return Choice { gradients, algorithm, coding, reason: explanation("algorithm", reason) };
    }
    let stays = match is_decided {
        true => format!("; gradients stay {method}, as earlier in this run"),
        false => String::new(),
    };
    let second = paths.iter().find(|path| path.averaging != averaging);
    let second =
        second.map_or(String::new(), |path| format!("{} {}, ", self::name(path), time(path.seconds)));
    let reason = format!(
        "{name}, {best_time} per exchange according to the cost model ({second}float32 {float32_time}) {at}{stays}"
    );
    Choice { gradients, algorithm, coding, reason: explanation("algorithm", reason) }
}

/// The ways that are open, the fastest first.
pub fn timed_paths(
    costs: &Costs,
    topology: &Topology,
    buckets: &[Vec<Share>],
    asked: Asked,
) -> Vec<TimedPath> {
    let timed = |averaging: Averaging, coding| {
        let path = ReductionPath { algorithm: averaging.algorithm, coding, topology };
        let seconds = buckets.iter().map(|shares| {
            let agreed = costs.maximum(topology, agreed_words(shares));
            shares
                .iter()
                .fold(agreed, |all, share| all + share.method.seconds(&share.payload_shapes(), costs, &path))
        });
        TimedPath { averaging, coding, seconds: seconds.sum() }
    };
    let has_choice = !asked.method.algorithms().is_empty();
    let is_open = |averaging: &Averaging| {
        !has_choice || asked.algorithm.is_none_or(|algorithm| averaging.algorithm == algorithm)
    };
    let codings = asked.codings(topology);
    let open = Averaging::of(asked.method).filter(is_open);
    let mut paths: Vec<TimedPath> =
        open.flat_map(|averaging| codings.iter().map(move |coding| timed(averaging, *coding))).collect();
    paths.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    paths
}

/// Seconds per exchange to average everything in float32.
fn float32_seconds(costs: &Costs, topology: &Topology, buckets: &[Vec<Share>]) -> f64 {
    let elements = |shares: &[Share]| shares.iter().map(Share::elements).sum::<usize>();
    let (algorithm, coding) = (Averaging::DEFAULT_ALGORITHM, Coding::Never);
    let path = ReductionPath { algorithm, coding, topology };
    let seconds = buckets.iter().map(|shares| {
        let bitmaps = shares.iter().map(|share| share.bitmaps).sum::<usize>();
        costs.maximum(topology, DECISIONS + bitmaps)
            + Float32.seconds(&[vec![elements(shares)]], costs, &path)
    });
    seconds.sum()
}

/// "ring_ternary" or "ring_ternary with coded messages".
pub fn name(path: &TimedPath) -> String {
    let coded = if path.coding == Coding::Never { "" } else { " with coded messages" };
    format!("{}{coded}", path.averaging.name())
}

/// "at 0.12 ms and 11.8 MB/s between nodes, ..."
pub fn links(costs: &Costs, topology: &Topology) -> String {
    let figures =
        |link: &Link, place| format!("{} and {} {place}", time(link.latency), rate(link.bandwidth()));
    let (intra_node, inter_node) =
        (figures(&costs.intra_node, "within a node"), figures(&costs.inter_node, "between nodes"));
    match topology.nodes() {
        1 => format!("at {intra_node}"),
        nodes if nodes == topology.world() => format!("at {inter_node}"),
        _ => format!("at {inter_node}, {intra_node}"),
    }
}

/// Formats a time in seconds with two or three digits.
pub fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 0.9995 => (s, "s"),
        s if s >= 0.9995e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "us"),
    };
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Formats a rate in bytes per second.
fn rate(bandwidth: f64) -> String {
    if bandwidth >= 999.5e6 {
        format!("{:.1} GB/s", bandwidth / 1e9)
    } else {
        format!("{:.1} MB/s", bandwidth / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::method::terngrad::TernGrad;

    /// Ternary gradients by any all-reduce, never coded.
    const ASKED: Asked = Asked {
        gradients: Gradients::Ternary,
        method: &TernGrad,
        keeps: false,
        algorithm: None,
        coding: Some(Coding::Never),
    };

    /// Buckets of two and three ternary tensors, and some elements that stay float32.
    fn buckets() -> [Vec<Share>; 2] {
        let bucket = |ternary: &[usize], float32: usize| {
            let shapes = ternary.iter().map(|elements| vec![*elements]).collect();
            vec![Share::complete(&TernGrad, shapes), Share::complete(&Float32, vec![vec![float32]])]
        };
        [bucket(&[399_000, 1000], 10), bucket(&[20_000, 4000, 1000], 70)]
    }

    #[test]
    fn the_fastest_is_chosen_and_the_others_are_named() {
        let choice = decide(&Costs::EXAMPLE, &Topology::flat(4), &buckets(), ASKED, false);
        assert_eq!((choice.gradients, choice.algorithm), (Gradients::Ternary, Algorithm::DirectTernary));
        assert!(
            choice.reason.starts_with("exchange.algorithm = \"auto\": direct_ternary, "),
            "{}",
            choice.reason
        );
        for part in [
            " ms per exchange according to the cost model (",
            ", float32 2",
            "at 120 us and 11.8 MB/s between nodes",
        ] {
            assert!(choice.reason.contains(part), "{part} in {}", choice.reason);
        }
        let mixed = decide(&Costs::EXAMPLE, &Topology::new(vec![0, 0, 1]), &buckets(), ASKED, false).reason;
        assert!(mixed.ends_with("11.8 MB/s between nodes, 1.0 us and 10.0 GB/s within a node"), "{mixed}");
    }

    #[test]
    fn compression_is_off_where_it_does_not_pay_unless_the_run_began_with_it() {
        let slow = Costs { encode: 1e-7, ..Costs::EXAMPLE };
        let topology = Topology::single(2);
        let choice = decide(&slow, &topology, &buckets(), ASKED, false);
        assert_eq!(choice.gradients, Gradients::Float32);
        let begins = "exchange.algorithm = \"auto\": float32 is faster here: compression is off (ring_f32 ";
        assert!(choice.reason.starts_with(begins), "{}", choice.reason);
        let kept = decide(&slow, &topology, &buckets(), ASKED, true);
        assert_eq!(kept.gradients, Gradients::Ternary);
        assert!(kept.reason.ends_with("; gradients stay ternary, as earlier in this run"), "{}", kept.reason);
    }

    #[test]
    fn messages_between_nodes_are_coded_where_links_are_slow() {
        let (flat, single) = (Topology::flat(4), Topology::single(4));
        let asked = Asked { algorithm: Some(Algorithm::RingTernary), coding: None, ..ASKED };
        let slow = decide(&Costs::EXAMPLE, &flat, &buckets(), asked, false);
        assert_eq!((slow.algorithm, slow.coding), (Algorithm::RingTernary, Coding::BetweenNodes));
        let begins = "exchange.coding = \"auto\": messages between nodes are coded, ";
        assert!(slow.reason.starts_with(begins), "{}", slow.reason);
        assert!(
            slow.reason.ends_with(" ms otherwise) at 120 us and 11.8 MB/s between nodes"),
            "{}",
            slow.reason
        );

        let fast = Costs { inter_node: Costs::EXAMPLE.intra_node, ..Costs::EXAMPLE };
        let fast = decide(&fast, &flat, &buckets(), asked, false);
        assert_eq!(fast.coding, Coding::Never);
        let begins = "exchange.coding = \"auto\": no message is coded, ";
        assert!(fast.reason.starts_with(begins), "{}", fast.reason);

        let open = Asked { algorithm: None, ..asked };
        let auto = decide(&Costs::EXAMPLE, &flat, &buckets(), open, false);
        assert_eq!((auto.algorithm, auto.coding), (Algorithm::DirectTernary, Coding::BetweenNodes));
        assert!(auto.reason.contains(": direct_ternary with coded messages, "), "{}", auto.reason);
        assert_eq!(open.codings(&single), [Coding::Never]);
    }

    #[test]
    fn the_job_and_the_collectives_know_the_same_algorithms() {
        let (auto, named): (Vec<_>, Vec<_>) =
            job::Algorithm::ALL.into_iter().partition(|algorithm| *algorithm == job::Algorithm::Auto);
        assert_eq!(auto.len(), 1);
        assert!(named.iter().map(|algorithm| algorithm.name()).eq(Algorithm::ALL.map(Algorithm::name)));
        assert_eq!(Algorithm::from_name(job::Algorithm::Auto.name()), None);
    }

    #[test]
    fn times_and_rates_read_well() {
        assert_eq!([2.5, 0.0212, 1.2e-6].map(time), ["2.5 s", "21 ms", "1.2 us"]);
        assert_eq!([1.25e7, 3.4e9].map(rate), ["12.5 MB/s", "3.4 GB/s"]);
    }
}
