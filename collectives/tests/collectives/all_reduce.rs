//! Both rings against sums computed without any communication.

use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use ternflock_collectives::all_reduce::{ring_f32, ring_ternary};
use ternflock_collectives::planes::{self, BLOCK, TERNARY, WORDS, width};
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::{Transport, threads};

use crate::{on_ranks, random};

fn ternaries(seed: u64, rank: usize, blocks: usize) -> Vec<u64> {
    let mut words = random(seed, rank);
    let mut payload = vec![0; planes::words(blocks, TERNARY)];
    for block in payload.as_chunks_mut::<{ TERNARY * WORDS }>().0 {
        let (nonzero, negative) = block.split_at_mut(WORDS);
        nonzero.iter_mut().zip(&mut words).for_each(|(word, random)| *word = random);
        nonzero.iter().zip(negative).zip(&mut words).for_each(|((a, b), random)| *b = *a & random);
    }
    payload
}

fn floats(seed: u64, rank: usize, elements: usize) -> Vec<f32> {
    random(seed, rank).take(elements).map(|word| (word as i64 as f32) / 2.0_f32.powi(60)).collect()
}

fn sum_of_ternaries(seed: u64, world: usize, blocks: usize) -> Vec<(Vec<u64>, Traffic)> {
    on_ranks(world, |rank| {
        let mut sums = vec![u64::MAX; planes::words(blocks, width(world))];
        let ternary = ternaries(seed, rank.rank(), blocks);
        ring_ternary::sum(rank, &ternary, blocks, &mut sums).expect("the ring runs");
        sums
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_ring_of_ternaries_is_the_plain_sum_on_every_rank(
        world in 1..=9_usize, blocks in 0..30_usize, seed in any::<u64>(),
    ) {
        let results = sum_of_ternaries(seed, world, blocks);
        let inputs: Vec<_> = (0..world).map(|rank| ternaries(seed, rank, blocks)).collect();
        for (rank, (sums, traffic)) in results.iter().enumerate() {
            prop_assert_eq!(sums, &results[0].0, "rank {} holds other bits than rank 0", rank);
            prop_assert_eq!(*traffic, ring_ternary::traffic(blocks, world, rank));
        }
        for element in 0..blocks * BLOCK {
            let plain: i32 = inputs.iter().map(|input| planes::get(input, TERNARY, element)).sum();
            prop_assert_eq!(planes::get(&results[0].0, width(world), element), plain);
        }
    }

    #[test]
    fn a_ring_of_floats_is_the_sum_within_rounding_and_the_same_bits_on_every_rank(
        world in 1..=9_usize, elements in 0..100_usize, seed in any::<u64>(),
    ) {
        let results = on_ranks(world, |rank| {
            let mut values = floats(seed, rank.rank(), elements);
            ring_f32::sum(rank, &mut values).expect("the ring runs");
            values
        });
        let inputs: Vec<_> = (0..world).map(|rank| floats(seed, rank, elements)).collect();
        for (rank, (sums, traffic)) in results.iter().enumerate() {
            let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|value| value.to_bits()).collect() };
            prop_assert_eq!(bits(sums), bits(&results[0].0), "rank {} holds other bits than rank 0", rank);
            prop_assert_eq!(*traffic, ring_f32::traffic(elements, world, rank));
        }
        for (element, sum) in results[0].0.iter().enumerate() {
            let terms = || inputs.iter().map(|input| f64::from(input[element]));
            let exact: f64 = terms().sum();
            // Each of the P - 1 additions rounds a partial sum, none of which exceeds the sum of magnitudes by more
            // than its own rounding, by at most 2^-24 of it.
            let magnitude: f64 = terms().map(f64::abs).sum();
            let tolerance = world as f64 * 2.0_f64.powi(-24) * magnitude;
            prop_assert!((f64::from(*sum) - exact).abs() <= tolerance, "{sum} is not {exact}");
        }
    }
}

#[test]
fn rounded_sums_of_floats_do_depend_on_their_order() {
    // So that equal bits above say something: the ring's order for chunk 0 of three ranks is 1, 2, 0.
    let inputs = [1e8_f32, 1.0, -1e8];
    let results = on_ranks(3, |rank| {
        let mut values = [inputs[rank.rank()]; 1];
        ring_f32::sum(rank, &mut values).expect("the ring runs");
        values[0]
    });
    assert_eq!((1e8_f32 + 1.0) - 1e8, 0.0);
    assert!(results.iter().all(|(sum, _)| *sum == (1.0 - 1e8) + 1e8));
}

#[test]
fn ranks_that_come_late_change_nothing() {
    let on_time = sum_of_ternaries(5, 4, 7);
    let late = on_ranks(4, |rank| {
        thread::sleep(Duration::from_millis(30 * (rank.rank() as u64 * 7 % 4)));
        let mut sums = vec![0; planes::words(7, width(4))];
        let ternary = ternaries(5, rank.rank(), 7);
        ring_ternary::sum(rank, &ternary, 7, &mut sums).expect("the ring runs");
        sums
    });
    assert_eq!(on_time, late);
}

#[test]
fn a_world_of_one_has_its_own_sum_and_no_traffic() {
    let mut solo = Metered::new(threads::solo(Duration::ZERO));
    let (ternary, mut values) = (ternaries(3, 0, 4), floats(3, 0, 99));
    let mut sums = vec![0; ternary.len()];
    ring_ternary::sum(&mut solo, &ternary, 4, &mut sums).expect("nobody to wait for");
    ring_f32::sum(&mut solo, &mut values).expect("nobody to wait for");
    assert_eq!((sums, values), (ternary, floats(3, 0, 99)));
    assert_eq!(solo.reading(), Traffic::default());
}

/// The table at the head of docs/algorithms.md.
#[test]
fn bytes_an_element_are_those_of_the_documented_table() {
    for (world, ternary, float) in [(2, 0.3125, 4.0), (4, 0.625, 6.0), (8, 0.921875, 7.0)] {
        let blocks = 16 * world;
        let elements = (blocks * BLOCK) as f64;
        let bytes = ring_ternary::traffic(blocks, world, 1).bytes_sent as f64;
        assert_eq!(bytes / elements, ternary);
        assert_eq!(ring_f32::traffic(blocks * BLOCK, world, 1).bytes_sent as f64 / elements, float);
    }
}

/// The closed forms of docs/algorithms.md, for blocks and elements that P divides.
#[test]
fn traffic_is_the_documented_formula() {
    for world in 1..=9 {
        let (p, chunk) = (world as u64, 3);
        let blocks = chunk * world;
        let scatter: u64 = (1..p).map(|k| width(k as usize) as u64).sum();
        let planes = scatter + (p - 1) * width(world) as u64;
        for rank in 0..world {
            let ternary = ring_ternary::traffic(blocks, world, rank);
            assert_eq!(ternary.bytes_sent, chunk as u64 * 64 * planes, "P = {world}");
            assert_eq!(ternary.messages_sent, 2 * (p - 1));
            let float = ring_f32::traffic(blocks * BLOCK, world, rank);
            assert_eq!(float.bytes_sent, 8 * (p - 1) * (chunk * BLOCK) as u64);
            assert_eq!((float.bytes_received, float.messages_sent), (float.bytes_sent, 2 * (p - 1)));
        }
    }
}
