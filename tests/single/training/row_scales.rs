//! Scales of single rows (`exchange.row_scales`): the means are those of the definition, at any number of ranks and by any
//! all-reduce, and large rows keep their direction and length.

use proptest::prelude::*;
use support::ranks::on_ranks;
use ternflock::job::Overlap::{Always, Never};
use ternflock::job::{self, ClipSigmaOver};
use ternflock::nn::Parameters;
use ternflock::rng::{Purpose, Stream};
use ternflock::train::Exchange;
use ternflock::train::method::Bytes;
use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_collectives::codec::{Layout, Moments, Rounding, encode};
use ternflock_collectives::planes::{TERNARY, get};
use ternflock_collectives::topology::Topology;

use crate::WORLDS;
use crate::sparse_rows::{FEATURES, SEED, VOCABULARY, average, bits, graph, settings};

/// Every tensor is ternary; those of both layers have scales of rows.
fn scaled() -> job::Exchange {
    let row_scales = vec!["embedding".into(), "logits".into()];
    job::Exchange { row_scales, min_elements: 0, clip_sigma: 1.5, ..settings(ClipSigmaOver::TouchedRows) }
}

/// Small elements, and rows of large ones that differ between ranks. Of the embedding, a rank reads every fifth row at
/// most, and none at step 1.
fn gradients(parameters: &Parameters, rank: usize, step: u64) -> Vec<f32> {
    let stream = Stream { seed: 7, purpose: Purpose::Test, step, subject: rank as u32, tensor: 0 };
    let draw = |index: usize| (f64::from(stream.word(index as u64)) / f64::from(1u32 << 31) - 1.0) as f32;
    let mut values: Vec<f32> = (0..parameters.values.len()).map(|index| draw(index).powi(3)).collect();
    for parameter in &parameters.table {
        let is_table = parameter.name == "embedding/weight";
        let width = parameter.range.len() / VOCABULARY;
        for (number, row) in values[parameter.range.clone()].chunks_mut(width).enumerate() {
            let of = stream.word((1 << 20 | number << 4 | parameter.layer) as u64);
            let factor = if of.is_multiple_of(11) { 30.0 } else { 0.1 };
            let is_read = !is_table || step != 1 && of % 5 == 1;
            row.iter_mut().for_each(|value| *value *= if is_read { factor } else { 0.0 });
        }
    }
    values
}

/// The mean of a tensor with rows of `width` by the definition, from ternaries of the whole tensor; and the number of rows
/// with a scale of their own.
fn expected(
    of_ranks: &[&[f32]],
    moments: impl Fn(&[f32]) -> Moments,
    width: usize,
    step: u64,
    number: usize,
) -> (Vec<f32>, usize) {
    let (sigma, world) = (scaled().clip_sigma as f32, of_ranks.len() as f32);
    let clips: Vec<f32> = of_ranks.iter().map(|values| moments(values).clip(sigma)).collect();
    let largest = |values: &[f32]| values.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let clipped = of_ranks.iter().zip(&clips).map(|(values, clip)| largest(values).min(*clip));
    let scale = clipped.fold(0.0, f32::max);
    let ternaries = |rank: usize, values: &[f32], scale: f32, is_random: bool| {
        let (subject, tensor) = (rank as u32, number as u16);
        let stream = Stream { seed: SEED, purpose: Purpose::Ternary, step, subject, tensor };
        let rounding = if is_random { Rounding::Stochastic(&stream) } else { Rounding::Nearest };
        let mut planes = vec![0; Layout::new([values.len()]).words(TERNARY)];
        encode(values, f32::INFINITY, scale, rounding, 0, &mut planes);
        (0..values.len()).map(|element| get(&planes, TERNARY, element)).collect::<Vec<i32>>()
    };
    let (mut mean, mut own) = (vec![0.0; of_ranks[0].len()], 0);
    for start in (0..mean.len()).step_by(width) {
        let row = start..start + width;
        let row_of = |values: &[f32]| largest(&values[row.clone()]);
        let above = of_ranks.iter().zip(&clips).filter(|(values, clip)| row_of(values) > **clip);
        let row_scale = above.map(|(values, _)| row_of(values)).reduce(f32::max);
        own += usize::from(row_scale.is_some());
        let (unit, mut sums) = (row_scale.map_or(scale, |own| own.max(scale) / 7.0), vec![0; width]);
        for (rank, values) in of_ranks.iter().enumerate() {
            let mut integers = vec![0; values.len()];
            let mut left = values.to_vec();
            for power in if row_scale.is_some() { [4, 2].iter() } else { [].iter() } {
                let scale = *power as f32 * unit;
                let digits = ternaries(rank, &left, scale, false);
                left.iter_mut().zip(&digits).for_each(|(left, digit)| *left -= scale * *digit as f32);
                integers.iter_mut().zip(digits).for_each(|(sum, digit)| *sum += power * digit);
            }
            let last = ternaries(rank, &left, unit, true);
            integers.iter_mut().zip(last).for_each(|(sum, digit)| *sum += digit);
            sums.iter_mut().zip(&integers[row.clone()]).for_each(|(sum, integer)| *sum += integer);
        }
        mean[row].iter_mut().zip(sums).for_each(|(mean, sum)| *mean = sum as f32 * (unit / world));
    }
    (mean, own)
}

/// The mean on each rank at `step`, by `algorithm`, with messages as `coding` says.
fn means(
    job: &job::Exchange,
    algorithm: Algorithm,
    coding: Coding,
    ranks: usize,
    step: u64,
) -> Vec<Vec<f32>> {
    on_ranks(ranks, |mut world| {
        let (graph, topology) = (graph(false), Topology::single(ranks));
        let parameters = Parameters::new(&graph).unwrap();
        let mut exchange = Exchange::new(job, SEED, &graph, &parameters, topology).unwrap();
        exchange.set_algorithm(algorithm);
        exchange.set_coding(coding);
        let mut values = gradients(&parameters, world.rank(), step);
        let before = world.traffic().bytes_sent;
        average(&mut exchange, &parameters, &mut world, step, &mut values);
        let sent = world.traffic().bytes_sent - before;
        match exchange.bytes_sent(world.rank()) {
            Bytes::AtMost(bound) => assert!(sent <= bound, "{sent} of {bound}"),
            Bytes::Exact(bytes) => panic!("{bytes} bytes cannot be exact"),
        }
        values
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn means_are_those_of_the_definition(
        world in 0..WORLDS.len(),
        algorithm in 0..Algorithm::ALL.len(),
        is_coded in any::<bool>(),
        overlaps in any::<bool>(),
        bucket_elements in prop_oneof![Just(1_usize), Just(1 << 20)],
        step in 0..4_u64,
    ) {
        let (ranks, algorithm) = (WORLDS[world], Algorithm::ALL[algorithm]);
        let overlap = if overlaps { Always } else { Never };
        let job = job::Exchange { overlap, bucket_elements, ..scaled() };
        let coding = if is_coded { Coding::Always } else { Coding::Never };
        let all = means(&job, algorithm, coding, ranks, step);
        prop_assert!(all.iter().all(|mean| bits(mean) == bits(&all[0])), "ranks differ");
        let parameters = Parameters::new(&graph(false)).unwrap();
        let inputs: Vec<_> = (0..ranks).map(|rank| gradients(&parameters, rank, step)).collect();
        for (number, parameter) in parameters.table.iter().enumerate() {
            let of_ranks: Vec<&[f32]> = inputs.iter().map(|values| &values[parameter.range.clone()]).collect();
            let moments = |values: &[f32]| match number {
                0 => Moments::of_touched_rows(values, FEATURES),
                _ => Moments::of(values),
            };
            let width = parameter.range.len() / VOCABULARY;
            let (expected, own) = expected(&of_ranks, moments, width, step, number);
            prop_assert_eq!(bits(&all[0][parameter.range.clone()]), bits(&expected), "{}", parameter.name);
            prop_assert!(own < VOCABULARY && (own > 0 || (number, step) == (0, 1)), "{} of {}", own, parameter.name);
        }
    }
}

/// Without clipping no row is above the threshold, so the key has no effect.
#[test]
fn without_clipping_a_tensor_has_one_scale() {
    let with = job::Exchange { clip_sigma: 0.0, ..scaled() };
    let without = job::Exchange { row_scales: Vec::new(), ..with.clone() };
    let mean = |job| means(job, Algorithm::RingTernary, Coding::Always, 2, 0);
    assert_eq!(mean(&with), mean(&without));
    let clipped = scaled();
    assert_ne!(mean(&clipped), mean(&job::Exchange { row_scales: Vec::new(), ..clipped.clone() }));
}

/// Averaged over many draws, the mean of the ternaries of a tensor whose rows differ in size is its mean gradient.
#[test]
fn the_expected_gradient_keeps_its_direction_and_length() {
    const DRAWS: u64 = 300;
    const RANKS: usize = 2;
    let parameters = Parameters::new(&graph(false)).unwrap();
    let range = parameters.table[1].range.clone();
    let inputs: Vec<_> = (0..RANKS).map(|rank| gradients(&parameters, rank, 0)).collect();
    let gradient =
        |element| inputs.iter().map(|values| f64::from(values[element])).sum::<f64>() / RANKS as f64;
    let gradient: Vec<f64> = range.clone().map(gradient).collect();
    let measure = |row_scales: Vec<String>| {
        let job = job::Exchange { row_scales, clip_sigma: 2.5, ..scaled() };
        let sums = on_ranks(RANKS, |mut world| {
            let mut exchange =
                Exchange::new(&job, SEED, &graph(false), &parameters, Topology::single(RANKS)).unwrap();
            let mut sums = vec![0.0; range.len()];
            for step in 0..DRAWS {
                let mut values = inputs[world.rank()].clone();
                average(&mut exchange, &parameters, &mut world, step, &mut values);
                sums.iter_mut()
                    .zip(&values[range.clone()])
                    .for_each(|(sum, q)| *sum += f64::from(*q) / DRAWS as f64);
            }
            sums
        });
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let (both, length) = (dot(&sums[0], &gradient), dot(&sums[0], &sums[0]).sqrt());
        let norm = dot(&gradient, &gradient).sqrt();
        ((both / length / norm).min(1.0).acos().to_degrees(), length / norm)
    };
    let (angle, ratio) = measure(vec!["logits".into()]);
    assert!(angle < 3.0 && (0.99..1.01).contains(&ratio), "{angle} degrees, {ratio}");
    let (one_scale, shorter) = measure(Vec::new());
    assert!(one_scale > 2.0 * angle && shorter < 0.9, "{one_scale} degrees, {shorter}");
}

/// With error feedback, the sums of what was sent and of what is left are those of the gradients, in every tensor.
#[test]
fn error_feedback_loses_nothing() {
    const STEPS: u64 = 40;
    let job = job::Exchange { error_feedback: true, ..scaled() };
    let parameters = Parameters::new(&graph(false)).unwrap();
    for ranks in [1, 3] {
        let totals = on_ranks(ranks, |mut world| {
            let topology = Topology::single(ranks);
            let mut exchange = Exchange::new(&job, SEED, &graph(false), &parameters, topology).unwrap();
            let mut sums = [vec![0.0_f64; parameters.values.len()], vec![0.0; parameters.values.len()]];
            let add = |sums: &mut [f64], values: &[f32]| {
                sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += f64::from(*value));
            };
            for step in 0..STEPS {
                let mut values = gradients(&parameters, world.rank(), step);
                add(&mut sums[0], &values);
                average(&mut exchange, &parameters, &mut world, step, &mut values);
                add(&mut sums[1], &values);
            }
            let mut left = vec![0.0_f32; parameters.values.len()];
            for (number, residual) in exchange.residuals() {
                left[parameters.table[number].range.clone()].copy_from_slice(residual);
            }
            (sums, left)
        });
        let mean = |of: &dyn Fn(usize) -> f64| (0..ranks).map(of).sum::<f64>() / ranks as f64;
        for element in 0..parameters.values.len() {
            let there_was = mean(&|rank| totals[rank].0[0][element]);
            let left = mean(&|rank| f64::from(totals[rank].1[element]));
            let sent = totals[0].0[1][element];
            // As in feedback.rs: at most 5 + P roundings per step, of values below 256.
            let tolerance = STEPS as f64 * (5 + ranks) as f64 * 2.0_f64.powi(-24) * 256.0;
            assert!((there_was - sent - left).abs() <= tolerance, "{element}: {there_was} {sent} {left}");
        }
    }
}
