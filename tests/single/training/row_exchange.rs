//! Only the rows in which some rank has a gradient travel: the means are those of the complete tensors, and the bytes
//! those of the rows.

use std::collections::BTreeSet;

use proptest::prelude::*;
use support::ranks::on_ranks;
use ternflock::job::Overlap::{Always, Never};
use ternflock::job::{self, ClipSigmaOver, Gradients, Overlap};
use ternflock::nn::{Graph, Parameters, Shape};
use ternflock::rng::{Purpose, Stream};
use ternflock::train::Exchange;
use ternflock::train::method::Bytes;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT, ring_f32};
use ternflock_collectives::codec::{Layout, Moments};
use ternflock_collectives::control;
use ternflock_collectives::topology::Topology;

use crate::runs::train;
use crate::sparse_rows::{FEATURES, SEED, VOCABULARY, average, bits, expected, graph, settings};
use crate::{WORLDS, language};

/// The rows that a rank reads.
type Rows = BTreeSet<usize>;

/// Gradients of the two tables and the bias of [`graph`]: the first table has some in `rows`, the others everywhere. With
/// `integers`, all are small integers, so that sums are exact in any order.
fn gradients(parameters: &Parameters, rank: usize, rows: &Rows, integers: bool) -> Vec<f32> {
    let stream = Stream { seed: 5, purpose: Purpose::Test, step: 0, subject: rank as u32, tensor: 0 };
    let draw = |index: usize| {
        let value = (f64::from(stream.word(index as u64)) / f64::from(1u32 << 31) - 1.0) as f32;
        // The sum turns -0 into 0.
        if integers { (100.0 * value).round() + 0.0 } else { value.powi(3) }
    };
    let mut values: Vec<f32> = (0..parameters.values.len()).map(draw).collect();
    for (row, values) in values[parameters.table[0].range.clone()].chunks_mut(FEATURES).enumerate() {
        if !rows.contains(&row) {
            values.fill(0.0);
        }
    }
    values
}

/// Bytes that `rank` sends for all tensors in one bucket, if `rows` of the embedding travel: the words (a scale per ternary
/// tensor, two decisions, a bit per row), the ternaries and the floats.
fn bytes(job: &job::Exchange, algorithm: Algorithm, rows: usize, world: usize, rank: usize) -> u64 {
    let topology = Topology::single(world);
    let (ternary, float) = match job.gradients {
        Gradients::Ternary if job.keep_float.is_empty() => (vec![rows * FEATURES, 2100], 300),
        Gradients::Ternary => (vec![2100], rows * FEATURES + 300),
        Gradients::Float32 => (vec![], rows * FEATURES + 2400),
        Gradients::PowerSgd => unreachable!("PowerSGD sends all rows"),
    };
    let words = ternary.len() + 2 + VOCABULARY.div_ceil(32);
    let plan = Plan {
        topology: &topology,
        blocks: Layout::new(ternary).blocks(),
        segment: SEGMENT,
        coding: Coding::Never,
    };
    control::max_traffic(words, world).bytes_sent
        + algorithm.traffic(plan, rank).bytes_sent
        + ring_f32::traffic(ring_f32::SEGMENT, float, world, rank).bytes_sent
}

/// The means of two steps, with the rows of `rows` at first and every second of them then, on all ranks. Checks the bytes
/// of both steps, and that all ranks hold the same bits.
fn means(
    job: &job::Exchange,
    algorithm: Algorithm,
    rows: &[Rows],
    integers: bool,
) -> (Vec<Vec<f32>>, Vec<Vec<Rows>>) {
    let half = |rows: &Rows| rows.iter().copied().step_by(2).collect();
    let steps = [rows.to_vec(), rows.iter().map(half).collect()];
    let world_size = rows.len();
    let of_ranks = on_ranks(world_size, |mut world| {
        let graph = graph(false);
        let parameters = Parameters::new(&graph).unwrap();
        let topology = Topology::single(world_size);
        let mut exchange = Exchange::new(job, SEED, &graph, &parameters, topology).unwrap();
        exchange.set_algorithm(algorithm);
        let rank = world.rank();
        let mut mean = |(step, rows): (usize, &Vec<Rows>)| {
            let mut values = gradients(&parameters, rank, &rows[rank], integers);
            let before = world.traffic().bytes_sent;
            average(&mut exchange, &parameters, &mut world, step as u64, &mut values);
            let sent = world.traffic().bytes_sent - before;
            let union: Rows = rows.iter().flatten().copied().collect();
            assert_eq!(sent, bytes(job, algorithm, union.len(), world_size, rank), "{} rows", union.len());
            let mut bound = |rows| {
                exchange.bound_rows(rows);
                exchange.bytes_sent(rank)
            };
            let all = bound(usize::MAX);
            assert!(sent <= all.bound(), "{sent} of {all:?}");
            assert_eq!(bound(union.len()), Bytes::AtMost(sent));
            assert_eq!(bound(VOCABULARY), all);
            values
        };
        steps.iter().enumerate().map(&mut mean).collect::<Vec<_>>()
    });
    let first = of_ranks[0].clone();
    for rank in &of_ranks {
        assert!(rank.iter().zip(&first).all(|(own, first)| bits(own) == bits(first)), "ranks differ");
    }
    (first, steps.to_vec())
}

/// Checks the means of all tensors against their definitions on the complete tensors.
fn check(job: &job::Exchange, algorithm: Algorithm, rows: &[Rows]) {
    let parameters = Parameters::new(&graph(false)).unwrap();
    for integers in [false, true] {
        let (means, steps) = means(job, algorithm, rows, integers);
        for (step, (mean, rows)) in means.iter().zip(&steps).enumerate() {
            let own: Vec<Vec<f32>> = rows
                .iter()
                .enumerate()
                .map(|(rank, rows)| gradients(&parameters, rank, rows, integers))
                .collect();
            for (number, parameter) in parameters.table.iter().enumerate() {
                let of_ranks: Vec<&[f32]> = own.iter().map(|own| &own[parameter.range.clone()]).collect();
                let mean = &mean[parameter.range.clone()];
                let is_kept = number == 0 && !job.keep_float.is_empty() || parameter.range.len() < 1000;
                if job.gradients == Gradients::Ternary && !is_kept {
                    let moments = |values: &[f32]| match number {
                        0 => Moments::of_touched_rows(values, FEATURES),
                        _ => Moments::of(values),
                    };
                    assert_eq!(bits(mean), bits(&expected(&of_ranks, moments, step as u64, number)));
                } else {
                    assert_float_mean(mean, &of_ranks, integers);
                }
            }
        }
    }
}

/// Integers are exact. Otherwise P - 1 additions round partial sums, each by at most 2^-24 of the sum of magnitudes, and
/// 1/P and the product with it are rounded too.
fn assert_float_mean(mean: &[f32], of_ranks: &[&[f32]], integers: bool) {
    let world = of_ranks.len() as f64;
    for (element, mean) in mean.iter().enumerate() {
        let terms = of_ranks.iter().map(|values| f64::from(values[element]));
        let (sum, magnitude) = terms.fold((0.0, 0.0), |(sum, all), g| (sum + g, all + g.abs()));
        if integers {
            assert_eq!(mean.to_bits(), ((sum as f32) * (1.0 / world as f32)).to_bits(), "element {element}");
        }
        let tolerance = (world + 2.0) * 2f64.powi(-24) * magnitude / world;
        assert!((f64::from(*mean) - sum / world).abs() <= tolerance, "element {element}");
    }
}

fn ternary(keep_float: &[&str], overlap: Overlap) -> job::Exchange {
    let keep_float = keep_float.iter().map(ToString::to_string).collect();
    job::Exchange { keep_float, overlap, ..settings(ClipSigmaOver::TouchedRows) }
}

fn float32() -> job::Exchange {
    job::Exchange { gradients: Gradients::Float32, ..ternary(&[], Always) }
}

#[test]
fn no_rows_all_rows_and_rows_of_one_rank_travel() {
    for ranks in WORLDS {
        let none = vec![Rows::new(); ranks];
        let all = vec![(0..VOCABULARY).collect(); ranks];
        let mut one = none.clone();
        one[ranks - 1] = [0, 7, 8, 31, 32, 64, VOCABULARY - 1].into();
        for rows in [none, all, one] {
            for job in [ternary(&[], Always), ternary(&[], Never), ternary(&["embedding"], Always), float32()]
            {
                check(&job, Algorithm::RingTernary, &rows);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_rows_travel(
        world in 0..WORLDS.len(),
        algorithm in 0..Algorithm::ALL.len(),
        format in 0..3_usize,
        share in 0.0..1.0_f64,
        seed in any::<u64>(),
    ) {
        let (ranks, algorithm) = (WORLDS[world], Algorithm::ALL[algorithm]);
        let stream = |rank| Stream { seed, purpose: Purpose::Test, step: 1, subject: rank, tensor: 0 };
        let rows = |rank: u32| -> Rows {
            let is_read = |row: &usize| f64::from(stream(rank).word(*row as u64)) < share.powi(3) * 2f64.powi(32);
            (0..VOCABULARY).filter(is_read).collect()
        };
        let rows: Vec<Rows> = (0..ranks as u32).map(rows).collect();
        let job = [ternary(&[], Always), ternary(&["embedding"], Always), float32()];
        check(&job[format], algorithm, &rows);
    }
}

/// Two embeddings of the same tokens, whose sum is a sequence.
fn two_tables() -> Graph {
    let layers = serde_json::json!([
        {"name": "a", "type": "embedding", "features": 5},
        {"name": "b", "type": "embedding", "features": 5, "inputs": ["input"]},
        {"type": "add", "inputs": ["a", "b"]},
        {"name": "logits", "type": "linear", "units": 40},
    ]);
    let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
    let input = Shape::Tokens { steps: 2, vocabulary: 40 };
    Graph::from_tables(input, tables).map_err(|(error, _)| error).unwrap()
}

/// Each table of a bucket has rows of its own, here even ones and odd ones.
#[test]
fn several_tables_may_have_different_rows() {
    let parameters = Parameters::new(&two_tables()).unwrap();
    let integer = |rank: usize, index: usize| ((index * 31 + rank * 7) % 11) as f32 - 5.0;
    for (gradients, min_elements) in
        [(Gradients::Float32, 0), (Gradients::Ternary, 0), (Gradients::Ternary, 9999)]
    {
        let job = job::Exchange { gradients, min_elements, ..ternary(&[], Always) };
        for ranks in WORLDS {
            let own = |rank| {
                let mut values: Vec<f32> =
                    (0..parameters.values.len()).map(|index| integer(rank, index)).collect();
                for number in [0, 1] {
                    let rows = values[parameters.table[number].range.clone()].chunks_mut(5);
                    rows.enumerate()
                        .filter(|(row, _)| row % 2 != number || row % 3 == rank % 3)
                        .for_each(|(_, row)| row.fill(0.0));
                }
                values
            };
            let means = on_ranks(ranks, |mut world| {
                let topology = Topology::single(ranks);
                let mut exchange = Exchange::new(&job, SEED, &two_tables(), &parameters, topology).unwrap();
                let mut values = own(world.rank());
                average(&mut exchange, &parameters, &mut world, 0, &mut values);
                values
            });
            assert!(means.iter().all(|mean| bits(mean) == bits(&means[0])));
            let inputs: Vec<Vec<f32>> = (0..ranks).map(own).collect();
            for (number, parameter) in parameters.table.iter().enumerate() {
                let of_ranks: Vec<&[f32]> = inputs.iter().map(|own| &own[parameter.range.clone()]).collect();
                let mean = &means[0][parameter.range.clone()];
                if gradients == Gradients::Ternary && min_elements == 0 {
                    let moments = |values: &[f32]| match number {
                        0 | 1 => Moments::of_touched_rows(values, 5),
                        _ => Moments::of(values),
                    };
                    assert_eq!(bits(mean), bits(&expected(&of_ranks, moments, 0, number)), "{number}");
                } else {
                    assert_float_mean(mean, &of_ranks, true);
                }
            }
        }
    }
}

/// With error feedback, a rank's residual of a row stays to the bit while the rank does not read the row, even if others
/// do; it is part of what the rank sends when it reads the row again.
#[test]
fn residuals_wait_for_their_row() {
    let job = job::Exchange { error_feedback: true, ..ternary(&[], Always) };
    let parameters = Parameters::new(&graph(false)).unwrap();
    for ranks in [1, 3] {
        on_ranks(ranks, |mut world| {
            let topology = Topology::single(ranks);
            let mut exchange = Exchange::new(&job, SEED, &graph(false), &parameters, topology).unwrap();
            let rank = world.rank();
            let mut step = |exchange: &mut Exchange, step, rows: &Rows| {
                let mut values = gradients(&parameters, rank, rows, false);
                average(exchange, &parameters, &mut world, step, &mut values);
                let residual = exchange.residuals().find(|(number, _)| *number == 0).unwrap().1;
                (residual.to_vec(), values)
            };
            let (first, _) = step(&mut exchange, 0, &(0..40).collect());
            assert!(first[..40 * FEATURES].iter().any(|left| *left != 0.0));
            assert!(first[40 * FEATURES..].iter().all(|left| *left == 0.0));
            // Rank 0 reads rows that the others do not.
            let rows = if rank == 0 { (0..20).collect() } else { (60..80).collect() };
            let (second, mean) = step(&mut exchange, 1, &rows);
            let waiting = if rank == 0 { 20 * FEATURES } else { 0 }..60 * FEATURES;
            assert_eq!(bits(&first[waiting.clone()]), bits(&second[waiting]));
            assert!(mean[20 * FEATURES..60 * FEATURES].iter().all(|mean| mean.to_bits() == 0));
            if rank == 0 {
                assert_ne!(bits(&first[..20 * FEATURES]), bits(&second[..20 * FEATURES]));
            }
        });
    }
}

/// A step of two samples of seven words reads at most 14 of 60 rows, so the prediction is below that of all rows. Words
/// occur twice, so fewer bytes are sent than predicted.
#[test]
fn a_run_sends_at_most_the_rows_of_its_tokens() {
    let sets = ["exchange.gradients=float32", "train.global_batch=2"];
    for ranks in [2, 4] {
        let sets = [&sets[..], &["train.global_batch=4"][..if ranks == 4 { 1 } else { 0 }]].concat();
        let directory = tempfile::tempdir().unwrap();
        let ended = train(ranks, &language::short(&sets), directory.path());
        let traffic = ended[0].summary().traffic;
        let all = traffic.float32_bytes_per_step;
        assert!(traffic.bytes_per_step < traffic.formula_bytes_per_step, "{traffic:?}");
        // 14 or 28 of 60 rows of 12 floats, of 3,000 parameters, with at most 200 bytes of agreement.
        let rows = if ranks == 4 { 28.0 } else { 14.0 };
        let parameters = 60.0 * 12.0 + 4.0 * 9.0 * 22.0 + 4.0 * 10.0 * 20.0 + 11.0 * 60.0;
        let saved = (60.0 - rows) * 12.0 / parameters;
        assert!(traffic.formula_bytes_per_step < all * (1.0 - 0.8 * saved) + 200.0, "{traffic:?}");
    }
}
