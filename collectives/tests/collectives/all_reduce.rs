//! Compares every all-reduce of ternaries with sums computed without communication.

use std::thread;
use std::time::Duration;

use proptest::prelude::*;
use ternflock_collectives::Transport;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT};
use ternflock_collectives::planes::{self, BLOCK, TERNARY, width, words};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::threads;

use crate::wrappers::{Counted, Late};
use crate::{DEADLINE, on, on_ranks, ternaries};

/// The sums on `rank` of ternaries drawn from `seed`.
fn sum(transport: &mut dyn Transport, algorithm: Algorithm, plan: Plan, seed: u64) -> Vec<u64> {
    let mut sums = vec![u64::MAX; words(plan.blocks, width(transport.world()))];
    let ternary = ternaries(seed, transport.rank(), plan.blocks);
    algorithm.sum(transport, plan, &ternary, &mut sums).expect("the all-reduce runs");
    sums
}

/// The sum of every element, one at a time.
fn plain(seed: u64, world: usize, blocks: usize) -> Vec<i32> {
    let inputs: Vec<_> = (0..world).map(|rank| ternaries(seed, rank, blocks)).collect();
    let sum = |element| inputs.iter().map(|input| planes::get(input, TERNARY, element)).sum();
    (0..blocks * BLOCK).map(sum).collect()
}

fn integers(sums: &[u64], world: usize, blocks: usize) -> Vec<i32> {
    (0..blocks * BLOCK).map(|element| planes::get(sums, width(world), element)).collect()
}

/// Worlds of up to nine ranks on nodes in any order.
fn topologies() -> impl Strategy<Value = Topology> {
    prop::collection::vec(0..4_usize, 1..=9).prop_map(Topology::new)
}

fn segment_lengths() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1..6_usize, 1 => Just(SEGMENT), 1 => Just(0), 1 => Just(usize::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_algorithm_is_the_plain_sum_on_every_rank_with_the_traffic_it_predicts(
        topology in topologies(), blocks in 0..30_usize, segment in segment_lengths(), seed in any::<u64>(),
    ) {
        let world = topology.world();
        let plan = Plan { topology: &topology, blocks, segment, coding: Coding::Never };
        let expected = plain(seed, world, blocks);
        for algorithm in Algorithm::ALL {
            let results = on_ranks(world, |rank| sum(rank, algorithm, plan, seed));
            prop_assert_eq!(&integers(&results[0].0, world, blocks), &expected, "{}", algorithm.name());
            for (rank, (sums, traffic)) in results.iter().enumerate() {
                prop_assert_eq!(sums, &results[0].0, "{}: rank {} holds other bits", algorithm.name(), rank);
                prop_assert_eq!(*traffic, algorithm.traffic(plan, rank), "{}", algorithm.name());
            }
        }
    }

    #[test]
    fn messages_that_come_late_and_in_another_order_across_pairs_change_nothing(
        topology in topologies(), blocks in 0..12_usize, segment in 1..4_usize, seed in any::<u64>(),
    ) {
        let world = topology.world();
        let plan = Plan { topology: &topology, blocks, segment, coding: Coding::Never };
        let expected = plain(seed, world, blocks);
        for algorithm in Algorithm::ALL {
            let results = on(Late::world(world, seed), |rank| sum(rank, algorithm, plan, seed));
            for sums in results {
                prop_assert_eq!(&integers(&sums, world, blocks), &expected, "{}", algorithm.name());
            }
        }
    }
}

#[test]
fn ranks_that_come_late_change_nothing() {
    let topology = Topology::new(vec![0, 1, 0, 1, 1]);
    let plan = Plan { topology: &topology, blocks: 11, segment: 2, coding: Coding::Never };
    for algorithm in Algorithm::ALL {
        let on_time = on_ranks(5, |rank| sum(rank, algorithm, plan, 5));
        let late = on_ranks(5, |rank| {
            thread::sleep(Duration::from_millis(20 * (rank.rank() as u64 * 7 % 5)));
            sum(rank, algorithm, plan, 5)
        });
        assert_eq!(on_time, late, "{}", algorithm.name());
    }
}

#[test]
fn all_reduces_follow_each_other_without_a_pause() {
    let topology = Topology::new(vec![0, 0, 1, 1, 1]);
    let results = on_ranks(5, |rank| {
        let round = |seed| {
            Algorithm::ALL.map(|algorithm| {
                let plan = Plan {
                    topology: &topology,
                    blocks: 3 + seed as usize,
                    segment: 1,
                    coding: Coding::Never,
                };
                sum(rank, algorithm, plan, seed)
            })
        };
        (0..6).map(round).collect::<Vec<_>>()
    });
    for (rounds, _) in results {
        for (seed, sums) in rounds.into_iter().enumerate() {
            let expected = plain(seed as u64, 5, 3 + seed);
            assert!(sums.iter().all(|sums| integers(sums, 5, 3 + seed) == expected));
        }
    }
}

#[test]
fn a_world_of_one_has_its_own_sum_and_no_traffic() {
    let topology = Topology::single(1);
    let plan = Plan { topology: &topology, blocks: 4, segment: 1, coding: Coding::Never };
    for algorithm in Algorithm::ALL {
        let mut solo = Metered::new(threads::solo(Duration::ZERO));
        assert_eq!(sum(&mut solo, algorithm, plan, 3), ternaries(3, 0, 4));
        assert_eq!(solo.reading(), Traffic::default());
        assert_eq!((algorithm.traffic(plan, 0), algorithm.steps(&topology)), (Traffic::default(), 0));
    }
}

#[test]
fn no_rank_keeps_a_buffer() {
    let topology = Topology::new(vec![0, 0, 1]);
    let plan = Plan { topology: &topology, blocks: 30, segment: 4, coding: Coding::Never };
    for algorithm in Algorithm::ALL {
        let results = on(threads::world(3, DEADLINE), |rank| {
            let mut counted = Counted::new(rank);
            sum(&mut counted, algorithm, plan, 1);
            counted.balance()
        });
        assert_eq!(results, [0; 3], "{}", algorithm.name());
    }
}

#[test]
fn names_are_read_as_they_are_written() {
    for algorithm in Algorithm::ALL {
        assert_eq!(Algorithm::from_name(algorithm.name()), Some(algorithm));
    }
    assert_eq!(Algorithm::from_name("ring"), None);
}
