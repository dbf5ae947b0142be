//! The collectives on a virtual clock: the time that they would take between ranks and on links that need not
//! exist.
//!
//! The messages and additions of a collective depend on sizes and on the rank, never on values. So each rank
//! runs the real algorithm alone on a [`Recorder`], on which every awaited message is available immediately.
//! Then [`replay`] simulates the records of all ranks on a [`Network`] with one clock. A thousand ranks need
//! the memory of one.
//!
//! # Examples
//! How long a ring of float32 would take on 64 nodes with links of 1 Gbit/s:
//!
//! ```
//! use ternflock_collectives::all_reduce::ring_f32;
//! use ternflock_collectives::simulated::{Network, Wire, seconds};
//! use ternflock_collectives::topology::Topology;
//!
//! let wire = Wire { latency: 50e-6, byte: 8e-9, message: 0.0 };
//! let network = Network { intra_node: wire, inter_node: wire, add: 0.0 };
//! let mut values = vec![0.0; 64_000];
//! let times = seconds(&Topology::flat(64), &network, |transport| {
//!     ring_f32::sum(transport, ring_f32::SEGMENT, &mut values)
//! })?;
//! // 126 hops of the latency and the bytes of 1000 elements.
//! assert!((times[0] - 126.0 * (50e-6 + 4000.0 * 8e-9)).abs() < 1e-9);
//! # Ok::<(), ternflock_collectives::Error>(())
//! ```

mod network;
mod record;
mod replay;

pub use network::{Network, Wire};
pub use record::{Event, Recorder};
pub use replay::replay;

use crate::topology::Topology;
use crate::{Result, Transport};

/// Seconds after which each rank of `topology` has finished `work`, if all start together on `network`.
///
/// # Errors
/// Those of `work`; [`Error::PeerGone`](crate::Error::PeerGone) if it awaits a message that no rank sends.
pub fn seconds(
    topology: &Topology,
    network: &Network,
    mut work: impl FnMut(&mut dyn Transport) -> Result<()>,
) -> Result<Vec<f64>> {
    let mut recorder = Recorder::new(topology);
    let mut records = Vec::with_capacity(topology.world());
    for rank in 0..topology.world() {
        recorder.begin(rank);
        work(&mut recorder)?;
        records.push(recorder.finish());
    }
    replay(topology, network, &records)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::all_reduce::{Algorithm, Coding, Plan, SEGMENT, ring_f32};
    use crate::control;
    use crate::planes::{TERNARY, width, words};
    use crate::transport::Lane;

    const WIRE: Wire = Wire { latency: 1e-4, byte: 8e-9, message: 0.0 };

    fn network() -> Network {
        Network { intra_node: Wire { latency: 0.0, byte: 0.0, message: 0.0 }, inter_node: WIRE, add: 0.0 }
    }

    fn apart(world: usize) -> Topology {
        Topology::new((0..world).collect())
    }

    fn longest(times: Vec<f64>) -> f64 {
        times.into_iter().fold(0.0, f64::max)
    }

    fn ternary(algorithm: Algorithm, topology: &Topology, blocks: usize, network: &Network) -> f64 {
        let plan = Plan { topology, blocks, segment: SEGMENT, coding: Coding::Never };
        let payload = vec![0; words(blocks, TERNARY)];
        let mut sums = vec![0; words(blocks, width(topology.world()))];
        let work = |transport: &mut dyn Transport| algorithm.sum(transport, plan, &payload, &mut sums);
        longest(seconds(topology, network, work).unwrap())
    }

    /// On equal links, the ring waits only for its own hops: each of the 2 (P - 1) takes the latency and the
    /// time of its bytes.
    #[test]
    fn a_ring_takes_its_hops() {
        for world in [2, 3, 4, 8] {
            let elements = 2 * 1024 * world;
            let mut values = vec![0.0; elements];
            let work =
                |transport: &mut dyn Transport| ring_f32::sum(transport, ring_f32::SEGMENT, &mut values);
            let took = longest(seconds(&apart(world), &network(), work).unwrap());
            let hop = WIRE.latency + WIRE.byte * 4.0 * (elements / world) as f64;
            let expected = 2.0 * (world - 1) as f64 * hop;
            assert!((took / expected - 1.0).abs() < 1e-9, "P = {world}: {took}, {expected}");
        }
    }

    /// Additions are between hops.
    #[test]
    fn additions_take_their_time() {
        let (world, elements) = (4, 4096);
        let mut values = vec![0.0; elements];
        let mut run = |add| {
            let network = Network { add, ..network() };
            let work =
                |transport: &mut dyn Transport| ring_f32::sum(transport, ring_f32::SEGMENT, &mut values);
            longest(seconds(&apart(world), &network, work).unwrap())
        };
        // P - 1 additions of a chunk, with two elements per word.
        let expected = 3.0 * 1e-6 * (elements / world / 2) as f64;
        assert!((run(1e-6) - run(0.0) - expected).abs() < 1e-9);
    }

    /// The record matches the formula for every algorithm, on several nodes and with several segments.
    #[test]
    fn records_hold_the_bytes_of_the_formulas() {
        for nodes in [vec![0], vec![0, 1], vec![0, 0, 1], vec![0, 1, 2, 3, 4], vec![0, 0, 0, 1, 1, 1, 2, 2]] {
            let topology = Topology::new(nodes);
            for algorithm in Algorithm::ALL {
                for (blocks, segment) in [(0, SEGMENT), (7, 512), (64, 1024), (100, SEGMENT)] {
                    let plan = Plan { topology: &topology, blocks, segment, coding: Coding::Never };
                    let payload = vec![0; words(blocks, TERNARY)];
                    let mut sums = vec![0; words(blocks, width(topology.world()))];
                    let mut recorder = Recorder::new(&topology);
                    for rank in 0..topology.world() {
                        recorder.begin(rank);
                        algorithm.sum(&mut recorder, plan, &payload, &mut sums).unwrap();
                        let record = recorder.finish();
                        let sent = record.iter().map(|event| match event {
                            Event::Send { words, .. } => 8 * *words as u64,
                            _ => 0,
                        });
                        let added = record.iter().map(|event| match event {
                            Event::Add { words } => *words as u64,
                            _ => 0,
                        });
                        let work = algorithm.work(plan, rank);
                        assert_eq!(
                            sent.sum::<u64>(),
                            algorithm.traffic(plan, rank).bytes_sent,
                            "{algorithm:?}"
                        );
                        assert_eq!(added.sum::<u64>(), work.added_words, "{algorithm:?} {blocks}");
                    }
                }
            }
        }
    }

    /// Two messages for one rank share its link, two from different ranks to different ones do not.
    #[test]
    fn links_are_shared_by_what_passes_them() {
        let words = 1000;
        let message = WIRE.byte * 8.0 * words as f64;
        let run = |pairs: &'static [(usize, usize)]| {
            let work = move |transport: &mut dyn Transport| {
                let rank = transport.rank();
                for &(from, to) in pairs {
                    if rank == from {
                        let message = transport.buffer(words);
                        transport.send(to, message)?;
                    }
                }
                for &(from, _) in pairs.iter().filter(|(_, to)| *to == rank) {
                    let message = transport.recv(from, words)?;
                    transport.recycle(message);
                }
                transport.flush()
            };
            longest(seconds(&apart(4), &network(), work).unwrap())
        };
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(close(run(&[(0, 1)]), WIRE.latency + message));
        assert!(close(run(&[(0, 1), (2, 3)]), WIRE.latency + message));
        assert!(close(run(&[(0, 1), (2, 1)]), WIRE.latency + 2.0 * message));
        assert!(close(run(&[(0, 1), (0, 2)]), WIRE.latency + 2.0 * message));
    }

    /// Chunks of slightly different lengths arrive in another order. A message must not wait for later ones.
    #[test]
    fn a_block_more_changes_little() {
        for algorithm in Algorithm::ALL {
            for world in [3, 4, 5, 8] {
                let took = |blocks| ternary(algorithm, &apart(world), blocks, &network());
                let ratio = took(340 * world + 1) / took(340 * world);
                assert!((0.99..1.01).contains(&ratio), "{algorithm:?} on {world}: {ratio}");
            }
        }
    }

    #[test]
    fn ranks_of_a_node_have_one_link() {
        let bytes =
            |nodes: Vec<usize>| ternary(Algorithm::RingTernary, &Topology::new(nodes), 4096, &network());
        // A ring that passes node after node leaves each node once. So two ranks per node cost the wire as
        // much as one, except for widths.
        let (one, two) = (bytes(vec![0, 1]), bytes(vec![0, 0, 1, 1]));
        assert!(two > one && two < 2.0 * one, "{one} {two}");
    }

    #[test]
    fn a_small_maximum_takes_its_doublings() {
        let work = |transport: &mut dyn Transport| control::max(transport, &mut [1, 2]);
        let took = longest(seconds(&apart(8), &network(), work).unwrap());
        assert!((took - 3.0 * (WIRE.latency + 8.0 * WIRE.byte)).abs() < 1e-9, "{took}");
    }

    #[test]
    fn a_message_that_nobody_sends_is_an_error() {
        let work = |transport: &mut dyn Transport| match transport.rank() {
            0 => transport.recv_on(Lane::Bulk, 1, 3).map(|_| ()),
            _ => Ok(()),
        };
        let error = seconds(&apart(2), &network(), work).unwrap_err();
        assert!(matches!(error, crate::Error::PeerGone { rank: 0, peer: 1 }), "{error}");
    }

    /// A thousand ranks are simulated quickly, and more nodes never make a ring with few bytes faster.
    #[test]
    fn many_ranks_are_no_trouble() {
        let times: Vec<f64> = [64, 256, 1024]
            .map(|world| ternary(Algorithm::RingTernary, &apart(world), 4096, &network()))
            .into();
        assert!(times.is_sorted(), "{times:?}");
    }
}
