//! Decisions that the ranks agree on in addition to the mean: stopping, gradients that are not finite, layers
//! that stay float32. The mean is also unbiased.

use serde_json::json;
use support::ranks::on_ranks;
use ternflock::error::{Error, Kind};
use ternflock::job::Overlap::{Always, Never};
use ternflock::job::{self, Gradients};
use ternflock::nn::{Graph, Parameters, Shape};
use ternflock::report::Phases;
use ternflock::train::{Agreed, Exchange};
use ternflock::world::World;
use ternflock_collectives::codec::Moments;
use ternflock_collectives::topology::Topology;

use crate::WORLDS;
use crate::exchange::{Local, SEED, average, gradients, graph, settings};

/// Changes the gradients and the decisions that a rank contributes to a step.
type Change<'a> = &'a (dyn Fn(usize, &mut [f32], &mut Local) + Sync);

/// One step in which `change` alters each rank's part. Returns the outcome on the rank, and whether its
/// gradients are unchanged, bit for bit.
fn learn(mut world: World, bucket_elements: usize, change: Change) -> (Agreed, bool) {
    let parameters = Parameters::new(&graph()).unwrap();
    let job = job::Exchange { bucket_elements, ..job::Exchange::default() };
    let mut exchange = Exchange::new(&job, SEED, &graph(), &parameters, world.topology()).unwrap();
    let (mut values, mut local) = (gradients(&parameters, world.rank(), 0), Local::default());
    change(world.rank(), &mut values, &mut local);
    let before = values.clone();
    let agreed = average(&mut exchange, &mut world, 0, &mut values, local);
    (agreed, values.iter().zip(&before).all(|(a, b)| a.to_bits() == b.to_bits()))
}

#[test]
fn one_rank_that_wants_to_stop_stops_all() {
    for ranks in WORLDS {
        for stopper in 0..ranks {
            let all =
                on_ranks(ranks, |world| learn(world, 1, &|rank, _, local| local.stop = rank == stopper).0);
            assert_eq!(all, vec![Agreed { stop: true, non_finite: None }; ranks], "rank {stopper}");
        }
    }
}

/// In a ternary tensor, in a float32 one, or only in the loss.
#[test]
fn the_lowest_rank_that_is_not_finite_is_named_everywhere_and_nothing_is_averaged() {
    let parameters = Parameters::new(&graph()).unwrap();
    let place = |name: &str| parameters.table.iter().find(|p| p.name == name).unwrap().range.end - 1;
    let (ternary, float) = (place("wide/weight"), place("out/bias"));
    for ranks in WORLDS {
        for first in 0..ranks {
            let is_bad = |rank| rank == first || rank == ranks - 1;
            let changes: [Change; 3] = [
                &|rank, values, _| {
                    if is_bad(rank) {
                        values[ternary] = f32::NAN
                    }
                },
                &|rank, values, _| {
                    if is_bad(rank) {
                        values[float] = f32::NEG_INFINITY
                    }
                },
                &|rank, _, local| local.non_finite = is_bad(rank),
            ];
            for change in changes {
                let agreed = Agreed { stop: false, non_finite: Some(first) };
                let all = on_ranks(ranks, |world| learn(world, 1 << 18, change));
                assert_eq!(all, vec![(agreed, true); ranks]);
                // Buckets before the bad one may have been averaged.
                let all = on_ranks(ranks, |world| learn(world, 1, change).0);
                assert_eq!(all, vec![agreed; ranks]);
            }
        }
    }
}

/// A rank whose backward pass fails after its first bucket ends with that error, and all others with one that
/// names a rank that has ended.
#[test]
fn a_rank_that_cannot_compute_keeps_nobody_waiting() {
    let parameters = Parameters::new(&graph()).unwrap();
    for (ranks, overlap) in [(1, Always), (2, Always), (3, Always), (3, Never)] {
        let job = job::Exchange { bucket_elements: 1, overlap, ..job::Exchange::default() };
        let all = on_ranks(ranks, |mut world| {
            let (rank, topology) = (world.rank(), world.topology());
            let mut exchange = Exchange::new(&job, SEED, &graph(), &parameters, topology).unwrap();
            let (mut values, mut phases) = (gradients(&parameters, rank, 0), Phases::default());
            let last = parameters.table.iter().find(|p| p.name == "out/weight").unwrap().range.start;
            let wide = parameters.table.iter().find(|p| p.name == "wide/weight").unwrap().range.start;
            let averaged = exchange.average(&mut world, 0, false, &mut phases, |_, give| {
                let (rest, out) = values.split_at_mut(last);
                let (conv, wide) = rest.split_at_mut(wide);
                give(true, out);
                if rank == ranks - 1 {
                    return Err(Error::Usage("no more of this".into()));
                }
                give(true, wide);
                give(true, conv);
                Ok(())
            });
            averaged.unwrap_err()
        });
        let (last, others) = all.split_last().unwrap();
        assert_eq!(last.to_string(), "no more of this");
        for error in others {
            assert_eq!(error.kind(), Kind::Exchange, "{error}");
            assert!(error.to_string().contains("has ended"), "{error}");
        }
    }
}

/// The exchange of a network whose first layer is called `first` and whose last is called `last`.
fn exchange(first: &str, last: &str, keep_float: &[&str]) -> ternflock::error::Result<Exchange> {
    let layers = json!([
        {"name": first, "type": "linear", "units": 30},
        {"name": last, "type": "linear", "units": 7},
        {"type": "relu"},
    ]);
    let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
    let graph = Graph::from_tables(Shape::Vector { features: 11 }, tables).map_err(|(error, _)| error)?;
    let parameters = Parameters::new(&graph)?;
    Exchange::new(
        &settings(Gradients::Ternary, 1, keep_float),
        SEED,
        &graph,
        &parameters,
        Topology::single(2),
    )
}

#[test]
fn logits_always_means_the_output_layer() {
    let (first, last) = (30 * 12, 7 * 31);
    let ternary = |a, b, keep: &[&str]| exchange(a, b, keep).unwrap().compressed_parameters();
    assert_eq!(ternary("a", "b", &["logits"]), first);
    assert_eq!(ternary("a", "logits", &["logits"]), first);
    assert_eq!(ternary("logits", "b", &["logits"]), first);
    assert_eq!(ternary("a", "b", &["a", "a"]), last);
    assert_eq!(ternary("a", "b", &["a", "logits"]), 0);
}

#[test]
fn a_layer_to_keep_that_is_not_there_is_refused_with_those_that_are() {
    let message = exchange("a", "b", &["logits", "ip3"]).err().unwrap().to_string();
    for part in ["exchange.keep_float", "`ip3`", "`a`, `b`, `relu_3`", "`logits`"] {
        assert!(message.contains(part), "{message}");
    }
}

/// Over n = P * steps draws of elements that each lie in [0, s] or in [-s, 0], Hoeffding's inequality bounds the
/// distance t of an element's average from its expectation: more than t with a probability of at most
/// 2 exp(-2 n t^2 / s^2). Over all N elements the signed sum of distances is bounded the same way with n * N draws.
/// Rounding adds at most a few 2^-24 s. Both bounds below are exceeded by chance once in 10^9 seeds.
#[test]
fn averages_over_many_steps_are_the_mean_of_the_clipped_gradients() {
    const RANKS: usize = 3;
    const TIMES: u64 = 5000;
    let parameters = Parameters::new(&graph()).unwrap();
    let wide = parameters.table.iter().find(|p| p.name == "wide/weight").unwrap().range.clone();
    let inputs: Vec<_> =
        (0..RANKS).map(|rank| gradients(&parameters, rank, 0)[wide.clone()].to_vec()).collect();
    for clip_sigma in [0.0, 2.5] {
        let job = job::Exchange { clip_sigma, ..job::Exchange::default() };
        let sums = on_ranks(RANKS, |mut world| {
            let mut exchange =
                Exchange::new(&job, SEED, &graph(), &parameters, Topology::single(RANKS)).unwrap();
            let mut sums = vec![0.0; wide.len()];
            let mine = gradients(&parameters, world.rank(), 0);
            let mut values = mine.clone();
            for step in 0..TIMES {
                values.copy_from_slice(&mine);
                average(&mut exchange, &mut world, step, &mut values, Local::default());
                sums.iter_mut().zip(&values[wide.clone()]).for_each(|(sum, v)| *sum += f64::from(*v));
            }
            sums
        });
        let clips: Vec<f32> = inputs.iter().map(|g| Moments::of(g).clip(clip_sigma as f32)).collect();
        let scale = inputs.iter().zip(&clips).map(|(g, clip)| Moments::of(g).scale(*clip));
        let scale = f64::from(scale.fold(0.0, f32::max));
        let bound = |draws: f64, of: f64| scale * ((2.0 * of * 1e9).ln() / (2.0 * draws)).sqrt();
        let (draws, elements) = ((RANKS as u64 * TIMES) as f64, wide.len() as f64);
        let mut shrunk = 0.0;
        for (element, sum) in sums[0].iter().enumerate() {
            let clipped =
                inputs.iter().zip(&clips).map(|(g, &clip)| f64::from(g[element].clamp(-clip, clip)));
            let mean = clipped.sum::<f64>() / RANKS as f64;
            let distance = sum / TIMES as f64 - mean;
            assert!(distance.abs() < bound(draws, elements), "element {element}: {distance:e} from {mean:e}");
            shrunk += distance * mean.signum() / elements;
        }
        assert!(shrunk.abs() < bound(draws * elements, 1.0), "all together off by {shrunk:e} of {scale:e}");
    }
}
