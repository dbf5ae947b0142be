//! All-reduces whose messages are coded: the same sums as without, in fewer bytes, and an error for every wrong segment.

use proptest::prelude::*;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT};
use ternflock_collectives::planes::{TERNARY, WORDS, width, words};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::meter::Metered;
use ternflock_collectives::transport::watch::{Late as Report, Watched};
use ternflock_collectives::transport::{Transport, threads};
use ternflock_collectives::{Error, Result};

use crate::wrappers::{Counted, Late};
use crate::{DEADLINE, on, random};

/// Ternaries of which one in 2^`sparsity` is not 0, and none in every third run of eight blocks.
fn ternaries(seed: u64, rank: usize, blocks: usize, sparsity: u32) -> Vec<u64> {
    let mut random = random(seed, rank);
    let mut draw = || random.next().expect("there is no end");
    let mut payload = vec![0; words(blocks, TERNARY)];
    for (index, block) in payload.as_chunks_mut::<{ TERNARY * WORDS }>().0.iter_mut().enumerate() {
        for word in 0..WORDS {
            let kept = (0..sparsity).fold(u64::MAX, |kept, _| kept & draw());
            block[word] = if index / 8 % 3 == 2 { 0 } else { kept };
            block[word + WORDS] = block[word] & draw();
        }
    }
    payload
}

fn sum(transport: &mut dyn Transport, algorithm: Algorithm, plan: Plan, ternary: &[u64]) -> Result<Vec<u64>> {
    let mut sums = vec![u64::MAX; words(plan.blocks, width(transport.world()))];
    algorithm.sum(transport, plan, ternary, &mut sums)?;
    Ok(sums)
}

/// Worlds of 1, 2, 3, 4, 5 and 8 ranks, on nodes in any order.
fn topologies() -> impl Strategy<Value = Topology> {
    let world = prop::sample::select(vec![1, 2, 3, 4, 5, 8]);
    world.prop_flat_map(|world| prop::collection::vec(0..4_usize, world)).prop_map(Topology::new)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn coded_sums_are_the_uncoded_ones_with_at_most_their_bytes(
        topology in topologies(), blocks in 0..150_usize, segment in 1..70_usize, sparsity in 1..9_u32,
        coding in prop::sample::select(vec![Coding::BetweenNodes, Coding::Always]), seed in any::<u64>(),
    ) {
        let world = topology.world();
        let fixed = Plan { topology: &topology, blocks, segment, coding: Coding::Never };
        let coded = Plan { coding, ..fixed };
        for algorithm in Algorithm::ALL {
            let run = |plan: Plan| on(threads::world(world, DEADLINE), |rank| {
                let ternary = ternaries(seed, rank.rank(), blocks, sparsity);
                let mut counted = Counted::new(rank);
                let mut metered = Metered::new(&mut counted);
                let sums = sum(&mut metered, algorithm, plan, &ternary).expect("the all-reduce runs");
                let traffic = metered.reading();
                (sums, traffic, counted.balance())
            });
            let (expected, results) = (run(fixed), run(coded));
            for (rank, ((expected, exact, _), (sums, traffic, held))) in expected.iter().zip(&results).enumerate() {
                prop_assert_eq!(sums, expected, "{}, rank {}", algorithm.name(), rank);
                prop_assert_eq!(*held, 0, "{} keeps buffers", algorithm.name());
                let bound = algorithm.traffic(coded, rank);
                prop_assert_eq!(bound, *exact);
                prop_assert_eq!(traffic.messages_sent, bound.messages_sent);
                prop_assert_eq!(traffic.messages_received, bound.messages_received);
                prop_assert!(traffic.bytes_sent <= bound.bytes_sent);
                prop_assert!(traffic.bytes_received <= bound.bytes_received);
            }
        }
    }

    #[test]
    fn coded_messages_that_come_late_change_nothing(
        topology in topologies(), blocks in 0..60_usize, segment in 8..20_usize, seed in any::<u64>(),
    ) {
        let plan = Plan { topology: &topology, blocks, segment, coding: Coding::Always };
        for algorithm in Algorithm::ALL {
            let results = on(Late::world(topology.world(), seed), |rank| {
                let ternary = ternaries(seed, rank.rank(), blocks, 3);
                sum(rank, algorithm, plan, &ternary).expect("the all-reduce runs")
            });
            let fixed = Plan { coding: Coding::Never, ..plan };
            let expected = on(threads::world(topology.world(), DEADLINE), |rank| {
                let ternary = ternaries(seed, rank.rank(), blocks, 3);
                sum(rank, algorithm, fixed, &ternary).expect("the all-reduce runs")
            });
            prop_assert_eq!(results, expected, "{}", algorithm.name());
        }
    }
}

/// Bytes that rank 0 sends to sum sparse ternaries.
fn bytes_sent(topology: &Topology, algorithm: Algorithm, coding: Coding) -> u64 {
    let plan = Plan { topology, blocks: 256, segment: SEGMENT, coding };
    let sent = on(threads::world(topology.world(), DEADLINE), |rank| {
        let ternary = ternaries(1, rank.rank(), plan.blocks, 5);
        let mut metered = Metered::new(rank);
        sum(&mut metered, algorithm, plan, &ternary).expect("the all-reduce runs");
        metered.reading().bytes_sent
    });
    sent[0]
}

#[test]
fn sparse_sums_take_a_fraction_of_the_bytes_and_none_are_saved_within_a_node() {
    let (apart, together) = (Topology::flat(4), Topology::single(4));
    for algorithm in Algorithm::ALL {
        let exact = bytes_sent(&apart, algorithm, Coding::Never);
        let coded = bytes_sent(&apart, algorithm, Coding::BetweenNodes);
        assert!(4 * coded < exact, "{}: {coded} of {exact}", algorithm.name());
        assert_eq!(bytes_sent(&apart, algorithm, Coding::Always), coded, "{}", algorithm.name());
        let within = bytes_sent(&together, algorithm, Coding::BetweenNodes);
        assert_eq!(within, bytes_sent(&together, algorithm, Coding::Never), "{}", algorithm.name());
    }
}

/// The error of rank 0 when rank 1 sends `message` instead of its ternaries of 16 blocks.
fn refused(message: Vec<u64>) -> Error {
    let topology = Topology::flat(2);
    let plan = Plan { topology: &topology, blocks: 16, segment: SEGMENT, coding: Coding::BetweenNodes };
    let mut ranks = threads::world_on(&[0, 1], DEADLINE);
    let (mut peer, here) = (ranks.remove(1), ranks.remove(0));
    peer.send(0, message).expect("sends");
    let hosts = vec!["a".into(), "b".into()];
    let mut here = Watched::new(here, hosts, DEADLINE, |_: &Report| {});
    here.set_context(format_args!("step 3, gradients of conv1/weight"));
    sum(&mut here, Algorithm::GatherTernary, plan, &ternaries(1, 0, 16, 3)).expect_err("a wrong segment")
}

#[test]
fn a_wrong_segment_is_an_error_with_both_ranks_and_the_tensors() {
    let error = refused(vec![1; 100]);
    let text = "rank 0 cannot decode what rank 1 sent (step 3, gradients of conv1/weight): \
                it has no header of a coded segment of this width";
    assert_eq!(error.to_string(), text);
    for cut in [0, 1, 255] {
        assert!(matches!(refused(vec![0; cut]), Error::Undecodable { rank: 0, peer: 1, .. }), "{cut}");
    }
    let long = refused(vec![0; 257]);
    assert!(matches!(long, Error::LengthMismatch { rank: 0, peer: 1, got_words: 257, .. }), "{long}");
}
