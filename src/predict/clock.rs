//! An exchange between ranks that need not be there: the collectives themselves, on a virtual clock.

use std::collections::HashMap;

use ternflock_collectives::all_reduce::{Algorithm, Plan, SEGMENT, ring_f32};
use ternflock_collectives::control;
use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::planes::{BLOCK, TERNARY, width, words};
use ternflock_collectives::simulated::{Network, Wire, seconds};
use ternflock_collectives::topology::Topology;

use ternflock_base::error::Result;
use ternflock_bench::Contender;
use ternflock_report::Phases;
use ternflock_train::Sizes;

/// Pieces of a chunk of a payload that are played: those of a larger one are made larger, so that the messages stay as many and their
/// bytes the same.
const PIECES: f64 = 16.0;

/// What a measured link is on the clock: its times are of a shift, in which each rank sends a message and takes one.
pub fn wire(link: &Link) -> Wire {
    Wire { latency: (link.latency - link.message).max(0.0), byte: link.byte, message: link.message / 2.0 }
}

/// What buckets take between the ranks of `topology`, each kind of bucket played once.
pub struct Exchanges<'a> {
    topology: &'a Topology,
    costs: &'a Costs,
    intra_node: Wire,
    inter_node: Wire,
    known: HashMap<(Contender, Sizes), Phases>,
}

impl<'a> Exchanges<'a> {
    /// Between ranks that cost `costs`, whose nodes `inter_node` joins.
    pub fn new(topology: &'a Topology, costs: &'a Costs, inter_node: Wire) -> Exchanges<'a> {
        let members = topology.members(0).len() as f64;
        let intra_node = wire(&costs.intra_node);
        // Measured for what all ranks of a node send together; here each has its own way to its neighbour.
        let intra_node = Wire { byte: intra_node.byte * members, ..intra_node };
        Exchanges { topology, costs, intra_node, inter_node, known: HashMap::new() }
    }

    /// Seconds from a bucket's gradients to their means, by `way`.
    ///
    /// # Errors
    /// Those of the collectives: none.
    pub fn bucket(&mut self, way: Contender, sizes: Sizes) -> Result<Phases> {
        if let Some(phases) = self.known.get(&(way, sizes)) {
            return Ok(*phases);
        }
        let phases = self.play(way, sizes)?;
        self.known.insert((way, sizes), phases);
        Ok(phases)
    }

    fn play(&self, way: Contender, sizes: Sizes) -> Result<Phases> {
        let mut values = vec![0; sizes.agreed()];
        let wait = self.longest(1.0, 0.0, |transport| control::max(transport, &mut values))?;
        let ternary = match way {
            Contender::Ternary(algorithm) => self.ternary(algorithm, sizes.ternary)?,
            _ => 0.0,
        };
        let (ternaries, floats) = (sizes.ternary as f64, sizes.float as f64);
        Ok(Phases {
            encode: ternaries * self.costs.encode + floats * self.costs.copy,
            wait,
            exchange: ternary + self.float32(sizes.float)?,
            decode: ternaries * self.costs.decode,
            ..Phases::default()
        })
    }

    /// The sum of `elements` ternaries.
    fn ternary(&self, algorithm: Algorithm, elements: usize) -> Result<f64> {
        let world = self.topology.world();
        let parts = match algorithm {
            Algorithm::GatherTernary => 1,
            _ => world,
        };
        let Cut { pieces: blocks, segment, each } = cut(elements.div_ceil(BLOCK), parts, SEGMENT);
        let plan = Plan { topology: self.topology, blocks, segment };
        let payload = vec![0; words(blocks, TERNARY)];
        let mut sums = vec![0; words(blocks, width(world))];
        self.longest(each, self.costs.add_planes, |transport| {
            algorithm.sum(transport, plan, &payload, &mut sums)
        })
    }

    /// The sum of `elements` numbers in float32.
    fn float32(&self, elements: usize) -> Result<f64> {
        let Cut { pieces, segment, each } =
            cut(elements.div_ceil(2), self.topology.world(), ring_f32::SEGMENT / 2);
        let mut values = vec![0.0; 2 * pieces];
        self.longest(each, self.costs.add_floats, |transport| {
            ring_f32::sum(transport, 2 * segment, &mut values)
        })
    }

    /// The longest that `work` takes a rank, each of whose words stands for `each` and takes `add` seconds to add.
    fn longest(
        &self,
        each: f64,
        add: f64,
        work: impl FnMut(&mut dyn ternflock_collectives::Transport) -> ternflock_collectives::Result<()>,
    ) -> Result<f64> {
        let scaled = |wire: Wire| Wire { byte: wire.byte * each, ..wire };
        let network = Network {
            intra_node: scaled(self.intra_node),
            inter_node: scaled(self.inter_node),
            add: add * each,
        };
        let times = seconds(self.topology, &network, work)?;
        Ok(times.into_iter().fold(0.0, f64::max))
    }
}

/// A payload that is shorter than the real one, in as many messages.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cut {
    pieces: usize,
    segment: usize,
    /// What a piece stands for.
    each: f64,
}

/// A payload of `pieces` that is cut into `parts` chunks and sent in segments of at most `segment`.
fn cut(pieces: usize, parts: usize, segment: usize) -> Cut {
    let chunk = pieces as f64 / parts as f64;
    if chunk <= PIECES {
        return Cut { pieces, segment, each: 1.0 };
    }
    let segments = (chunk / segment as f64).ceil();
    let short = segments * (PIECES / segments).ceil();
    let each = chunk / short;
    let segment = if segments > 1.0 { short / segments } else { (segment as f64 / each).ceil() };
    Cut { pieces: parts * short as usize, segment: segment as usize, each }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COSTS: Costs = Costs {
        intra_node: Link { latency: 1e-6, message: 2e-7, byte: 1e-10 },
        inter_node: Link { latency: 120e-6, message: 2e-6, byte: 1.0 / 11.8e6 },
        encode: 1e-9,
        decode: 5e-10,
        copy: 1e-9,
        add_planes: 5e-10,
        add_floats: 5e-10,
    };

    #[test]
    fn a_short_payload_has_the_messages_of_the_long_one() {
        for (pieces, parts, segment) in
            [(100_000, 2, 1024), (4096, 4, 1024), (119_073, 64, 1024), (1 << 20, 3, 1 << 17), (1025, 1, 1024)]
        {
            let Cut { pieces: short, segment: of, each } = cut(pieces, parts, segment);
            let (chunk, short_chunk) = (pieces.div_ceil(parts), short / parts);
            assert!(short.is_multiple_of(parts) && short <= pieces, "{pieces} {parts}");
            assert_eq!(short_chunk.div_ceil(of), chunk.div_ceil(segment), "{pieces} {parts}");
            assert!((short as f64 * each / pieces as f64 - 1.0).abs() < 1e-12);
        }
        assert_eq!(cut(63, 4, 1024), Cut { pieces: 63, segment: 1024, each: 1.0 });
        assert_eq!(cut(0, 4, 1024), Cut { pieces: 0, segment: 1024, each: 1.0 });
    }

    /// A bucket on the clock takes as long as the payload that it stands for.
    #[test]
    fn short_payloads_take_as_long_as_long_ones() {
        let inter_node = wire(&COSTS.inter_node);
        for (nodes, elements) in
            [(vec![0, 1, 2, 3], 700_000), (vec![0, 0, 1, 1, 2, 2], 1_500_000), (vec![0, 1], 3_000_000)]
        {
            let topology = Topology::new(nodes);
            let exchanges = Exchanges::new(&topology, &COSTS, inter_node);
            for algorithm in Algorithm::ALL {
                let blocks = elements / BLOCK;
                let plan = Plan { topology: &topology, blocks, segment: SEGMENT };
                let payload = vec![0; words(blocks, TERNARY)];
                let mut sums = vec![0; words(blocks, width(topology.world()))];
                let whole = exchanges.longest(1.0, COSTS.add_planes, |transport| {
                    algorithm.sum(transport, plan, &payload, &mut sums)
                });
                let ratio = exchanges.ternary(algorithm, elements).unwrap() / whole.unwrap();
                assert!((ratio - 1.0).abs() < 0.05, "{algorithm:?} on {}: {ratio}", topology.world());
            }
            let mut values = vec![0.0; elements];
            let whole = exchanges.longest(1.0, COSTS.add_floats, |transport| {
                ring_f32::sum(transport, ring_f32::SEGMENT, &mut values)
            });
            let ratio = exchanges.float32(elements).unwrap() / whole.unwrap();
            assert!((ratio - 1.0).abs() < 0.05, "float32 on {}: {ratio}", topology.world());
        }
    }

    /// Alone there is nothing to send, and on a slow network the bytes are all that counts.
    #[test]
    fn a_bucket_takes_its_bytes() {
        let sizes = Sizes { tensors: 2, ternary: 1 << 20, float: 10 };
        let alone = Topology::flat(1);
        let phases = Exchanges::new(&alone, &COSTS, wire(&COSTS.inter_node))
            .bucket(Contender::Ternary(Algorithm::RingTernary), sizes)
            .unwrap();
        assert_eq!((phases.wait, phases.exchange), (0.0, 0.0));
        assert!((phases.encode - 1.048586e-3).abs() < 1e-9, "{}", phases.encode);
        let (world, inter_node) = (4, Wire { latency: 0.0, byte: 1e-6, message: 0.0 });
        let topology = Topology::flat(world);
        let mut exchanges = Exchanges::new(&topology, &COSTS, inter_node);
        let float = Sizes { tensors: 0, ternary: 0, float: 1 << 20 };
        let took = exchanges.bucket(Contender::RingF32, float).unwrap().exchange;
        let expected = 1e-6 * 4.0 * f64::from(1 << 20) * 1.5;
        assert!((took / expected - 1.0).abs() < 0.01, "{took} {expected}");
        let ternary = exchanges.bucket(Contender::Ternary(Algorithm::RingTernary), sizes).unwrap().exchange;
        // Widths 2, 3, 3, 4, 4, 4 of 32 bits, twice over for what is gathered at the last one.
        assert!(ternary / took > (2.0 + 3.0 + 3.0 + 3.0 * 4.0) / (6.0 * 32.0) * 0.99, "{ternary} {took}");
        assert!(ternary / took < 0.14, "{ternary} {took}");
    }
}
