//! Gradients that travel together: the last layers', then those before them.

use std::ops::Range;

use ternflock_collectives::all_reduce::{Plan, SEGMENT, ring_f32};
use ternflock_collectives::codec::{Layout, Moments, Rounding, decode, encode};
use ternflock_collectives::planes::{TERNARY, width};
use ternflock_collectives::{Result, Transport, control};

use super::{Agreed, Key, Local, Way};

/// A tensor of a bucket.
pub struct Tensor {
    /// Its number in the network's table: part of the key of its random numbers.
    pub number: u16,
    /// Its place among the bucket's gradients.
    pub range: Range<usize>,
    /// Whether it travels as float32.
    pub is_float: bool,
}

/// A bucket's tensors and buffers.
pub struct Bucket {
    /// Its tensors, as messages name them.
    name: String,
    ternary: Vec<Tensor>,
    float: Vec<Tensor>,
    layout: Layout,
    /// This rank's ternaries, and the sums over ranks.
    planes: Vec<u64>,
    sums: Vec<u64>,
    /// The float32 tensors side by side.
    packed: Vec<f32>,
    /// By ternary tensor: this step's clipping threshold on this rank.
    clips: Vec<f32>,
    /// What the maximum carries: a scale a ternary tensor, then [`STOP`] and [`NON_FINITE`].
    words: Vec<u32>,
    /// Error feedback: what rounding has left of the ternary tensors' gradients so far, laid out as the gradients.
    /// Empty without it.
    residual: Vec<f32>,
}

/// Places of the two decisions, counted from the end of the words.
const STOP: usize = 2;
const NON_FINITE: usize = 1;

impl Bucket {
    /// A bucket of `tensors`, which lie side by side, for `world` ranks.
    pub fn new(name: String, tensors: Vec<Tensor>, error_feedback: bool, world: usize) -> Bucket {
        let residual = Self::residual_elements(error_feedback, &tensors);
        let (float, ternary): (Vec<_>, Vec<_>) = tensors.into_iter().partition(|tensor| tensor.is_float);
        let layout = Layout::new(ternary.iter().map(|tensor| tensor.range.len()));
        let packed = float.iter().map(|tensor| tensor.range.len()).sum();
        Bucket {
            name,
            planes: vec![0; layout.words(TERNARY)],
            sums: vec![0; layout.words(width(world))],
            layout,
            packed: vec![0.0; packed],
            clips: vec![0.0; ternary.len()],
            words: vec![0; ternary.len() + STOP],
            residual: vec![0.0; residual],
            ternary,
            float,
        }
    }

    /// Numbers that error feedback keeps of a bucket of `tensors`: of all of them if any is ternary.
    pub fn residual_elements(error_feedback: bool, tensors: &[Tensor]) -> usize {
        let keeps = error_feedback && tensors.iter().any(|tensor| !tensor.is_float);
        tensors.last().filter(|_| keeps).map_or(0, |last| last.range.end)
    }

    /// Its tensors, as messages name them.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Elements that travel as ternaries.
    pub fn ternary_elements(&self) -> usize {
        self.ternary.iter().map(|tensor| tensor.range.len()).sum()
    }

    /// Tensors that travel as ternaries.
    pub fn ternary_tensors(&self) -> usize {
        self.ternary.len()
    }

    /// Elements that travel as float32.
    pub fn float_elements(&self) -> usize {
        self.packed.len()
    }

    /// Values that are agreed on beside the scales.
    pub const DECISIONS: usize = STOP;

    /// The number of each ternary tensor and what error feedback keeps of it; nothing without error feedback.
    pub fn residuals(&self) -> impl Iterator<Item = (usize, &[f32])> {
        let residual =
            |tensor: &Tensor| Some((usize::from(tensor.number), self.residual.get(tensor.range.clone())?));
        self.ternary.iter().filter_map(residual)
    }

    /// As [`Bucket::residuals`], of tensor `number`.
    pub fn residual_mut(&mut self, number: usize) -> Option<&mut [f32]> {
        let tensor = self.ternary.iter().find(|tensor| usize::from(tensor.number) == number)?;
        self.residual.get_mut(tensor.range.clone())
    }

    /// What is to be agreed before anything is rounded.
    pub fn words(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// This rank's scales and decisions, in `words`, and its clipping thresholds. With error feedback the gradients
    /// become what is to be sent: themselves and what the last steps have left.
    pub fn prepare(&mut self, key: &Key, local: Local, gradients: &mut [f32]) {
        let mut finite = !local.non_finite;
        for ((tensor, clip), word) in self.ternary.iter().zip(&mut self.clips).zip(&mut self.words) {
            let gradients = &mut gradients[tensor.range.clone()];
            if let Some(residual) = self.residual.get(tensor.range.clone()) {
                gradients.iter_mut().zip(residual).for_each(|(gradient, left)| *gradient += left);
            }
            let moments = Moments::of(gradients);
            finite &= moments.non_finite.is_none();
            *clip = moments.clip(key.clip_sigma);
            // Magnitudes are ordered as their bits are.
            *word = moments.scale(*clip).to_bits();
        }
        finite &=
            self.float.iter().all(|tensor| gradients[tensor.range.clone()].iter().all(|g| g.is_finite()));
        let end = self.words.len();
        self.words[end - STOP] = u32::from(local.stop);
        // The maximum of these is that of the lowest rank.
        self.words[end - NON_FINITE] = if finite { 0 } else { (key.world - key.rank) as u32 };
    }

    /// What the ranks have decided, once the maximum is here.
    pub fn agreed(&self, world: usize) -> Agreed {
        let end = self.words.len();
        let non_finite = world - self.words[end - NON_FINITE] as usize;
        Agreed { stop: self.words[end - STOP] != 0, non_finite: (non_finite < world).then_some(non_finite) }
    }

    /// Rounds the ternary tensors with the agreed scales, and sets the float32 ones side by side.
    pub fn encode(&mut self, key: &Key, gradients: &[f32]) {
        for (index, tensor) in self.ternary.iter().enumerate() {
            let stream = key.stream(tensor.number);
            let feedback = self.residual.get_mut(tensor.range.clone());
            let rounding = if feedback.is_some() { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            let values = &gradients[tensor.range.clone()];
            let scale = f32::from_bits(self.words[index]);
            let first = self.layout.first_word(index);
            encode(values, self.clips[index], scale, rounding, first, &mut self.planes);
            if let Some(residual) = feedback {
                decode(&self.planes, TERNARY, first, scale, residual);
                residual.iter_mut().zip(values).for_each(|(sent, value)| *sent = value - *sent);
            }
        }
        let mut at = 0;
        for tensor in &self.float {
            self.packed[at..at + tensor.range.len()].copy_from_slice(&gradients[tensor.range.clone()]);
            at += tensor.range.len();
        }
    }

    /// Sums what was encoded over all ranks.
    pub fn sum(&mut self, transport: &mut dyn Transport, way: &Way) -> Result<()> {
        let plan = self.plan(way);
        way.algorithm.sum(transport, plan, &self.planes, &mut self.sums)?;
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.packed)
    }

    /// Bytes that `rank` sends for the bucket.
    pub fn formula_bytes(&self, way: &Way, rank: usize) -> u64 {
        let world = way.topology.world();
        control::max_traffic(self.words.len(), world).bytes_sent
            + way.algorithm.traffic(self.plan(way), rank).bytes_sent
            + ring_f32::traffic(ring_f32::SEGMENT, self.packed.len(), world, rank).bytes_sent
    }

    /// How the ternary payload is summed.
    fn plan<'a>(&self, way: &'a Way) -> Plan<'a> {
        Plan { topology: &way.topology, blocks: self.layout.blocks(), segment: SEGMENT }
    }

    /// The means over the ranks, from the sums.
    pub fn decode(&self, world: usize, gradients: &mut [f32]) {
        for (index, tensor) in self.ternary.iter().enumerate() {
            let factor = f32::from_bits(self.words[index]) / world as f32;
            let values = &mut gradients[tensor.range.clone()];
            decode(&self.sums, width(world), self.layout.first_word(index), factor, values);
        }
        let (share, mut at) = (1.0 / world as f32, 0);
        for tensor in &self.float {
            let sums = &self.packed[at..at + tensor.range.len()];
            gradients[tensor.range.clone()].iter_mut().zip(sums).for_each(|(mean, sum)| *mean = sum * share);
            at += tensor.range.len();
        }
    }
}
