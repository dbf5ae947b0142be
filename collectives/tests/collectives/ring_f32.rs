//! Compares the float32 ring with sums in double precision.

use std::time::Duration;

use proptest::prelude::*;
use ternflock_collectives::all_reduce::ring_f32;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::{Transport, threads};

use crate::wrappers::Late;
use crate::{on, on_ranks, random};

fn floats(seed: u64, rank: usize, elements: usize) -> Vec<f32> {
    random(seed, rank).take(elements).map(|word| (word as i64 as f32) / 2.0_f32.powi(60)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_ring_of_floats_is_the_sum_within_rounding_and_the_same_bits_on_every_rank(
        world in 1..=9_usize, elements in 0..100_usize, segment in 0..20_usize, seed in any::<u64>(),
    ) {
        let results = on_ranks(world, |rank| {
            let mut values = floats(seed, rank.rank(), elements);
            ring_f32::sum(rank, segment, &mut values).expect("the ring runs");
            values
        });
        let inputs: Vec<_> = (0..world).map(|rank| floats(seed, rank, elements)).collect();
        for (rank, (sums, traffic)) in results.iter().enumerate() {
            let bits = |values: &[f32]| -> Vec<u32> { values.iter().map(|value| value.to_bits()).collect() };
            prop_assert_eq!(bits(sums), bits(&results[0].0), "rank {} holds other bits than rank 0", rank);
            prop_assert_eq!(*traffic, ring_f32::traffic(segment, elements, world, rank));
        }
        for (element, sum) in results[0].0.iter().enumerate() {
            let terms = || inputs.iter().map(|input| f64::from(input[element]));
            let exact: f64 = terms().sum();
            // Each of the P - 1 additions rounds a partial sum by at most 2^-24 of its value. No partial sum
            // exceeds the sum of magnitudes by more than its own rounding.
            let magnitude: f64 = terms().map(f64::abs).sum();
            let tolerance = world as f64 * 2.0_f64.powi(-24) * magnitude;
            prop_assert!((f64::from(*sum) - exact).abs() <= tolerance, "{sum} is not {exact}");
        }
    }
}

#[test]
fn rounded_sums_of_floats_do_depend_on_their_order() {
    // Shows that equal bits above are meaningful: the ring's order for chunk 0 of three ranks is 1, 2, 0.
    let inputs = [1e8_f32, 1.0, -1e8];
    let results = on_ranks(3, |rank| {
        let mut values = [inputs[rank.rank()]; 1];
        ring_f32::sum(rank, ring_f32::SEGMENT, &mut values).expect("the ring runs");
        values[0]
    });
    assert_eq!((1e8_f32 + 1.0) - 1e8, 0.0);
    assert!(results.iter().all(|(sum, _)| *sum == (1.0 - 1e8) + 1e8));
}

#[test]
fn bits_do_not_depend_on_segments() {
    for elements in [0, 1, 4, 99, 1000] {
        let bits = |segment| {
            let results = on_ranks(5, |rank| {
                let mut values = floats(8, rank.rank(), elements);
                ring_f32::sum(rank, segment, &mut values).expect("the ring runs");
                values.iter().map(|value| value.to_bits()).collect::<Vec<_>>()
            });
            results.into_iter().map(|(bits, _)| bits).collect::<Vec<_>>()
        };
        let whole = bits(usize::MAX);
        assert!([0, 1, 2, 7, 64, ring_f32::SEGMENT].iter().all(|segment| bits(*segment) == whole));
    }
}

#[test]
fn messages_that_come_late_change_nothing() {
    let run = |rank: &mut dyn Transport| {
        let mut values = floats(4, rank.rank(), 77);
        ring_f32::sum(rank, 6, &mut values).expect("the ring runs");
        values
    };
    let late = on(Late::world(4, 1), |rank| run(rank));
    assert!(late.into_iter().eq(on_ranks(4, |rank| run(rank)).into_iter().map(|(values, _)| values)));
}

#[test]
fn a_world_of_one_has_its_own_sum_and_no_traffic() {
    let mut solo = Metered::new(threads::solo(Duration::ZERO));
    let mut values = floats(3, 0, 99);
    ring_f32::sum(&mut solo, 10, &mut values).expect("nobody to wait for");
    assert_eq!((values, solo.reading()), (floats(3, 0, 99), Traffic::default()));
    assert_eq!(ring_f32::traffic(10, 99, 1, 0), Traffic::default());
}
