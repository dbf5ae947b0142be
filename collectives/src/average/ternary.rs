//! The tensors that travel as ternaries.

use super::{Key, Options};
use crate::all_reduce::{Plan, SEGMENT};
use crate::codec::{Layout, Moments, Rounding, decode, encode};
use crate::planes::{TERNARY, width};
use crate::topology::Topology;
use crate::transport::meter::Traffic;
use crate::{Result, Transport};

/// The ternary tensors and their buffers.
#[derive(Clone, Debug)]
pub(super) struct Ternary {
    /// The indices of the tensors among all.
    tensors: Vec<usize>,
    layout: Layout,
    /// This rank's ternaries, and the sums over all ranks at `full` planes.
    planes: Vec<u64>,
    sums: Vec<u64>,
    full: usize,
    /// By tensor: the clipping threshold of this step on this rank.
    clips: Vec<f32>,
    /// Error feedback: the residuals of the tensors, one after another; they begin at `starts`. Empty without
    /// error feedback.
    residual: Vec<f32>,
    starts: Vec<usize>,
}

impl Ternary {
    /// The ternary tensors among tensors with these numbers of elements, on `world` ranks.
    pub fn new(options: &Options, elements: &[usize], world: usize) -> Self {
        let tensors: Vec<usize> =
            (0..elements.len()).filter(|index| options.is_ternary(elements[*index])).collect();
        let layout = Layout::new(tensors.iter().map(|index| elements[*index]));
        let mut end = 0;
        let mut start = |index: &usize| {
            end += elements[*index];
            end - elements[*index]
        };
        let starts = tensors.iter().map(&mut start).collect();
        Ternary {
            planes: vec![0; layout.words(TERNARY)],
            sums: vec![0; layout.words(width(world))],
            full: width(world),
            clips: vec![0.0; tensors.len()],
            residual: vec![0.0; if options.error_feedback { end } else { 0 }],
            layout,
            tensors,
            starts,
        }
    }

    /// The number of ternary tensors, each of which has a scale.
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    pub fn residual(&self) -> &[f32] {
        &self.residual
    }

    pub fn residual_mut(&mut self) -> &mut [f32] {
        &mut self.residual
    }

    /// Adds the residual to the gradients and writes this rank's scales as bits. Returns false if a gradient
    /// is not finite.
    pub fn prepare(&mut self, clip_sigma: f32, gradients: &mut [&mut [f32]], scales: &mut [u32]) -> bool {
        let mut is_finite = true;
        for (place, index) in self.tensors.iter().enumerate() {
            let gradient = &mut *gradients[*index];
            let start = self.starts[place];
            if let Some(residual) = self.residual.get(start..start + gradient.len()) {
                gradient.iter_mut().zip(residual).for_each(|(gradient, left)| *gradient += left);
            }
            let moments = Moments::of(gradient);
            is_finite &= moments.non_finite.is_none();
            self.clips[place] = moments.clip(clip_sigma);
            // Non-negative floats have the same order as their bits.
            scales[place] = moments.scale(self.clips[place]).to_bits();
        }
        is_finite
    }

    /// Rounds the gradients with the scales of all ranks, and stores the residuals.
    pub fn encode(&mut self, key: &Key, gradients: &[&mut [f32]], scales: &[u32]) {
        let has_feedback = !self.residual.is_empty();
        for (place, index) in self.tensors.iter().enumerate() {
            let (gradient, start) = (&*gradients[*index], self.starts[place]);
            let (scale, first_word) = (f32::from_bits(scales[place]), self.layout.first_word(place));
            let stream = key.stream(*index);
            let rounding = if has_feedback { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            encode(gradient, self.clips[place], scale, rounding, first_word, &mut self.planes);
            if has_feedback {
                let residual = &mut self.residual[start..start + gradient.len()];
                decode(&self.planes, TERNARY, first_word, scale, residual);
                residual.iter_mut().zip(gradient).for_each(|(sent, value)| *sent = value - *sent);
            }
        }
    }

    /// Sums the ternaries of all ranks.
    pub fn sum(
        &mut self,
        options: &Options,
        transport: &mut dyn Transport,
        topology: &Topology,
    ) -> Result<()> {
        let plan = Plan { topology, blocks: self.layout.blocks(), segment: SEGMENT, coding: options.coding };
        options.algorithm.sum(transport, plan, &self.planes, &mut self.sums)
    }

    /// The traffic of [`sum`](Ternary::sum) on `rank`.
    pub fn traffic(&self, options: &Options, topology: &Topology, rank: usize) -> Traffic {
        let plan = Plan { topology, blocks: self.layout.blocks(), segment: SEGMENT, coding: options.coding };
        options.algorithm.traffic(plan, rank)
    }

    /// Writes the means over all ranks.
    pub fn decode(&self, world: usize, gradients: &mut [&mut [f32]], scales: &[u32]) {
        for (place, index) in self.tensors.iter().enumerate() {
            let factor = f32::from_bits(scales[place]) / world as f32;
            decode(&self.sums, self.full, self.layout.first_word(place), factor, gradients[*index]);
        }
    }
}
