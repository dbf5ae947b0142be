//! Compares the exchange with the mean of each tensor computed without any communication.
//!
//! u is the unit roundoff of f32, 2^-24; P the number of ranks; g the gradient of one element.

use support::ranks::on_ranks;
use ternflock::job::Overlap::{Always, Never};
use ternflock::job::{self, Gradients};
use ternflock::nn::{Graph, Parameters, Shape};
use ternflock::report::Phases;
use ternflock::rng::{Purpose, Stream};
use ternflock::train::{Agreed, Exchange};
use ternflock::world::World;
use ternflock_collectives::codec::{Layout, Moments, Rounding, encode};
use ternflock_collectives::planes::{TERNARY, get};
use ternflock_collectives::topology::Topology;

use crate::WORLDS;

pub const SEED: u64 = 11;
pub const STEPS: u64 = 3;
const ALL: [&str; 6] = ["conv1/weight", "conv1/bias", "wide/weight", "wide/bias", "out/weight", "out/bias"];

/// Tensors of 27, 3, 621, 23, 161 and 7 elements: none a multiple of a word, let alone of a block.
pub fn graph() -> Graph {
    let layers = serde_json::json!([
        {"name": "conv1", "type": "conv2d", "filters": 3, "kernel": 3},
        {"type": "flatten"},
        {"name": "wide", "type": "linear", "units": 23},
        {"name": "out", "type": "linear", "units": 7},
    ]);
    let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
    let input = Shape::Image { channels: 1, height: 5, width: 5 };
    Graph::from_tables(input, tables).map_err(|(error, _)| error).unwrap()
}

/// A gradient in -3..3 with enough values far from the mean to be clipped; different on each rank and at each
/// step. At step 1 `wide/bias` has none on any rank, at step 2 rank 0 has none at all.
pub fn gradients(parameters: &Parameters, rank: usize, step: u64) -> Vec<f32> {
    let stream = Stream { seed: 5, purpose: Purpose::Test, step, subject: rank as u32, tensor: 0 };
    let draw = |index| (f64::from(stream.word(index)) / f64::from(1u32 << 31) - 1.0) as f32;
    let spread = 1.0 + (rank % 3) as f32;
    let mut values: Vec<f32> =
        (0..parameters.values.len()).map(|index| spread * draw(index as u64).powi(5)).collect();
    match (step, rank) {
        (1, _) => parameters
            .table
            .iter()
            .filter(|p| p.name == "wide/bias")
            .for_each(|p| values[p.range.clone()].fill(0.0)),
        (2, 0) => values.fill(0.0),
        _ => {}
    }
    values
}

pub fn settings(gradients: Gradients, min_elements: usize, keep_float: &[&str]) -> job::Exchange {
    let keep_float = keep_float.iter().map(ToString::to_string).collect();
    job::Exchange { gradients, min_elements, keep_float, ..job::Exchange::default() }
}

/// What a rank contributes to a step in addition to its gradients.
#[derive(Clone, Copy, Default)]
pub struct Local {
    pub stop: bool,
    pub non_finite: bool,
}

/// Averages `values`, delivered part by part like those of a backward pass.
pub fn average(
    exchange: &mut Exchange,
    world: &mut World,
    step: u64,
    values: &mut [f32],
    local: Local,
) -> Agreed {
    let table = Parameters::new(&graph()).unwrap().table;
    let start = |layer| table.iter().find(|p| p.layer >= layer).map_or(0, |p| p.range.start);
    let mut phases = Phases::default();
    let averaged = exchange.average(world, step, local.stop, &mut phases, |parts, give| {
        let mut rest = values;
        for &layer in parts {
            let (earlier, part) = rest.split_at_mut(start(layer));
            give(!local.non_finite, part);
            rest = earlier;
        }
        Ok(())
    });
    averaged.unwrap().1
}

/// The values on a rank after each step. Every step sends exactly the bytes of the formula.
pub fn averages(job: &job::Exchange, mut world: World) -> Vec<Vec<f32>> {
    let (rank, size) = (world.rank(), world.size());
    let parameters = Parameters::new(&graph()).unwrap();
    let mut exchange = Exchange::new(job, SEED, &graph(), &parameters, Topology::single(size)).unwrap();
    let mut average = |step| {
        let mut values = gradients(&parameters, rank, step);
        let before = world.traffic().bytes_sent;
        let agreed = average(&mut exchange, &mut world, step, &mut values, Local::default());
        assert_eq!(agreed, Agreed::default());
        let sent = world.traffic().bytes_sent - before;
        assert_eq!(sent, exchange.formula_bytes(rank), "rank {rank} of {size}, step {step}");
        values
    };
    (0..STEPS).map(&mut average).collect()
}

/// One tensor's mean by the definition: each rank's ternaries, a plain sum of integers, times scale / P.
pub fn ternary_mean(of_ranks: &[&[f32]], clip_sigma: f32, step: u64, tensor: usize) -> Vec<f32> {
    let elements = of_ranks[0].len();
    let clips: Vec<f32> = of_ranks.iter().map(|values| Moments::of(values).clip(clip_sigma)).collect();
    let scales = of_ranks.iter().zip(&clips).map(|(values, clip)| Moments::of(values).scale(*clip));
    let scale = scales.fold(0.0, f32::max);
    let mut sums = vec![0; elements];
    for (rank, (values, clip)) in of_ranks.iter().zip(clips).enumerate() {
        let (subject, tensor) = (rank as u32, tensor as u16);
        let stream = Stream { seed: SEED, purpose: Purpose::Ternary, step, subject, tensor };
        let mut planes = vec![0; Layout::new([elements]).words(TERNARY)];
        encode(values, clip, scale, Rounding::Stochastic(&stream), 0, &mut planes);
        sums.iter_mut().enumerate().for_each(|(element, sum)| *sum += get(&planes, TERNARY, element));
    }
    sums.into_iter().map(|sum| sum as f32 * (scale / of_ranks.len() as f32)).collect()
}

/// P - 1 roundings of partial sums, each at most u times the sum of magnitudes, then two of the mean: by 1/P, itself
/// rounded. One more for what is of second order.
fn assert_float_mean(mean: &[f32], of_ranks: &[&[f32]], what: &str) {
    let ranks = of_ranks.len() as f64;
    for (element, mean) in mean.iter().enumerate() {
        let terms = of_ranks.iter().map(|values| f64::from(values[element]));
        let (sum, magnitude) = terms.fold((0.0, 0.0), |(sum, all), g| (sum + g, all + g.abs()));
        let tolerance = (ranks + 2.0) * 2f64.powi(-24) * magnitude / ranks;
        let error = (f64::from(*mean) - sum / ranks).abs();
        assert!(error <= tolerance, "{what}, element {element}: off by {error:e}, at most {tolerance:e}");
    }
}

/// [`check_at`] with all gradients in one bucket and with one bucket per layer, during the backward pass and
/// after it.
fn check(job: &job::Exchange, ternary: &[&str]) {
    for (bucket_elements, overlap) in [(1 << 18, Always), (1, Always), (1, Never), (100, Always)] {
        check_at(&job::Exchange { bucket_elements, overlap, ..job.clone() }, ternary);
    }
}

/// At every number of ranks, the tensors in `ternary` match the definition exactly, all others are the mean,
/// and all are bit-identical on every rank.
fn check_at(job: &job::Exchange, ternary: &[&str]) {
    let parameters = Parameters::new(&graph()).unwrap();
    for ranks in WORLDS {
        let all = on_ranks(ranks, |world| averages(job, world));
        for step in 0..STEPS {
            let inputs: Vec<_> = (0..ranks).map(|rank| gradients(&parameters, rank, step)).collect();
            let mean = &all[0][step as usize];
            let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|v| v.to_bits()).collect() };
            assert!(all.iter().all(|rank| bits(&rank[step as usize]) == bits(mean)), "ranks differ");
            for (number, parameter) in parameters.table.iter().enumerate() {
                let what = format!("{} at step {step} of {ranks} ranks, {job:?}", parameter.name);
                let part = |values: &'_ Vec<f32>| values[parameter.range.clone()].to_vec();
                let of_ranks: Vec<Vec<f32>> = inputs.iter().map(part).collect();
                let of_ranks: Vec<&[f32]> = of_ranks.iter().map(Vec::as_slice).collect();
                if ternary.contains(&parameter.name.as_str()) {
                    let expected = ternary_mean(&of_ranks, job.clip_sigma as f32, step, number);
                    assert_eq!(bits(&part(mean)), bits(&expected), "{what}");
                } else {
                    assert_float_mean(&part(mean), &of_ranks, &what);
                }
            }
        }
    }
}

#[test]
fn by_default_large_tensors_are_ternary_and_the_last_layer_is_not() {
    check(&job::Exchange::default(), &["wide/weight"]);
}

#[test]
fn small_tensors_are_those_below_min_elements() {
    check(&settings(Gradients::Ternary, 23, &["logits"]), &["conv1/weight", "wide/weight", "wide/bias"]);
    check(&settings(Gradients::Ternary, 24, &["logits"]), &["conv1/weight", "wide/weight"]);
}

#[test]
fn layers_are_kept_by_name() {
    let kept = settings(Gradients::Ternary, 1, &["wide"]);
    check(&kept, &["conv1/weight", "conv1/bias", "out/weight", "out/bias"]);
    check(&settings(Gradients::Ternary, 0, &["conv1", "logits"]), &["wide/weight", "wide/bias"]);
}

#[test]
fn everything_may_be_ternary() {
    check(&settings(Gradients::Ternary, 0, &[]), &ALL);
    check(&job::Exchange { clip_sigma: 0.0, ..settings(Gradients::Ternary, 0, &[]) }, &ALL);
}

#[test]
fn everything_may_be_float32() {
    check(&settings(Gradients::Float32, 0, &[]), &[]);
}
