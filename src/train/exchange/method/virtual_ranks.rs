//! Ranks and links that need not exist: the real collectives run on a virtual clock.

use ternflock_collectives::cost::{Costs, Link};
use ternflock_collectives::simulated::{Network, Wire, seconds};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::{Result, Transport};

/// Maximum number of simulated pieces per chunk of a payload. For a larger chunk each piece stands for more,
/// so that the number of messages and their bytes stay the same.
const PIECES: f64 = 16.0;

/// A measured link on the clock. Its times were measured with a shift, in which each rank sends one message
/// and receives one.
pub fn wire(link: &Link) -> Wire {
    Wire { latency: (link.latency - link.message).max(0.0), byte: link.byte, message: link.message / 2.0 }
}

/// The ranks of a topology, their costs, and the links between them.
#[derive(Debug)]
pub struct VirtualRanks<'a> {
    topology: &'a Topology,
    costs: &'a Costs,
    intra_node: Wire,
    inter_node: Wire,
}

impl<'a> VirtualRanks<'a> {
    /// Ranks with the costs `costs`, whose nodes are connected by `inter_node`.
    pub fn new(topology: &'a Topology, costs: &'a Costs, inter_node: Wire) -> VirtualRanks<'a> {
        let members = topology.members(0).len() as f64;
        let intra_node = wire(&costs.intra_node);
        // Measured with all ranks of a node sending together; here each rank has its own link to its
        // neighbour.
        let intra_node = Wire { byte: intra_node.byte * members, ..intra_node };
        VirtualRanks { topology, costs, intra_node, inter_node }
    }

    /// The ranks on their nodes.
    pub fn topology(&self) -> &'a Topology {
        self.topology
    }

    /// The costs of computing on them.
    pub fn costs(&self) -> &'a Costs {
        self.costs
    }

    /// The longest time that `work` takes on any rank, where each word stands for `each` words and takes
    /// `add` seconds to add.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn longest(
        &self,
        each: f64,
        add: f64,
        work: impl FnMut(&mut dyn Transport) -> Result<()>,
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

/// A payload that is shorter than the real one but is sent in the same number of messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cut {
    /// Its pieces.
    pub pieces: usize,
    /// Pieces of a segment.
    pub segment: usize,
    /// The number of words that a piece stands for.
    pub each: f64,
}

/// A payload of `pieces` that is cut into `parts` chunks and sent in segments of at most `segment`.
pub fn cut(pieces: usize, parts: usize, segment: usize) -> Cut {
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
    use super::super::float32::Float32;
    use super::super::terngrad::TernGrad;
    use super::super::{Averaging, Method};
    use super::*;
    use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT, ring_f32};
    use ternflock_collectives::planes::{BLOCK, TERNARY, width, words};

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

    /// A simulated share takes as long as the payload that it stands for.
    #[test]
    fn short_payloads_take_as_long_as_long_ones() {
        let far = wire(&Costs::EXAMPLE.inter_node);
        for (nodes, elements) in
            [(vec![0, 1, 2, 3], 700_000), (vec![0, 0, 1, 1, 2, 2], 1_500_000), (vec![0, 1], 3_000_000)]
        {
            let (topology, shapes) = (Topology::new(nodes), [vec![elements]]);
            let ranks = VirtualRanks::new(&topology, &Costs::EXAMPLE, far);
            let took = |method: &dyn Method, algorithm| {
                method.rehearse(&shapes, algorithm, &ranks).unwrap().exchange
            };
            for algorithm in Algorithm::ALL {
                let blocks = elements / BLOCK;
                let plan = Plan { topology: &topology, blocks, segment: SEGMENT, coding: Coding::Never };
                let payload = vec![0; words(blocks, TERNARY)];
                let mut sums = vec![0; words(blocks, width(topology.world()))];
                let whole = ranks.longest(1.0, Costs::EXAMPLE.add_planes, |transport| {
                    algorithm.sum(transport, plan, &payload, &mut sums)
                });
                let ratio = took(&TernGrad, algorithm) / whole.unwrap();
                assert!((ratio - 1.0).abs() < 0.05, "{algorithm:?} on {}: {ratio}", topology.world());
            }
            let mut values = vec![0.0; elements];
            let whole = ranks.longest(1.0, Costs::EXAMPLE.add_floats, |transport| {
                ring_f32::sum(transport, ring_f32::SEGMENT, &mut values)
            });
            let ratio = took(&Float32, Averaging::DEFAULT_ALGORITHM) / whole.unwrap();
            assert!((ratio - 1.0).abs() < 0.05, "float32 on {}: {ratio}", topology.world());
        }
    }
}
