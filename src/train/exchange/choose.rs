//! `exchange.algorithm = "auto"`: the fastest way to average the gradients, by the cost model of the collectives.

use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::topology::Topology;

use super::bucket::Bucket;
use ternflock_base::error::Result;
use ternflock_job::Gradients;
use ternflock_world::World;

/// How gradients are averaged, and why.
pub struct Choice {
    /// What they travel as.
    pub gradients: Gradients,
    /// How ternaries are summed.
    pub algorithm: Algorithm,
    /// A sentence or two.
    pub reason: String,
}

/// What counts of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Sizes {
    /// Tensors that may travel as ternaries.
    pub tensors: usize,
    /// Their elements.
    pub ternary: usize,
    /// Elements that are float32 in any case.
    pub float: usize,
}

impl Sizes {
    /// The sizes of `bucket`.
    pub(super) fn of(bucket: &Bucket) -> Sizes {
        let (tensors, ternary) = (bucket.ternary_tensors(), bucket.ternary_elements());
        Sizes { tensors, ternary, float: bucket.float_elements() }
    }

    /// Values that the ranks agree on before its ternaries are rounded: scales, and decisions.
    pub fn agreed(&self) -> usize {
        self.tensors + Bucket::DECISIONS
    }
}

/// The fastest way to average `buckets`, on all ranks alike. A run that has averaged `kept` goes on with that; a world of
/// one rank with what it has. None where nothing is decided.
pub fn choose(world: &mut World, buckets: &[Sizes], kept: Option<Gradients>) -> Result<Option<Choice>> {
    if kept == Some(Gradients::Float32) {
        let reason =
            "exchange.algorithm = \"auto\": compression stays off, as this run decided when it began".into();
        return Ok(Some(Choice { gradients: Gradients::Float32, algorithm: Algorithm::RingTernary, reason }));
    }
    if world.size() == 1 {
        return Ok(None);
    }
    let costs = world.costs()?;
    Ok(Some(decide(&costs, &world.topology(), buckets, kept.is_some())))
}

/// The least total by `costs`; among ternaries alone if `is_ternary`.
fn decide(costs: &Costs, topology: &Topology, buckets: &[Sizes], is_ternary: bool) -> Choice {
    let total = |seconds: &dyn Fn(&Sizes) -> f64| buckets.iter().map(seconds).sum::<f64>();
    let float32 = total(&|sizes| {
        costs.maximum(topology, Bucket::DECISIONS) + costs.float32(topology, sizes.ternary + sizes.float)
    });
    let by = |algorithm| {
        let seconds = total(&|sizes| {
            costs.maximum(topology, sizes.agreed())
                + costs.ternary(algorithm, topology, sizes.ternary)
                + costs.float32(topology, sizes.float)
        });
        (algorithm, seconds)
    };
    let mut ternary = Algorithm::ALL.map(by);
    ternary.sort_by(|a, b| a.1.total_cmp(&b.1));
    let [(algorithm, best), (second, other), ..] = ternary;
    let (name, second) = (algorithm.name(), second.name());
    let [float32_time, best_time, other_time] = [float32, best, other].map(time);
    let at = links(costs, topology);
    let is_off = float32 < best && !is_ternary;
    let (gradients, reason) = if is_off {
        let reason = format!(
            "float32 is faster here: compression is off (ring_f32 {float32_time} a step by the cost model, the best \
             ternary, {name}, {best_time}) {at}"
        );
        (Gradients::Float32, reason)
    } else {
        let kept = if is_ternary { "; gradients stay ternary, as in this run until now" } else { "" };
        let reason = format!(
            "{name}, {best_time} a step by the cost model ({second} {other_time}, float32 {float32_time}) {at}{kept}"
        );
        (Gradients::Ternary, reason)
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

/// Seconds with two or three digits.
fn time(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 0.9995 => (s, "s"),
        s if s >= 0.9995e-3 => (s * 1e3, "ms"),
        s => (s * 1e6, "us"),
    };
    if value < 9.95 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

/// Bytes a second.
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
    use ternflock_job as job;

    const COSTS: Costs = Costs {
        intra_node: Link { latency: 1e-6, message: 2e-7, byte: 1e-10 },
        inter_node: Link { latency: 120e-6, message: 2e-6, byte: 1.0 / 11.8e6 },
        encode: 1e-9,
        decode: 5e-10,
        copy: 1e-9,
        add_planes: 5e-10,
        add_floats: 5e-10,
    };

    fn buckets() -> [Sizes; 2] {
        [Sizes { tensors: 2, ternary: 400_000, float: 10 }, Sizes { tensors: 3, ternary: 25_000, float: 70 }]
    }

    #[test]
    fn the_fastest_is_chosen_and_the_others_are_named() {
        let choice = decide(&COSTS, &Topology::flat(4), &buckets(), false);
        assert_eq!((choice.gradients, choice.algorithm), (Gradients::Ternary, Algorithm::DirectTernary));
        assert!(
            choice.reason.starts_with("exchange.algorithm = \"auto\": direct_ternary, "),
            "{}",
            choice.reason
        );
        for part in [" ms a step by the cost model (", ", float32 2", "at 120 us and 11.8 MB/s between nodes"]
        {
            assert!(choice.reason.contains(part), "{part} in {}", choice.reason);
        }
        let mixed = decide(&COSTS, &Topology::new(vec![0, 0, 1]), &buckets(), false).reason;
        assert!(mixed.ends_with("11.8 MB/s between nodes, 1.0 us and 10.0 GB/s within a node"), "{mixed}");
    }

    #[test]
    fn compression_is_off_where_it_does_not_pay_unless_the_run_began_with_it() {
        let slow = Costs { encode: 1e-7, ..COSTS };
        let topology = Topology::single(2);
        let choice = decide(&slow, &topology, &buckets(), false);
        assert_eq!(choice.gradients, Gradients::Float32);
        let begins = "exchange.algorithm = \"auto\": float32 is faster here: compression is off (ring_f32 ";
        assert!(choice.reason.starts_with(begins), "{}", choice.reason);
        let kept = decide(&slow, &topology, &buckets(), true);
        assert_eq!(kept.gradients, Gradients::Ternary);
        assert!(
            kept.reason.ends_with("; gradients stay ternary, as in this run until now"),
            "{}",
            kept.reason
        );
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
