//! The tensors that travel as float32.

use super::Options;
use crate::all_reduce::ring_f32;
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// The float32 tensors, one after another in one vector.
#[derive(Clone, Debug)]
pub(super) struct Float32 {
    /// The indices of the tensors among all.
    tensors: Vec<usize>,
    packed: Vec<f32>,
}

impl Float32 {
    /// The tensors that are not ternary, among tensors with these numbers of elements.
    pub fn new(options: &Options, elements: &[usize]) -> Self {
        let tensors: Vec<usize> =
            (0..elements.len()).filter(|index| !options.is_ternary(elements[*index])).collect();
        let packed = tensors.iter().map(|index| elements[*index]).sum();
        Float32 { tensors, packed: vec![0.0; packed] }
    }

    /// Copies the gradients to their places. Returns false if one is not finite.
    pub fn pack(&mut self, gradients: &[&mut [f32]]) -> bool {
        let all = self.tensors.iter().flat_map(|index| &*gradients[*index]);
        self.packed.iter_mut().zip(all).fold(true, |is_finite, (place, gradient)| {
            *place = *gradient;
            is_finite & gradient.is_finite()
        })
    }

    /// Sums the gradients of all ranks.
    pub fn sum(&mut self, transport: &mut dyn Transport) -> Result<()> {
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.packed)
    }

    /// The traffic of [`sum`](Float32::sum) on `rank`.
    pub fn traffic(&self, world: usize, rank: usize) -> Traffic {
        ring_f32::traffic(ring_f32::SEGMENT, self.packed.len(), world, rank)
    }

    /// Writes the means over all ranks.
    pub fn unpack(&self, world: usize, gradients: &mut [&mut [f32]]) {
        let (share, mut sums) = (1.0 / world as f32, self.packed.iter());
        for index in &self.tensors {
            gradients[*index].iter_mut().zip(&mut sums).for_each(|(mean, sum)| *mean = sum * share);
        }
    }
}
