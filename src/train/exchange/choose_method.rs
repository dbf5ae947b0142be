//! `exchange.gradients = "auto"`: chooses the averaging method with the cost model of the collectives.

use ternflock_collectives::cost::Costs;
use ternflock_collectives::topology::Topology;

use super::choose::{Asked, Choice, TimedPath, links, name, time, timed_paths};
use super::method::{Share, of};
use super::{Exchange, plan};
use ternflock_base::error::Result;
use ternflock_job::{self as job, AutoAmong, Gradients};
use ternflock_nn::{Graph, Parameter};
use ternflock_world::World;

/// The settings of `job` with `gradients` in place of those that it leaves open. An exact method averages every layer: none
/// travels at low rank.
pub fn with_gradients(job: &job::Exchange, gradients: Gradients) -> job::Exchange {
    let low_rank = if of(gradients).is_lossless() { Vec::new() } else { job.low_rank.clone() };
    job::Exchange { gradients, low_rank, ..job.clone() }
}

/// The formats among which `job` lets the ranks choose, the exact ones first.
fn candidates(job: &job::Exchange) -> impl Iterator<Item = Gradients> {
    let (exact, others): (Vec<_>, Vec<_>) =
        Gradients::all().partition(|gradients| of(*gradients).is_lossless());
    let others = if job.auto_among == AutoAmong::All { others } else { Vec::new() };
    exact.into_iter().chain(others)
}

/// A format, and the fastest way to average gradients in it.
struct Candidate {
    gradients: Gradients,
    path: TimedPath,
}

impl Exchange {
    /// Chooses, together with all ranks, the fastest of the methods that `job` allows for the tensors `table` of `graph`;
    /// a run that has averaged by `resumed_choice` keeps that. None if there is nothing to choose: on one rank.
    ///
    /// # Errors
    /// Those of measuring the links between the ranks; [`Error::Usage`](ternflock_base::error::Error::Usage) when a layer
    /// that `job` names does not exist.
    pub fn choose_method(
        &self,
        job: &job::Exchange,
        graph: &Graph,
        table: &[Parameter],
        world: &mut World,
        resumed_choice: Option<Gradients>,
    ) -> Result<Option<Choice>> {
        if world.size() == 1 {
            return Ok(None);
        }
        let open: Vec<Gradients> = match resumed_choice {
            Some(gradients) => vec![gradients],
            None => candidates(job).collect(),
        };
        let plan = |gradients: Gradients| {
            let shares = plan::shares(&with_gradients(job, gradients), graph, table)?;
            let bounded =
                |shares: Vec<Share>| shares.iter().map(|share| share.bounded(self.most_rows)).collect();
            Ok((gradients, shares.into_iter().map(bounded).collect()))
        };
        let plans = open.into_iter().map(plan).collect::<Result<Vec<_>>>()?;
        let (costs, topology) = (world.costs()?, world.topology());
        Ok(Some(decide(&costs, &topology, &plans, job, resumed_choice.is_some())))
    }
}

/// The fastest of `plans`: formats, with the shares of each bucket. There is at least one.
fn decide(
    costs: &Costs,
    topology: &Topology,
    plans: &[(Gradients, Vec<Vec<Share>>)],
    job: &job::Exchange,
    is_decided: bool,
) -> Choice {
    let candidate = |(gradients, buckets): &(Gradients, Vec<Vec<Share>>)| {
        let asked = Asked::of(job, *gradients, of(*gradients));
        Candidate { gradients: *gradients, path: timed_paths(costs, topology, buckets, asked)[0] }
    };
    let mut candidates: Vec<Candidate> = plans.iter().map(candidate).collect();
    // Stable: of two that are equally fast, the exact one.
    candidates.sort_by(|a, b| a.path.seconds.total_cmp(&b.path.seconds));
    let described = |Candidate { gradients, path }: &Candidate| match (gradients.name(), name(path)) {
        (gradients, name) if gradients == name => name,
        (gradients, name) => format!("{gradients} by {name}"),
    };
    let others =
        candidates[1..].iter().map(|other| format!("{} {}", described(other), time(other.path.seconds)));
    let others: Vec<String> = others.collect();
    let others = if others.is_empty() { String::new() } else { format!(" ({})", others.join(", ")) };
    let best = &candidates[0];
    let gradients = best.gradients;
    let consequence = match of(gradients).gives_up() {
        _ if is_decided => format!("gradients stay {}, as earlier in this run", gradients.name()),
        "" if job.auto_among == AutoAmong::Exact => {
            "only exact methods were candidates (exchange.auto_among = \"all\" adds the others)".to_owned()
        }
        "" => "nothing is given up".to_owned(),
        given_up => format!("it gives up {given_up}"),
    };
    let reason = format!(
        "exchange.gradients = \"auto\": {}, {} per exchange according to the cost model{others} {}; {consequence}",
        described(best),
        time(best.path.seconds),
        links(costs, topology)
    );
    let TimedPath { averaging, coding, .. } = best.path;
    Choice { gradients, algorithm: averaging.algorithm, coding, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_collectives::all_reduce::Algorithm;
    use ternflock_models::preset;
    use ternflock_nn::{Parameters, Shape};

    fn choice(costs: &Costs, auto_among: AutoAmong, resumed: Option<Gradients>) -> Choice {
        let graph = preset("mlp", Shape::Image { channels: 1, height: 28, width: 28 }, 10).unwrap();
        let table = Parameters::new(&graph).unwrap().table;
        let algorithm = job::Algorithm::Auto;
        let job =
            job::Exchange { gradients: Gradients::Auto, auto_among, algorithm, ..job::Exchange::default() };
        let open: Vec<_> = resumed.map_or_else(|| candidates(&job).collect(), |resumed| vec![resumed]);
        let plan =
            |gradients| (gradients, plan::shares(&with_gradients(&job, gradients), &graph, &table).unwrap());
        let plans: Vec<_> = open.into_iter().map(plan).collect();
        decide(costs, &Topology::flat(4), &plans, &job, resumed.is_some())
    }

    #[test]
    fn only_exact_methods_are_candidates_unless_all_are() {
        let exact = choice(&Costs::EXAMPLE, AutoAmong::Exact, None);
        assert_eq!(exact.gradients, Gradients::Float32);
        let begins = "exchange.gradients = \"auto\": float32 by ring_f32, ";
        assert!(
            exact.reason.starts_with(begins) && exact.reason.contains("only exact methods"),
            "{}",
            exact.reason
        );
        assert!(!exact.reason.contains("ternary"), "{}", exact.reason);

        // On a slow network the fewest bytes win.
        let all = choice(&Costs::EXAMPLE, AutoAmong::All, None);
        assert_eq!(all.gradients, Gradients::PowerSgd);
        for part in
            ["\"auto\": powersgd, ", "float32 by ring_f32 ", "ternary by ", "; it gives up exactness: "]
        {
            assert!(all.reason.contains(part), "{part} in {}", all.reason);
        }
    }

    #[test]
    fn the_exact_method_is_chosen_where_compression_does_not_pay() {
        let fast =
            Costs { inter_node: Costs::EXAMPLE.intra_node, encode: 1e-7, copy: 1e-8, ..Costs::EXAMPLE };
        let choice = choice(&fast, AutoAmong::All, None);
        assert_eq!(choice.gradients, Gradients::Float32);
        assert!(choice.reason.ends_with("; nothing is given up"), "{}", choice.reason);
    }

    #[test]
    fn a_resumed_run_keeps_its_method_and_chooses_its_all_reduce() {
        for gradients in Gradients::all() {
            let kept = choice(&Costs::EXAMPLE, AutoAmong::All, Some(gradients));
            assert_eq!(kept.gradients, gradients);
            let ends = format!("gradients stay {}, as earlier in this run", gradients.name());
            assert!(kept.reason.ends_with(&ends), "{}", kept.reason);
            let is_ternary = gradients == Gradients::Ternary;
            assert_eq!(kept.algorithm == Algorithm::DirectTernary, is_ternary, "{}", kept.reason);
        }
    }

    #[test]
    fn an_exact_method_averages_every_layer() {
        let job = job::Exchange { low_rank: vec!["fc1".into()], ..job::Exchange::default() };
        assert!(with_gradients(&job, Gradients::Float32).low_rank.is_empty());
        assert_eq!(with_gradients(&job, Gradients::Ternary).low_rank, ["fc1"]);
    }
}
