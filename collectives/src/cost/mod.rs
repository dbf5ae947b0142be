//! The predicted time of an exchange: [`measure`] finds the costs of the machine and its links, and [`Costs`] predicts the
//! time of each all-reduce from them. The formulas are in `docs/algorithms.md`, "The cost model".
//!
//! # Examples
//! On 8 nodes with links of 1 Gbit/s, which algorithm sums a million ternaries fastest?
//!
//! ```
//! use ternflock_collectives::all_reduce::Algorithm;
//! use ternflock_collectives::cost::{Costs, Link};
//! use ternflock_collectives::topology::Topology;
//!
//! let link = Link { latency: 50e-6, message: 2e-6, byte: 8e-9 };
//! let costs = Costs { intra_node: link, inter_node: link, add_planes: 2e-10, ..Costs::default() };
//! let topology = Topology::flat(8);
//! let seconds = |algorithm: &Algorithm| costs.ternary(*algorithm, &topology, 1_000_000);
//! let fastest = Algorithm::ALL.into_iter().min_by(|a, b| seconds(a).total_cmp(&seconds(b)));
//! assert_eq!(fastest, Some(Algorithm::DirectTernary));
//! ```

mod codec;
mod links;
mod predict;

pub use predict::CODED_SHARE;

use crate::topology::Topology;
use crate::{Result, Transport, control};

/// The costs of one kind of links between ranks. Times are measured with all ranks or nodes using their links
/// at once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Link {
    /// Seconds from one rank to another, for the first message.
    pub latency: f64,
    /// Seconds of a rank's time per further message that follows immediately.
    pub message: f64,
    /// Seconds per byte, counting the bytes that all ranks of a node send together.
    pub byte: f64,
}

impl Link {
    /// The bytes per second that a node can send.
    pub fn bandwidth(&self) -> f64 {
        1.0 / self.byte
    }
}

/// The costs of the ranks and of the links between them, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Within a node; equal to `inter_node` if no two ranks share a node.
    pub intra_node: Link,
    /// Between nodes; equal to `intra_node` if there is only one node.
    pub inter_node: Link,
    /// Seconds per element to compute its moments and encode it.
    pub encode: f64,
    /// Seconds per element to decode it.
    pub decode: f64,
    /// Seconds per float32 element to copy it to its payload and to copy its mean back.
    pub copy: f64,
    /// Seconds per word of planes to code it.
    pub code_planes: f64,
    /// Seconds per word of planes to decode what was coded.
    pub restore_planes: f64,
    /// Seconds per word of a sum of planes.
    pub add_planes: f64,
    /// Seconds per word of a sum of float32.
    pub add_floats: f64,
}

/// Words that hold [`Costs`].
pub const WORDS: usize = 13;

impl Costs {
    /// Costs for examples and tests, not measured: 10 GB/s within a node, and 100 Mbit/s (11.8 MB/s of payload) between nodes.
    pub const EXAMPLE: Costs = Costs {
        intra_node: Link { latency: 1e-6, message: 2e-7, byte: 1e-10 },
        inter_node: Link { latency: 120e-6, message: 2e-6, byte: 1.0 / 11.8e6 },
        encode: 1e-9,
        decode: 5e-10,
        copy: 1e-9,
        code_planes: 2e-8,
        restore_planes: 1e-8,
        add_planes: 5e-10,
        add_floats: 5e-10,
    };

    /// The costs as bits of f32. The bits have the same order as the costs, because none is negative.
    pub fn to_words(&self) -> [u32; WORDS] {
        let [intra_node, inter_node] =
            [self.intra_node, self.inter_node].map(|link| [link.latency, link.message, link.byte]);
        let [[a, b, c], [d, e, f]] = [intra_node, inter_node];
        let Costs { encode, decode, copy, code_planes, restore_planes, add_planes, add_floats, .. } = *self;
        [a, b, c, d, e, f, encode, decode, copy, code_planes, restore_planes, add_planes, add_floats]
            .map(|cost| (cost as f32).to_bits())
    }

    /// The inverse of [`Costs::to_words`], which rounds to f32.
    pub fn from_words(words: [u32; WORDS]) -> Self {
        let [a, b, c, d, e, f, encode, decode, copy, code_planes, restore_planes, add_planes, add_floats] =
            words.map(|bits| f64::from(f32::from_bits(bits)));
        let link = |latency, message, byte| Link { latency, message, byte };
        Costs {
            intra_node: link(a, b, c),
            inter_node: link(d, e, f),
            encode,
            decode,
            copy,
            code_planes,
            restore_planes,
            add_planes,
            add_floats,
        }
    }
}

/// Measures the costs of the ranks of `topology`, all of which call this together: each number is the median
/// of a few samples on its slowest rank, and the same bits on every rank. Takes about 0.1 s, and 0.3 s more
/// if a node sends at 100 Mbit/s. It takes seconds only if shifting 4 kB takes a second. The links of a world
/// with one rank cost nothing.
///
/// # Errors
/// Those of the transport.
///
/// # Panics
/// If `topology` has another world size than the transport.
pub fn measure(transport: &mut dyn Transport, topology: &Topology) -> Result<Costs> {
    assert_eq!(topology.world(), transport.world(), "ranks of the topology");
    let mut costs = codec::measure(transport)?;
    let (world, nodes) = (topology.world(), topology.nodes());
    let members = topology.members(topology.node_of(transport.rank()));
    let leaders: Vec<usize> = (0..nodes).map(|node| topology.members(node)[0]).collect();
    if nodes < world {
        let link = links::measure(transport, members)?;
        costs.intra_node = Link { byte: link.byte / members.len() as f64, ..link };
    }
    if nodes > 1 {
        costs.inter_node = links::measure(transport, &leaders)?;
    }
    let mut words = costs.to_words();
    control::max(transport, &mut words)?;
    let costs = Costs::from_words(words);
    Ok(match () {
        () if nodes == 1 => Costs { inter_node: costs.intra_node, ..costs },
        () if nodes == world => Costs { intra_node: costs.inter_node, ..costs },
        () => costs,
    })
}

/// Samples per measurement. There are few, because a slow network has to transfer them all.
const SAMPLES: usize = 5;

/// The median of [`SAMPLES`] times.
fn median(mut times: [f64; SAMPLES]) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[SAMPLES / 2]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_the_costs_in_f32_and_their_order() {
        let costs = Costs::from_words(std::array::from_fn(|index| (index as f32 * 1e-9).to_bits()));
        assert_eq!(
            (costs.intra_node.byte, costs.add_floats),
            (f64::from(2e-9_f32), f64::from(12.0 * 1e-9_f32))
        );
        assert_eq!(Costs::from_words(costs.to_words()), costs);
        assert!(costs.to_words().is_sorted());
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median([5.0, 1.0, 4.0, 2.0, 3.0]), 3.0);
    }
}
