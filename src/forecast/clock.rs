//! The exchange of ranks that need not exist: the collectives themselves, on a virtual clock.

use std::collections::HashMap;

use ternflock_collectives::all_reduce::Algorithm;
use ternflock_collectives::control;
use ternflock_collectives::cost::Costs;
use ternflock_collectives::simulated::Wire;
use ternflock_collectives::topology::Topology;

use ternflock_base::error::Result;
use ternflock_report::Phases;
use ternflock_train::agreed_words;
use ternflock_train::method::{Share, VirtualRanks};

/// The time of buckets between the ranks of a topology. Each kind of bucket is simulated once.
pub struct Exchanges<'a> {
    ranks: VirtualRanks<'a>,
    known: HashMap<(Algorithm, Vec<Share>), Phases>,
}

impl<'a> Exchanges<'a> {
    /// A clock for ranks with the costs `costs`, whose nodes are connected by `inter_node`.
    pub fn new(topology: &'a Topology, costs: &'a Costs, inter_node: Wire) -> Exchanges<'a> {
        Exchanges { ranks: VirtualRanks::new(topology, costs, inter_node), known: HashMap::new() }
    }

    /// Seconds from the gradients of a bucket of `shares` to their means, with all-reduce `algorithm`.
    ///
    /// # Errors
    /// Those of the collectives: none.
    pub fn bucket(&mut self, algorithm: Algorithm, shares: &[Share]) -> Result<Phases> {
        let key = (algorithm, shares.to_vec());
        if let Some(phases) = self.known.get(&key) {
            return Ok(*phases);
        }
        let phases = self.play(algorithm, shares)?;
        self.known.insert(key, phases);
        Ok(phases)
    }

    fn play(&self, algorithm: Algorithm, shares: &[Share]) -> Result<Phases> {
        let mut words = vec![0; agreed_words(shares)];
        let wait = self.ranks.longest(1.0, 0.0, |transport| control::max(transport, &mut words))?;
        let mut phases = Phases { wait, ..Phases::default() };
        for share in shares {
            phases += share.method.rehearse(&share.payload_shapes(), algorithm, &self.ranks)?;
        }
        Ok(phases)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_train::method::float32::Float32;
    use ternflock_train::method::terngrad::TernGrad;
    use ternflock_train::method::{Method, wire};

    /// A single rank sends nothing. On a slow network, only the bytes count.
    #[test]
    fn a_bucket_takes_its_bytes() {
        let share = |method: &'static dyn Method, elements| Share::complete(method, vec![vec![elements]]);
        let halves = Share::complete(&TernGrad, vec![vec![1 << 19]; 2]);
        let shares = [halves, share(&Float32, 10)];
        let alone = Topology::flat(1);
        let phases = Exchanges::new(&alone, &Costs::EXAMPLE, wire(&Costs::EXAMPLE.inter_node))
            .bucket(Algorithm::RingTernary, &shares)
            .unwrap();
        assert_eq!((phases.wait, phases.exchange), (0.0, 0.0));
        assert!((phases.encode - 1.048586e-3).abs() < 1e-9, "{}", phases.encode);
        let (world, inter_node) = (4, Wire { latency: 0.0, byte: 1e-6, message: 0.0 });
        let topology = Topology::flat(world);
        let mut exchanges = Exchanges::new(&topology, &Costs::EXAMPLE, inter_node);
        let float = [share(&Float32, 1 << 20)];
        let took = exchanges.bucket(Algorithm::RingTernary, &float).unwrap().exchange;
        let expected = 1e-6 * 4.0 * f64::from(1 << 20) * 1.5;
        assert!((took / expected - 1.0).abs() < 0.01, "{took} {expected}");
        let ternary = exchanges.bucket(Algorithm::RingTernary, &shares).unwrap().exchange;
        // The sums have widths of 2, 3, 3, 4, 4, 4 bits instead of 32; the gathered ones have the last width.
        assert!(ternary / took > (2.0 + 3.0 + 3.0 + 3.0 * 4.0) / (6.0 * 32.0) * 0.99, "{ternary} {took}");
        assert!(ternary / took < 0.14, "{ternary} {took}");
    }
}
