//! The cost model: its predictions for invented machines, and that all ranks measure the same.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, ring_f32};
use ternflock_collectives::cost::{Costs, Link, WORDS, measure};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::threads;

use super::{DEADLINE, on};

use Algorithm::{DirectTernary, GatherTernary, HierarchicalTernary, RingTernary};

const LINK: Link = Link { latency: 50e-6, message: 2e-6, byte: 1e-10 };

/// A core that encodes and decodes as fast as it copies.
const COSTS: Costs = Costs {
    intra_node: Link { latency: 1e-6, message: 2e-7, byte: 1e-10 },
    inter_node: LINK,
    encode: 1e-9,
    decode: 5e-10,
    copy: 1e-9,
    code_planes: 2e-8,
    restore_planes: 1e-8,
    add_planes: 5e-10,
    add_floats: 5e-10,
};

fn best(costs: Costs, topology: &Topology, elements: usize) -> (Algorithm, f64) {
    let all = Algorithm::ALL.map(|algorithm| (algorithm, costs.ternary(algorithm, topology, elements)));
    all.into_iter().min_by(|a, b| a.1.total_cmp(&b.1)).expect("there are algorithms")
}

/// Ranks on nodes, node after node.
fn nodes_of(nodes: usize, ranks: usize) -> Topology {
    Topology::new((0..nodes * ranks).map(|rank| rank / ranks).collect())
}

#[test]
fn slow_links_ask_for_the_fewest_bytes() {
    let costs = Costs { inter_node: Link { byte: 1e-7, ..LINK }, ..COSTS };
    let (chosen, seconds) = best(costs, &Topology::flat(8), 1 << 22);
    assert_eq!(chosen, DirectTernary);
    // 0.765625 bytes per element instead of 7.
    let float32 = costs.float32(&Topology::flat(8), 1 << 22);
    assert!((8.5..9.2).contains(&(float32 / seconds)), "float32 is {} times as slow", float32 / seconds);
}

#[test]
fn coding_halves_the_bytes_between_nodes_and_takes_its_time() {
    let (topology, elements) = (nodes_of(4, 2), 1 << 22);
    let seconds = |costs: Costs, coding| costs.coded_ternary(RingTernary, &topology, elements, coding);
    let costs = Costs { inter_node: Link { byte: 1e-7, ..LINK }, ..COSTS };
    let [never, between, always] =
        [Coding::Never, Coding::BetweenNodes, Coding::Always].map(|coding| seconds(costs, coding));
    assert_eq!(never, costs.ternary(RingTernary, &topology, elements));
    // On slow links, all that counts is their bytes.
    assert!((0.5..0.55).contains(&(between / never)), "{between} of {never}");
    // Each rank of a ring sends to one other, which shares its node or does not: half of the bytes within a node.
    let bytes = elements as f64 * 0.921875;
    assert!(((between - always) / (0.5 * bytes * 1e-10) - 1.0).abs() < 0.01, "{between} {always}");
    // Where links are as fast as memory, only the time of the coder counts.
    assert!(seconds(COSTS, Coding::BetweenNodes) > seconds(COSTS, Coding::Never));
}

#[test]
fn where_bytes_and_messages_cost_nothing_the_fewest_steps_win() {
    let free = Link { latency: 1e-3, ..Link::default() };
    for world in [2, 5, 8, 16] {
        let (chosen, seconds) =
            best(Costs { inter_node: free, ..Costs::default() }, &Topology::flat(world), 1 << 20);
        assert_eq!((chosen, seconds), (GatherTernary, 1e-3));
    }
    let ring =
        Costs { inter_node: free, ..Costs::default() }.ternary(RingTernary, &Topology::flat(16), 1 << 20);
    assert_eq!(ring, 30.0 * 1e-3);
}

#[test]
fn a_slow_codec_on_fast_memory_asks_for_float32() {
    let costs = Costs { encode: 1e-8, decode: 1e-8, ..COSTS };
    let topology = Topology::single(2);
    assert!(costs.float32(&topology, 1 << 20) < best(costs, &topology, 1 << 20).1);
    let slow = Costs { intra_node: Link { byte: 1e-8, ..COSTS.intra_node }, ..costs };
    assert!(slow.float32(&topology, 1 << 20) > best(slow, &topology, 1 << 20).1);
}

#[test]
fn many_ranks_a_node_over_slow_links_ask_for_two_levels() {
    let costs = Costs { inter_node: Link { byte: 1e-8, ..LINK }, ..COSTS };
    assert_eq!(best(costs, &nodes_of(3, 6), 1 << 22).0, HierarchicalTernary);
}

#[test]
fn nothing_to_send_takes_no_steps() {
    for topology in [Topology::flat(5), Topology::single(3)] {
        assert_eq!(COSTS.float32(&topology, 0), 0.0);
        assert!(Algorithm::ALL.iter().all(|algorithm| COSTS.ternary(*algorithm, &topology, 0) == 0.0));
    }
    let alone = Topology::single(1);
    assert_eq!(COSTS.maximum(&alone, 9), 0.0);
    assert_eq!(COSTS.ternary(RingTernary, &alone, 1000), 1000.0 * (COSTS.encode + COSTS.decode));
}

#[test]
fn the_maximum_takes_its_rounds_where_they_go() {
    // Distance 1 stays on a node for some ranks but not for all; every round leaves it.
    let costs = Costs { intra_node: Link { latency: 1.0, ..Link::default() }, ..Costs::default() };
    let inter_node = Costs { inter_node: Link { latency: 1.0, ..Link::default() }, ..Costs::default() };
    assert_eq!((costs.maximum(&nodes_of(2, 4), 3), inter_node.maximum(&nodes_of(2, 4), 3)), (0.0, 3.0));
    assert_eq!(
        (costs.maximum(&Topology::single(5), 3), inter_node.maximum(&Topology::single(5), 3)),
        (3.0, 0.0)
    );
}

/// Steps between nodes, counted by hand.
#[test]
fn steps_are_told_apart_by_the_links_they_take() {
    let inter_node =
        |topology: &Topology| Algorithm::ALL.map(|algorithm| algorithm.inter_node_steps(topology));
    // Ring, gather, direct, halving, hierarchical.
    assert_eq!(inter_node(&Topology::single(8)), [0; 5]);
    assert_eq!(inter_node(&Topology::flat(8)), [14, 1, 2, 6, 14]);
    assert_eq!(inter_node(&nodes_of(2, 4)), [4, 1, 2, 2, 2]);
    assert_eq!(inter_node(&nodes_of(4, 2)), [8, 1, 2, 4, 6]);
    // 3 ranks on 2 nodes: the fold stays on the first, the one round leaves it.
    assert_eq!(inter_node(&Topology::new(vec![0, 0, 1])), [4, 1, 2, 2, 2]);
    assert_eq!(inter_node(&Topology::new(vec![0, 1, 1])), [4, 1, 2, 4, 2]);
    // Ranks distributed round-robin: the float32 ring, in the order of ranks, never stays on a node.
    assert_eq!(ring_f32::inter_node_steps(&Topology::new(vec![0, 1, 0, 1])), 6);
    assert_eq!(ring_f32::inter_node_steps(&nodes_of(2, 2)), 4);
    assert_eq!(ring_f32::inter_node_steps(&Topology::single(4)), 0);
}

proptest! {
    /// If any cost rises, no exchange becomes faster.
    #[test]
    fn predictions_grow_with_every_cost(
        words in prop::array::uniform(0.0..1.0_f32), nodes in 1..5_usize, ranks in 1..5_usize,
        elements in 0..100_000_usize,
    ) {
        let words: [f32; WORDS] = words;
        let topology = nodes_of(nodes, ranks);
        let all = |words: [f32; WORDS]| {
            let costs = Costs::from_words(words.map(f32::to_bits));
            let sums = Algorithm::ALL.map(|algorithm| costs.ternary(algorithm, &topology, elements));
            [costs.maximum(&topology, 7), costs.float32(&topology, elements)].into_iter().chain(sums)
        };
        for dearer in 0..WORDS {
            let mut more = words;
            more[dearer] *= 2.0;
            prop_assert!(all(words).zip(all(more)).all(|(before, after)| before <= after));
        }
    }
}

#[test]
fn a_thousand_ranks_are_predicted_at_once() {
    let start = Instant::now();
    for topology in [Topology::flat(1024), nodes_of(32, 32), nodes_of(8, 128), Topology::single(1024)] {
        let (_, seconds) = best(COSTS, &topology, 25_000_000);
        assert!(seconds < COSTS.float32(&topology, 25_000_000));
    }
    // Far more than the time that it takes, and far less than a noticeable wait for a job.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}

/// With many ranks, the prediction evaluates only some of them. Here it evaluates all or some, with the same
/// result.
#[test]
fn ranks_that_are_looked_at_stand_for_the_others() {
    // A byte costs one second, everything else nothing: the prediction is the bytes of the busiest node.
    let bytes = Link { byte: 1.0, ..Link::default() };
    let (intra_node, inter_node) =
        (Costs { intra_node: bytes, ..Costs::default() }, Costs { inter_node: bytes, ..Costs::default() });
    let topology = nodes_of(6, 16);
    let blocks = 96 * 16;
    let plan = Plan { topology: &topology, blocks, segment: usize::MAX, coding: Coding::Never };
    for algorithm in Algorithm::ALL {
        let of_node = |node: usize, is_far: bool| -> usize {
            let sends = |rank: usize| algorithm.work(plan, rank).sends.into_iter();
            let sent = topology.members(node).iter().flat_map(|rank| sends(*rank));
            sent.filter(|message| (topology.node_of(message.to) != node) == is_far).map(|m| 8 * m.words).sum()
        };
        for (costs, is_far) in [(intra_node, false), (inter_node, true)] {
            let most = (0..topology.nodes()).map(|node| of_node(node, is_far)).max().unwrap_or(0) as f64;
            let predicted = costs.ternary(algorithm, &topology, blocks * 512);
            let ratio = if most == 0.0 { 1.0 + predicted } else { predicted / most };
            assert!((0.95..1.05).contains(&ratio), "{}: {predicted} of {most}", algorithm.name());
        }
    }
}

#[test]
fn all_ranks_measure_the_same_positive_costs() {
    for nodes in [vec![0], vec![0, 0], vec![0, 1, 2], vec![0, 1, 0, 1, 1]] {
        let topology = Topology::new(nodes.clone());
        let ranks = threads::world_on(&nodes, DEADLINE);
        let measured = on(ranks, |rank| measure(rank, &topology).expect("all ranks are there"));
        let words = measured[0].to_words();
        assert!(measured.iter().all(|costs| costs.to_words() == words), "{measured:?}");
        let costs = words.map(f32::from_bits);
        let (links, codec) = costs.split_at(6);
        assert!(codec.iter().all(|cost| *cost > 0.0 && cost.is_finite()), "{measured:?}");
        let is_alone = nodes.len() == 1;
        assert!(links.iter().all(|cost| cost.is_finite() && (*cost > 0.0) != is_alone), "{measured:?}");
    }
}
