//! `exchange.algorithm = "auto"`: chooses the fastest way to average the gradients with the cost model of the
//! collectives.

use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::topology::Topology;

use super::bucket::{DECISIONS, agreed_words};
use super::method::{Averaging, Method, ReductionPath, Share, float32::Float32, of};
use ternflock_base::error::Result;
use ternflock_job::Gradients;
use ternflock_world::World;

/// How gradients are averaged, and why.
pub struct Choice {
    /// The averaging method.
    pub gradients: Gradients,
    /// The all-reduce of its payloads.
    pub algorithm: Algorithm,
    /// The reason, in one or two sentences.
    pub reason: String,
}

/// Chooses the fastest way to average `buckets`, by `asked` or in float32; the choice is the same on all
/// ranks. A run that has averaged by `resumed_choice` keeps that, and a world of one rank keeps what it has.
/// None if there is nothing to choose.
pub fn choose(
    world: &mut World,
    buckets: &[Vec<Share>],
    asked: Gradients,
    resumed_choice: Option<Gradients>,
) -> Result<Option<Choice>> {
    if resumed_choice == Some(Gradients::Float32) {
        let reason =
            "exchange.algorithm = \"auto\": compression stays off, as this run decided when it began".into();
        return Ok(Some(Choice { gradients: Gradients::Float32, algorithm: Algorithm::RingTernary, reason }));
    }
    if world.size() == 1 {
        return Ok(None);
    }
    let costs = world.costs()?;
    Ok(Some(decide(&costs, &world.topology(), buckets, asked, resumed_choice.is_some())))
}

/// The choice with the lowest total of `costs`; if the method `is_decided`, only the all-reduces of `asked`
/// are compared.
fn decide(
    costs: &Costs,
    topology: &Topology,
    buckets: &[Vec<Share>],
    asked: Gradients,
    is_decided: bool,
) -> Choice {
    let elements = |shares: &[Share]| shares.iter().map(Share::elements).sum::<usize>();
    let path = ReductionPath { algorithm: Averaging::DEFAULT_ALGORITHM, topology };
    let float32 = buckets.iter().map(|shares| {
        costs.maximum(topology, DECISIONS) + Float32.seconds(&[vec![elements(shares)]], costs, &path)
    });
    let float32: f64 = float32.sum();
    let timed = |way: Averaging| {
        let path = ReductionPath { algorithm: way.algorithm, topology };
        let seconds = buckets.iter().map(|shares| {
            let agreed = costs.maximum(topology, agreed_words(shares));
            shares.iter().fold(agreed, |all, share| all + share.method.seconds(&share.shapes, costs, &path))
        });
        (way, seconds.sum::<f64>())
    };
    let mut ways: Vec<_> = Averaging::of(of(asked)).map(timed).collect();
    ways.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (Averaging { algorithm, .. }, best) = ways[0];
    let name = ways[0].0.name();
    let second =
        ways.get(1).map_or(String::new(), |(way, other)| format!("{} {}, ", way.name(), time(*other)));
    let [float32_time, best_time] = [float32, best].map(time);
    let at = links(costs, topology);
    let is_off = float32 < best && !is_decided;
    let (gradients, reason) = if is_off {
        let ring = Float32.label(algorithm);
        let reason = format!(
            "float32 is faster here: compression is off ({ring} {float32_time} per exchange according to the \
             cost model, the best {}, {name}, {best_time}) {at}",
            asked.name()
        );
        (Gradients::Float32, reason)
    } else {
        let stays = match is_decided {
            true => format!("; gradients stay {}, as earlier in this run", asked.name()),
            false => String::new(),
        };
        let reason = format!(
            "{name}, {best_time} per exchange according to the cost model ({second}float32 {float32_time}) \
             {at}{stays}"
        );
        (asked, reason)
    };
    Choice { gradients, algorithm, reason: format!("exchange.algorithm = \"auto\": {reason}") }
}

/// "at 0.12 ms and 11.8 MB/s between nodes, ..."
fn links(costs: &Costs, topology: &Topology) -> String {
    let say = |link: &Link, place| format!("{} and {} {place}", time(link.latency), rate(link.bandwidth()));
    let (intra_node, inter_node) =
        (say(&costs.intra_node, "within a node"), say(&costs.inter_node, "between nodes"));
    match topology.nodes() {
        1 => format!("at {intra_node}"),
        nodes if nodes == topology.world() => format!("at {inter_node}"),
        _ => format!("at {inter_node}, {intra_node}"),
    }
}

/// Formats a time in seconds with two or three digits.
fn time(seconds: f64) -> String {
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
    use ternflock_job as job;

    /// Buckets of two and three ternary tensors, and some elements that stay float32.
    fn buckets() -> [Vec<Share>; 2] {
        let bucket = |ternary: &[usize], float32: usize| {
            let shapes = ternary.iter().map(|elements| vec![*elements]).collect();
            vec![Share { method: &TernGrad, shapes }, Share { method: &Float32, shapes: vec![vec![float32]] }]
        };
        [bucket(&[399_000, 1000], 10), bucket(&[20_000, 4000, 1000], 70)]
    }

    #[test]
    fn the_fastest_is_chosen_and_the_others_are_named() {
        let choice = decide(&Costs::EXAMPLE, &Topology::flat(4), &buckets(), Gradients::Ternary, false);
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
        let mixed =
            decide(&Costs::EXAMPLE, &Topology::new(vec![0, 0, 1]), &buckets(), Gradients::Ternary, false)
                .reason;
        assert!(mixed.ends_with("11.8 MB/s between nodes, 1.0 us and 10.0 GB/s within a node"), "{mixed}");
    }

    #[test]
    fn compression_is_off_where_it_does_not_pay_unless_the_run_began_with_it() {
        let slow = Costs { encode: 1e-7, ..Costs::EXAMPLE };
        let topology = Topology::single(2);
        let choice = decide(&slow, &topology, &buckets(), Gradients::Ternary, false);
        assert_eq!(choice.gradients, Gradients::Float32);
        let begins = "exchange.algorithm = \"auto\": float32 is faster here: compression is off (ring_f32 ";
        assert!(choice.reason.starts_with(begins), "{}", choice.reason);
        let kept = decide(&slow, &topology, &buckets(), Gradients::Ternary, true);
        assert_eq!(kept.gradients, Gradients::Ternary);
        assert!(kept.reason.ends_with("; gradients stay ternary, as earlier in this run"), "{}", kept.reason);
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
