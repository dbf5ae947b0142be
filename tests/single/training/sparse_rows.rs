//! Gradients that are zero except in the rows that a step reads: those of an embedding. Their ternaries are clipped at
//! standard deviations over the touched rows.

use std::fs;

use support::digits::{assert_same_state, load};
use support::ranks::on_ranks;
use ternflock::job::Overlap::{Always, Never};
use ternflock::job::{self, ClipSigmaOver};
use ternflock::nn::{Graph, Parameters, Shape};
use ternflock::report::Phases;
use ternflock::rng::{Purpose, Stream};
use ternflock::train::Exchange;
use ternflock::train::method::Bytes;
use ternflock::world::World;
use ternflock_collectives::codec::{Layout, Moments, Rounding, encode};
use ternflock_collectives::planes::{TERNARY, get};
use ternflock_collectives::topology::Topology;

use crate::WORLDS;
use crate::language;
use crate::runs::{resume, train, train_until};

pub const SEED: u64 = 11;
pub const VOCABULARY: usize = 300;
pub const FEATURES: usize = 7;

/// An embedding of 2,100 elements and logits of as many, which share its weight if `tied`.
pub fn graph(tied: bool) -> Graph {
    let mut logits = serde_json::json!({"name": "logits", "type": "linear", "units": VOCABULARY});
    if tied {
        logits["tied"] = "embedding".into();
    }
    let layers =
        serde_json::json!([{"name": "embedding", "type": "embedding", "features": FEATURES}, logits]);
    let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
    let input = Shape::Tokens { steps: 2, vocabulary: VOCABULARY };
    Graph::from_tables(input, tables).map_err(|(error, _)| error).unwrap()
}

pub fn settings(clip_sigma_over: ClipSigmaOver) -> job::Exchange {
    job::Exchange {
        clip_sigma_over,
        min_elements: 1000,
        keep_float: Vec::new(),
        row_scales: Vec::new(),
        ..job::Exchange::default()
    }
}

/// Every tensor has a gradient in -1..1, most of it small. That of the embedding is zero except in a row of its own per
/// rank, and in a few rows that ranks share. At step 1 it is zero on all ranks, at step 2 on rank 0.
fn gradients(parameters: &Parameters, rank: usize, step: u64) -> Vec<f32> {
    let stream = Stream { seed: 5, purpose: Purpose::Test, step, subject: rank as u32, tensor: 0 };
    let draw = |index: usize| (f64::from(stream.word(index as u64)) / f64::from(1u32 << 31) - 1.0) as f32;
    let mut values: Vec<f32> = (0..parameters.values.len()).map(|index| draw(index).powi(3)).collect();
    let embedding = &mut values[parameters.table[0].range.clone()];
    for (number, row) in embedding.chunks_mut(FEATURES).enumerate() {
        let touched = number == 17 + rank || [3, 40, 41, 200 + rank % 2].contains(&number);
        if !touched || step == 1 || (step, rank) == (2, 0) {
            row.fill(0.0);
        }
    }
    values
}

/// The mean over the ranks, by the exchange, of gradients that are final from the last layer to the first.
pub fn average(
    exchange: &mut Exchange,
    parameters: &Parameters,
    world: &mut World,
    step: u64,
    values: &mut [f32],
) {
    let start = |layer| parameters.table.iter().find(|p| p.layer >= layer).map_or(0, |p| p.range.start);
    let averaged = exchange.average(world, step, false, &mut Phases::default(), |parts, give| {
        let mut rest = values;
        for &layer in parts {
            let (earlier, part) = rest.split_at_mut(start(layer));
            give(true, part);
            rest = earlier;
        }
        Ok(())
    });
    averaged.unwrap();
}

/// The means of `steps` steps on each rank, by step and rank. At every step `at` gives the step whose gradients are used.
fn means(
    job: &job::Exchange,
    tied: bool,
    ranks: usize,
    steps: u64,
    at: fn(u64) -> u64,
) -> Vec<Vec<Vec<f32>>> {
    on_ranks(ranks, |mut world| {
        let graph = graph(tied);
        let parameters = Parameters::new(&graph).unwrap();
        let mut exchange = Exchange::new(job, SEED, &graph, &parameters, Topology::single(ranks)).unwrap();
        let mut mean = |step| {
            let mut values = gradients(&parameters, world.rank(), at(step));
            let before = world.traffic().bytes_sent;
            average(&mut exchange, &parameters, &mut world, step, &mut values);
            let sent = world.traffic().bytes_sent - before;
            match exchange.bytes_sent(world.rank()) {
                Bytes::Exact(bytes) => assert!(tied && sent == bytes, "{sent} of {bytes}"),
                Bytes::AtMost(bound) => assert!(!tied && sent <= bound, "{sent} of {bound}"),
            }
            values
        };
        (0..steps).map(&mut mean).collect()
    })
}

pub fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// The mean of tensor `number` by the definition, from the moments of each rank.
pub fn expected(
    of_ranks: &[&[f32]],
    moments: impl Fn(&[f32]) -> Moments,
    step: u64,
    number: usize,
) -> Vec<f32> {
    let elements = of_ranks[0].len();
    let clip = |values: &&[f32]| (moments(values).clip(2.5), moments(values));
    let clips: Vec<(f32, Moments)> = of_ranks.iter().map(clip).collect();
    let scale = clips.iter().map(|(clip, moments)| moments.scale(*clip)).fold(0.0, f32::max);
    let mut sums = vec![0; elements];
    for (rank, (values, (clip, _))) in of_ranks.iter().zip(clips).enumerate() {
        let (subject, tensor) = (rank as u32, number as u16);
        let stream = Stream { seed: SEED, purpose: Purpose::Ternary, step, subject, tensor };
        let mut planes = vec![0; Layout::new([elements]).words(TERNARY)];
        encode(values, clip, scale, Rounding::Stochastic(&stream), 0, &mut planes);
        sums.iter_mut().enumerate().for_each(|(element, sum)| *sum += get(&planes, TERNARY, element));
    }
    sums.into_iter().map(|sum| sum as f32 * (scale / of_ranks.len() as f32)).collect()
}

/// At every number of ranks, with every rule, during the backward pass and after it: the embedding, whose touched rows
/// differ between ranks, and the dense logits are what the definition says, with the same bits on all ranks.
#[test]
fn the_embedding_is_clipped_over_its_touched_rows_and_the_logits_over_all_elements() {
    const STEPS: u64 = 3;
    let parameters = Parameters::new(&graph(false)).unwrap();
    for over in [ClipSigmaOver::TouchedRows, ClipSigmaOver::Elements] {
        for (ranks, overlap) in WORLDS.into_iter().flat_map(|ranks| [(ranks, Always), (ranks, Never)]) {
            let job = job::Exchange { overlap, bucket_elements: 1, ..settings(over) };
            let all = means(&job, false, ranks, STEPS, |step| step);
            for step in 0..STEPS {
                let inputs: Vec<_> = (0..ranks).map(|rank| gradients(&parameters, rank, step)).collect();
                let mean = &all[0][step as usize];
                assert!(all.iter().all(|rank| bits(&rank[step as usize]) == bits(mean)), "ranks differ");
                for number in [0, 1] {
                    let range = parameters.table[number].range.clone();
                    let of_ranks: Vec<&[f32]> = inputs.iter().map(|values| &values[range.clone()]).collect();
                    let touched = number == 0 && over == ClipSigmaOver::TouchedRows;
                    let moments = |values: &[f32]| match touched {
                        true => Moments::of_touched_rows(values, FEATURES),
                        false => Moments::of(values),
                    };
                    let expected = expected(&of_ranks, moments, step, number);
                    assert_eq!(bits(&mean[range]), bits(&expected), "{over:?}, {ranks} ranks, step {step}");
                }
            }
        }
    }
}

/// Angle in degrees between two vectors, and the ratio of their norms.
fn compare(a: &[f64], b: &[f64]) -> (f64, f64) {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    let norms = (dot(a, a).sqrt(), dot(b, b).sqrt());
    ((dot(a, b) / norms.0 / norms.1).clamp(-1.0, 1.0).acos().to_degrees(), norms.0 / norms.1)
}

/// Averaged over many draws, the mean of an embedding's ternaries is nearly its mean gradient. With the standard deviation
/// over all elements it is less than half as long.
#[test]
fn the_expected_gradient_of_an_embedding_keeps_its_direction_and_length() {
    const DRAWS: u64 = 400;
    let parameters = Parameters::new(&graph(false)).unwrap();
    let range = parameters.table[0].range.clone();
    for ranks in [1, 4] {
        let gradient = |element: usize| {
            (0..ranks).map(|rank| f64::from(gradients(&parameters, rank, 0)[element])).sum::<f64>()
                / ranks as f64
        };
        let gradient: Vec<f64> = range.clone().map(gradient).collect();
        let expectation = |over| {
            let all = means(&settings(over), false, ranks, DRAWS, |_| 0);
            let mean = |element: usize| {
                all[0].iter().map(|step| f64::from(step[element])).sum::<f64>() / DRAWS as f64
            };
            compare(&range.clone().map(mean).collect::<Vec<f64>>(), &gradient)
        };
        let (angle, ratio) = expectation(ClipSigmaOver::TouchedRows);
        assert!(angle < 10.0 && (0.9..1.05).contains(&ratio), "{ranks} ranks: {angle} degrees, {ratio}");
        let (_, published) = expectation(ClipSigmaOver::Elements);
        assert!(published < 0.6, "{ranks} ranks: {published}");
    }
}

/// Tied logits give every row of the table a gradient: the rule is the published one, to the bit.
#[test]
fn a_table_that_the_logits_share_is_dense() {
    let parameters = Parameters::new(&graph(true)).unwrap();
    assert_eq!(parameters.table[0].name, "embedding/weight");
    let [touched, published] = [ClipSigmaOver::TouchedRows, ClipSigmaOver::Elements]
        .map(|over| means(&settings(over), true, 2, 3, |step| step));
    assert_eq!(touched, published);
    let untied = means(&settings(ClipSigmaOver::TouchedRows), false, 2, 1, |step| step);
    let embedding = parameters.table[0].range.clone();
    assert_ne!(untied[0][0][embedding.clone()], published[0][0][embedding], "the rules would not differ");
}

/// With error feedback, the residual of a row waits until the rank reads the row again. Nothing is lost.
#[test]
fn error_feedback_loses_nothing_of_an_embedding() {
    const STEPS: u64 = 60;
    let job = job::Exchange { error_feedback: true, ..settings(ClipSigmaOver::TouchedRows) };
    let parameters = Parameters::new(&graph(false)).unwrap();
    let range = parameters.table[0].range.clone();
    for ranks in [1, 3] {
        let totals = on_ranks(ranks, |mut world| {
            let topology = Topology::single(ranks);
            let mut exchange = Exchange::new(&job, SEED, &graph(false), &parameters, topology).unwrap();
            let mut sums = [vec![0.0_f64; range.len()], vec![0.0; range.len()]];
            for step in 0..STEPS {
                let mut values = gradients(&parameters, world.rank(), step);
                sums[0].iter_mut().zip(&values[range.clone()]).for_each(|(sum, g)| *sum += f64::from(*g));
                average(&mut exchange, &parameters, &mut world, step, &mut values);
                sums[1].iter_mut().zip(&values[range.clone()]).for_each(|(sum, g)| *sum += f64::from(*g));
            }
            let residual = exchange.residuals().find(|(number, _)| *number == 0).unwrap().1.to_vec();
            (sums, residual)
        });
        let mean = |of: &dyn Fn(usize) -> f64| (0..ranks).map(of).sum::<f64>() / ranks as f64;
        for element in 0..range.len() {
            let there_was = mean(&|rank| totals[rank].0[0][element]);
            let left = mean(&|rank| f64::from(totals[rank].1[element]));
            let sent = totals[0].0[1][element];
            // As in feedback.rs: at most 5 + P roundings per step, of values below 8.
            let tolerance = STEPS as f64 * (5 + ranks) as f64 * 2.0_f64.powi(-24) * 8.0;
            assert!((there_was - sent - left).abs() <= tolerance, "{there_was} {sent} {left}");
        }
    }
}

const OVER: &str = "exchange.clip_sigma_over";

/// A run of a version without the key took the standard deviation over all elements. Its `job.toml` does not have the key,
/// and neither has the job file with which it resumes.
#[test]
fn a_run_from_before_the_key_keeps_its_rule() {
    let published = language::short(&["exchange.clip_sigma_over=elements"]);
    let plain = language::short(&[]);
    let straight = tempfile::tempdir().unwrap();
    train(2, &published, straight.path());
    let other = tempfile::tempdir().unwrap();
    train(2, &plain, other.path());
    let weights = |run| -> Vec<f32> { load(run, 20).parameters.into_iter().flat_map(|t| t.values).collect() };
    assert_ne!(weights(straight.path()), weights(other.path()), "the rules do not differ in this job");

    let old = tempfile::tempdir().unwrap();
    train_until(8, 2, &published, old.path());
    let path = old.path().join("job.toml");
    let text = fs::read_to_string(&path).unwrap();
    let without: String =
        text.lines().filter(|line| !line.contains("clip_sigma_over")).map(|l| l.to_owned() + "\n").collect();
    assert_ne!(without, text);
    fs::write(&path, without).unwrap();
    // Otherwise its hash of job.toml would be that of the text with the key.
    fs::remove_file(old.path().join("run.toml")).unwrap();

    let asked = language::short(&["exchange.clip_sigma_over=touched_rows"]);
    let refused = resume(2, &asked, old.path());
    let message = refused[0].result.as_ref().err().unwrap().to_string();
    assert!(
        message.contains(&format!("{OVER}: \"elements\" in the run, \"touched_rows\" requested")),
        "{message}"
    );

    // Once it was interrupted again, the stored job has the key, and the file still does not.
    for _ in 0..2 {
        for rank in resume(2, &plain, old.path()) {
            assert!(rank.summary().complete);
        }
    }
    assert_same_state(&load(straight.path(), 20), &load(old.path(), 20));
    assert!(fs::read_to_string(&path).unwrap().contains("clip_sigma_over = \"elements\""));
}
