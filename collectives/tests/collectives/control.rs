//! The collectives for a few words, for any P.

use proptest::prelude::*;
use ternflock_collectives::control::Reduction;
use ternflock_collectives::transport::meter::Traffic;
use ternflock_collectives::transport::{Lane, Transport};
use ternflock_collectives::{Error, control};

use crate::{on_ranks, random};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn max_is_the_maximum_over_ranks(world in 1..=17_usize, length in 0..9_usize, seed in any::<u64>()) {
        let input = |rank| random(seed, rank).take(length).map(|word| word as u32).collect::<Vec<_>>();
        let expected: Vec<u32> =
            (0..length).map(|index| (0..world).map(|rank| input(rank)[index]).max().unwrap_or(0)).collect();
        let results = on_ranks(world, |rank| {
            let mut values = input(rank.rank());
            control::max(rank, &mut values).expect("max runs");
            values
        });
        for (values, traffic) in results {
            prop_assert_eq!(values, expected.clone());
            prop_assert_eq!(traffic, control::max_traffic(length, world));
            prop_assert_eq!(traffic.messages_sent, (world as f64).log2().ceil() as u64);
        }
    }

    /// The words of both kinds travel in the messages of a maximum of as many words.
    #[test]
    fn words_are_reduced_by_maximum_and_by_or(
        world in 1..=17_usize, maxima in 0..5_usize, bitmaps in 0..7_usize, seed in any::<u64>(),
    ) {
        let length = maxima + bitmaps;
        // Sparse bits, so that an or over many ranks does not set all of them.
        let input = |rank| random(seed, rank).take(length)
            .map(|word| (word as u32) & (word >> 32) as u32 & (word >> 16) as u32)
            .collect::<Vec<_>>();
        let by = |index: usize, combine: fn(u32, u32) -> u32| {
            (0..world).map(|rank| input(rank)[index]).reduce(combine).unwrap_or(0)
        };
        let expected: Vec<u32> =
            (0..length).map(|index| by(index, if index < maxima { u32::max } else { |a, b| a | b })).collect();
        let results = on_ranks(world, |rank| {
            let mut values = input(rank.rank());
            control::max_or(rank, maxima, &mut values).expect("the reduction runs");
            values
        });
        for (values, traffic) in results {
            prop_assert_eq!(values, expected.clone());
            prop_assert_eq!(traffic, control::max_traffic(length, world));
        }
    }

    /// Words that are mostly zero are reduced like others, by messages that are no longer than the bound.
    #[test]
    fn sparse_words_are_reduced_by_maximum(
        world in 1..=9_usize, first in 0..4_usize, sparse in 1..200_usize, last in 0..4_usize, density in 0..9_u64,
        seed in any::<u64>(),
    ) {
        let length = first + sparse + last;
        let input = |rank| random(seed, rank).take(length)
            .map(|word| if word >> 32 & 7 < density { word as u32 } else { 0 })
            .collect::<Vec<_>>();
        let expected: Vec<u32> =
            (0..length).map(|index| (0..world).map(|rank| input(rank)[index]).max().unwrap_or(0)).collect();
        let results = on_ranks(world, |rank| {
            let mut values = input(rank.rank());
            let reduction = Reduction::new(Lane::Bulk, length).with_sparse(first, sparse);
            reduction.complete(rank, &mut values).expect("the reduction runs");
            values
        });
        for (values, traffic) in results {
            prop_assert_eq!(values, expected.clone());
            let bound = control::sparse_max_traffic(length, sparse, world);
            prop_assert_eq!(traffic.messages_sent, bound.messages_sent);
            prop_assert!(traffic.bytes_sent <= bound.bytes_sent);
            if density == 0 {
                let words = (first + last + sparse.div_ceil(32)).div_ceil(2);
                prop_assert_eq!(traffic.bytes_sent, 8 * words as u64 * traffic.messages_sent);
            }
        }
    }

    #[test]
    fn all_gather_returns_all_records_in_rank_order(
        world in 1..=17_usize, length in 0..5_usize, seed in any::<u64>(),
    ) {
        let record = |rank| random(seed, rank).take(length).collect::<Vec<_>>();
        let expected: Vec<u64> = (0..world).flat_map(record).collect();
        let results = on_ranks(world, |rank| {
            let record = record(rank.rank());
            control::all_gather(rank, &record).expect("all-gather runs")
        });
        for (records, traffic) in results {
            prop_assert_eq!(records, expected.clone());
            prop_assert_eq!(traffic, control::all_gather_traffic(length, world));
            prop_assert_eq!(traffic.bytes_sent, 8 * (length * (world - 1)) as u64);
        }
    }

    #[test]
    fn broadcast_gives_rank_0s_words_to_all(world in 1..=17_usize, length in 0..50_usize) {
        let results = on_ranks(world, |rank| {
            let mut words: Vec<u64> = match rank.rank() {
                0 => random(1, 0).take(length).collect(),
                other => vec![7; other],
            };
            control::broadcast(rank, &mut words).expect("broadcast runs");
            words
        });
        let expected: Vec<u64> = random(1, 0).take(length).collect();
        let total: Traffic = results.iter().map(|(_, traffic)| *traffic).sum();
        prop_assert_eq!(total.bytes_sent, 8 * ((world - 1) * (length + 1)) as u64);
        for (words, _) in results {
            prop_assert_eq!(words, expected.clone());
        }
    }
}

#[test]
fn floats_as_bits_have_the_maximum_of_the_floats() {
    let scales = [0.0, f32::from_bits(1), 1e-30, 0.5, 3e38];
    let results = on_ranks(scales.len(), |rank| {
        let mut values = [scales[rank.rank()].to_bits()];
        control::max(rank, &mut values).expect("max runs");
        f32::from_bits(values[0])
    });
    assert!(results.iter().all(|(scale, _)| *scale == 3e38));
}

#[test]
fn a_disagreement_names_the_same_two_ranks_everywhere() {
    for world in 1..=6 {
        let equal = on_ranks(world, |rank| control::agree(rank, "the hash of the job", 5));
        assert!(equal.iter().all(|(result, _)| *result == Ok(())));
        let differ = on_ranks(world, |rank| {
            let value = (rank.rank() / 3) as u64;
            control::agree(rank, "the hash of the job", value)
        });
        let error =
            Error::Disagree { what: "the hash of the job".into(), rank: 0, value: 0, peer: 3, peer_value: 1 };
        let expected = if world > 3 { Err(error) } else { Ok(()) };
        assert!(differ.iter().all(|(result, _)| *result == expected));
    }
}
