//! Steps, bytes and additions as docs/algorithms.md states them.

use ternflock_collectives::all_reduce::{self, Algorithm, Coding, Plan, SEGMENT, ring_f32};
use ternflock_collectives::planes::{BLOCK, width};
use ternflock_collectives::topology::Topology;

use Algorithm::{DirectTernary, GatherTernary, HalvingTernary, HierarchicalTernary, RingTernary};

/// Two nodes with equal numbers of ranks.
fn two_nodes(world: usize) -> Topology {
    Topology::new((0..world).map(|rank| 2 * rank / world).collect())
}

/// The first table: steps, and bytes that a rank sends per element.
#[test]
fn steps_and_bytes_are_those_of_the_documented_table() {
    let table = [
        (RingTernary, [(2, 0.3125), (6, 0.625), (14, 0.921875)]),
        (GatherTernary, [(1, 0.25), (1, 0.75), (1, 1.75)]),
        (DirectTernary, [(2, 0.3125), (2, 0.5625), (2, 0.765625)]),
        (HalvingTernary, [(2, 0.3125), (4, 0.59375), (6, 0.828125)]),
        (HierarchicalTernary, [(2, 0.3125), (4, 0.59375), (4, 0.796875)]),
    ];
    for (world, place) in [(2, 0), (4, 1), (8, 2)] {
        let topology = two_nodes(world);
        let plan = Plan { topology: &topology, blocks: 64 * world, segment: SEGMENT, coding: Coding::Never };
        let elements = (plan.blocks * BLOCK) as f64;
        for (algorithm, columns) in table {
            let sent = algorithm.traffic(plan, 1).bytes_sent as f64;
            assert_eq!((algorithm.steps(&topology), sent / elements), columns[place], "{}", algorithm.name());
        }
    }
    for (world, steps, bytes) in [(2, 2, 4.0), (4, 6, 6.0), (8, 14, 7.0)] {
        let elements = world * 1024;
        let sent = ring_f32::traffic(ring_f32::SEGMENT, elements, world, 1).bytes_sent as f64;
        assert_eq!((ring_f32::steps(world), sent / elements as f64), (steps, bytes));
    }
}

/// The closed forms if P divides the number of blocks: bytes per block of 64 w, and messages with one segment
/// per chunk.
#[test]
fn traffic_is_the_documented_formula() {
    for world in 2..=9 {
        let (p, chunk, topology) = (world as u64, 3, Topology::flat(world));
        let blocks = chunk * world;
        let plan = Plan { topology: &topology, blocks, segment: SEGMENT, coding: Coding::Never };
        let w = |ranks: usize| 64 * width(ranks) as u64 * chunk as u64;
        let ring = (1..world).map(w).sum::<u64>() + (p - 1) * w(world);
        for rank in 0..world {
            let traffic = RingTernary.traffic(plan, rank);
            assert_eq!((traffic.messages_sent, traffic.bytes_sent), (2 * (p - 1), ring), "P = {world}");
            let traffic = DirectTernary.traffic(plan, rank);
            let direct = (p - 1) * (w(1) + w(world));
            assert_eq!((traffic.messages_sent, traffic.bytes_sent), (2 * (p - 1), direct), "P = {world}");
            let traffic = GatherTernary.traffic(plan, rank);
            assert_eq!((traffic.messages_sent, traffic.bytes_sent), (p - 1, (p - 1) * p * w(1)));
            let float = ring_f32::traffic(usize::MAX, blocks * BLOCK, world, rank);
            assert_eq!(float.bytes_sent, 8 * (p - 1) * (chunk * BLOCK) as u64);
            assert_eq!((float.bytes_received, float.messages_sent), (float.bytes_sent, 2 * (p - 1)));
        }
    }
    for rounds in 1..=4 {
        let world = 1 << rounds;
        let topology = Topology::flat(world);
        let plan = Plan { topology: &topology, blocks: world, segment: SEGMENT, coding: Coding::Never };
        // Round k = 0, 1, ... sends P / 2^(k + 1) blocks of sums over 2^k ranks.
        let halving: usize = (0..rounds).map(|k| 64 * (world >> (k + 1)) * width(1 << k)).sum();
        let doubling = 64 * (world - 1) * width(world);
        assert_eq!(HalvingTernary.traffic(plan, 0).bytes_sent, (halving + doubling) as u64);
    }
}

/// The traffic out of a node: each of its ranks sends in the ring of its own chunk, and there is no other
/// traffic between nodes.
#[test]
fn hierarchical_sums_leave_a_node_once_each_way_round_the_ring() {
    let topology = Topology::new(vec![0, 1, 2, 0, 1, 2, 0, 1]);
    let plan = Plan { topology: &topology, blocks: 60, segment: 4, coding: Coding::Never };
    let mut bytes = [0; 3];
    for rank in 0..topology.world() {
        for message in HierarchicalTernary.work(plan, rank).sends {
            if topology.node_of(message.to) != topology.node_of(rank) {
                assert_eq!(topology.node_of(message.to), (topology.node_of(rank) + 1) % 3);
                bytes[topology.node_of(rank)] += 8 * message.words;
            }
        }
    }
    // Nodes of 3, 3 and 2 ranks: sums over one node, over two, then over all 8 twice, 20 blocks each.
    let sums = |ranks: [usize; 4]| ranks.map(|ranks| 64 * 20 * width(ranks)).iter().sum::<usize>();
    assert_eq!(bytes, [sums([3, 5, 8, 8]), sums([3, 6, 8, 8]), sums([2, 5, 8, 8])]);
}

/// Every sum of `k` ranks that an algorithm builds from others costs one pass over its `w(k)` planes.
#[test]
fn additions_are_counted_in_words_of_the_sums() {
    for world in 2..=8 {
        let topology = two_nodes(world);
        let plan = Plan { topology: &topology, blocks: world, segment: SEGMENT, coding: Coding::Never };
        let block = |ranks: usize| 8 * width(ranks) as u64;
        let chain: u64 = (2..=world).map(block).sum();
        for rank in 0..world {
            assert_eq!(RingTernary.work(plan, rank).added_words, chain);
            assert_eq!(DirectTernary.work(plan, rank).added_words, chain);
            assert_eq!(GatherTernary.work(plan, rank).added_words, chain * world as u64);
        }
        // Sums over 1, 2 or 4 ranks are combined to sums over 2, 4 or 8, with half the payload in each round.
        if world.is_power_of_two() {
            let rounds = 1..=world.ilog2();
            let halving: u64 = rounds.map(|k| (world >> k) as u64 * block(1 << k)).sum();
            assert_eq!(HalvingTernary.work(plan, 0).added_words, halving);
        }
        let float = all_reduce::ring_f32::work(usize::MAX, 2 * world, world, 0);
        assert_eq!(float.added_words, world as u64 - 1);
    }
}
