//! Uncompressed 32-bit gradients: used for the tensors that no other method averages, and the baseline for
//! other methods.

use ternflock_collectives::all_reduce::{Algorithm, ring_f32};
use ternflock_collectives::cost::Costs;
use ternflock_collectives::{Result, Transport};
use ternflock_job as job;
use ternflock_report::Phases;
use ternflock_tensor::all_finite;

use super::{
    Bytes, Cut, Key, Method, Payload, ReductionPath, Setup, Tensor, Travelling, VirtualRanks, cut, elements,
};

/// The mean of float32 values by a ring.
#[derive(Clone, Copy, Debug)]
pub struct Float32;

impl Method for Float32 {
    fn name(&self) -> &'static str {
        "float32"
    }

    fn label(&self, _: Algorithm) -> &'static str {
        "ring_f32"
    }

    fn is_lossless(&self) -> bool {
        true
    }

    fn payload(&self, tensors: Vec<Tensor>, _: &Setup) -> Box<dyn Payload> {
        let elements = tensors.iter().map(|tensor| tensor.range.len()).sum();
        Box::new(SideBySide {
            tensors: Travelling::new(tensors),
            packed: vec![0.0; elements],
            used: elements,
            most: elements,
        })
    }

    fn takes_rows(&self) -> bool {
        true
    }

    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64 {
        costs.float32(path.topology, elements(shapes))
    }

    fn rehearse(&self, shapes: &[Vec<usize>], _: Algorithm, ranks: &VirtualRanks) -> Result<Phases> {
        let elements = elements(shapes);
        let Cut { pieces, segment, each } =
            cut(elements.div_ceil(2), ranks.topology().world(), ring_f32::SEGMENT / 2);
        let mut values = vec![0.0; 2 * pieces];
        let exchange = ranks.longest(each, ranks.costs().add_floats, |transport| {
            ring_f32::sum(transport, 2 * segment, &mut values)
        })?;
        Ok(Phases { encode: elements as f64 * ranks.costs().copy, exchange, ..Phases::default() })
    }

    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64 {
        let work = ring_f32::work(ring_f32::SEGMENT, elements(shapes), path.topology.world(), rank);
        8 * work.sends.iter().map(|message| message.words as u64).sum::<u64>()
    }

    /// P - 1 additions round partial sums, each by at most 2^-24 of the sum of magnitudes; 1/P and the product with it are
    /// rounded too.
    fn is_mean(
        &self,
        mean: &[f32],
        _: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool {
        let mut exact = vec![(0.0_f64, 0.0_f64); mean.len()];
        let mut values = Vec::new();
        for rank in 0..key.world {
            gradient(rank, &mut values);
            for ((sum, magnitude), value) in exact.iter_mut().zip(&values) {
                *sum += f64::from(*value);
                *magnitude += f64::from(value.abs());
            }
        }
        let world = key.world as f64;
        mean.iter().zip(exact).all(|(mean, (sum, magnitude))| {
            (f64::from(*mean) - sum / world).abs() <= (world + 2.0) * 2.0_f64.powi(-24) * magnitude / world
        })
    }
}

/// The elements that travel, one after another.
struct SideBySide {
    tensors: Travelling,
    /// Room for all elements.
    packed: Vec<f32>,
    /// Number of elements that travel in this step.
    used: usize,
    /// The most elements that travel in a step.
    most: usize,
}

impl Payload for SideBySide {
    fn prepare(&mut self, _: &Key, gradients: &mut [f32], _: &mut [u32]) -> bool {
        self.tensors.tensors().iter().all(|tensor| all_finite(&gradients[tensor.range.clone()]))
    }

    fn set_rows(&mut self, place: usize, rows: &[u32]) {
        self.tensors.set_rows(place, rows);
    }

    fn bound_rows(&mut self, most: usize) {
        self.most = self.tensors.most_elements(most).sum();
    }

    /// The gradients of a single rank are their mean, so nothing is packed.
    fn encode(&mut self, key: &Key, _: &[u32], gradients: &[f32]) {
        self.used = 0;
        if key.world == 1 {
            return;
        }
        for run in self.tensors.runs() {
            self.packed[self.used..self.used + run.len()].copy_from_slice(&gradients[run.clone()]);
            self.used += run.len();
        }
    }

    fn reduce(&mut self, transport: &mut dyn Transport, _: &ReductionPath, _: &[f32]) -> Result<()> {
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.packed[..self.used])
    }

    fn decode(&mut self, key: &Key, _: &[u32], gradients: &mut [f32]) {
        if key.world == 1 {
            return;
        }
        let (share, mut at) = (1.0 / key.world as f32, 0);
        for run in self.tensors.runs() {
            let sums = &self.packed[at..at + run.len()];
            at += run.len();
            gradients[run].iter_mut().zip(sums).for_each(|(mean, sum)| *mean = sum * share);
        }
    }

    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes {
        let world = path.topology.world();
        let most = ring_f32::traffic(ring_f32::SEGMENT, self.most, world, rank).bytes_sent;
        if self.tensors.is_sparse() { Bytes::AtMost(most) } else { Bytes::Exact(most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_may_be_rounded_and_no_more() {
        let gradient = |rank: usize, values: &mut Vec<f32>| {
            *values = (0..1000).map(|index| (index + 7 * rank) as f32 * 0.1 - 40.0).collect();
        };
        let key = Key { seed: 0, step: 0, rank: 0, world: 1 };
        let mut mean = Vec::new();
        gradient(0, &mut mean);
        assert!(Float32.is_mean(&mean, &job::Exchange::default(), &key, &gradient));
        mean[7] = f32::from_bits(mean[7].to_bits() + 7);
        assert!(!Float32.is_mean(&mean, &job::Exchange::default(), &key, &gradient));
    }
}
