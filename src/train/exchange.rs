//! Averaging gradients over ranks: TernGrad, with float32 beside it for the tensors that keep it.
//!
//! All decisions that must be equal on every rank travel in the step's one maximum: the scales of the ternary tensors,
//! whether somebody wants to stop, and whether somebody's loss or gradients are no longer finite.

use std::ops::Range;
use std::time::Instant;

use ternflock_collectives::all_reduce::{ring_f32, ring_ternary};
use ternflock_collectives::codec::{Layout, Moments, decode, encode};
use ternflock_collectives::planes::{TERNARY, width};
use ternflock_collectives::small;

use super::world::{World, failed};
use crate::error::{Error, Result};
use crate::job::{self, suggest};
use crate::nn::{Graph, Parameters};
use crate::report::Phases;
use crate::rng::{Purpose, Stream};

/// What one rank brings to a step beside its gradients.
#[derive(Clone, Copy, Debug, Default)]
pub struct Local {
    /// It wants to stop after this step.
    pub stop: bool,
    /// Its loss is NaN or infinite.
    pub non_finite: bool,
}

/// What all ranks know after a step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreed {
    /// Some rank wants to stop.
    pub stop: bool,
    /// The lowest rank whose loss or gradients are not finite. The gradients were then not averaged.
    pub non_finite: Option<usize>,
}

/// The wall between training and ranks: "average these gradients".
pub trait AverageGradients {
    /// Replaces `gradients`, laid out as the network's parameters, by their mean over all ranks: the same bits on each.
    /// Adds the time it took to `phases`.
    fn average(
        &mut self,
        world: &mut World,
        step: u64,
        gradients: &mut [f32],
        local: Local,
        phases: &mut Phases,
    ) -> Result<Agreed>;

    /// Bytes that a rank of `world` sends for one step, by the formulas of docs/algorithms.md.
    fn formula_bytes(&self, rank: usize, world: usize) -> u64;
}

/// Bytes that a rank of `world` would send to average `parameters` gradients in float32.
pub fn float32_bytes(parameters: usize, rank: usize, world: usize) -> u64 {
    ring_f32::traffic(parameters, world, rank).bytes_sent
}

/// The exchange of a job: which tensors travel as ternaries, which as float32, and the buffers of both.
pub struct Exchange {
    seed: u64,
    /// c: gradients are clipped at c standard deviations; 0 is off.
    clip_sigma: f32,
    ternary: Vec<Tensor>,
    float: Vec<Range<usize>>,
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
}

/// A tensor that travels as ternaries.
struct Tensor {
    /// Its number in the network's table: part of the key of its random numbers.
    number: u16,
    range: Range<usize>,
}

/// Places of the two decisions, counted from the end of the words.
const STOP: usize = 2;
const NON_FINITE: usize = 1;

/// The word in `exchange.keep_float` that stands for the network's output layer.
const LOGITS: &str = "logits";

impl Exchange {
    /// The exchange that `job` asks for, between `world` ranks.
    pub fn new(
        job: &job::Exchange,
        seed: u64,
        graph: &Graph,
        parameters: &Parameters,
        world: usize,
    ) -> Result<Exchange> {
        let kept = kept_layers(&job.keep_float, graph)?;
        let (mut ternary, mut float) = (Vec::new(), Vec::new());
        for (number, parameter) in parameters.table.iter().enumerate() {
            let keeps = job.gradients == job::Gradients::Float32
                || parameter.range.len() < job.min_elements
                || kept.contains(&parameter.layer);
            let range = parameter.range.clone();
            match keeps {
                true => float.push(range),
                false => ternary.push(Tensor { number: number as u16, range }),
            }
        }
        let layout = Layout::new(ternary.iter().map(|tensor| tensor.range.len()));
        let packed = float.iter().map(|range| range.len()).sum();
        Ok(Exchange {
            seed,
            clip_sigma: job.clip_sigma as f32,
            planes: vec![0; layout.words(TERNARY)],
            sums: vec![0; layout.words(width(world))],
            layout,
            packed: vec![0.0; packed],
            clips: vec![0.0; ternary.len()],
            words: vec![0; ternary.len() + STOP],
            ternary,
            float,
        })
    }

    /// Parameters that travel as ternaries.
    pub fn ternary_parameters(&self) -> usize {
        self.ternary.iter().map(|tensor| tensor.range.len()).sum()
    }

    /// This rank's scales and decisions, in `words`; its clipping thresholds, in `clips`.
    fn prepare(&mut self, rank: usize, world: usize, gradients: &[f32], local: Local) {
        let mut finite = !local.non_finite;
        for ((tensor, clip), word) in self.ternary.iter().zip(&mut self.clips).zip(&mut self.words) {
            let moments = Moments::of(&gradients[tensor.range.clone()]);
            finite &= moments.non_finite.is_none();
            *clip = moments.clip(self.clip_sigma);
            // Magnitudes are ordered as their bits are.
            *word = moments.scale(*clip).to_bits();
        }
        finite &= self.float.iter().all(|range| gradients[range.clone()].iter().all(|g| g.is_finite()));
        let end = self.words.len();
        self.words[end - STOP] = u32::from(local.stop);
        // The maximum of these is that of the lowest rank.
        self.words[end - NON_FINITE] = if finite { 0 } else { (world - rank) as u32 };
    }

    fn agreed(&self, world: usize) -> Agreed {
        let end = self.words.len();
        let non_finite = world - self.words[end - NON_FINITE] as usize;
        Agreed { stop: self.words[end - STOP] != 0, non_finite: (non_finite < world).then_some(non_finite) }
    }

    fn encode(&mut self, step: u64, rank: usize, gradients: &[f32]) {
        for (index, tensor) in self.ternary.iter().enumerate() {
            let stream = Stream {
                seed: self.seed,
                purpose: Purpose::Ternary,
                step,
                subject: rank as u32,
                tensor: tensor.number,
            };
            let values = &gradients[tensor.range.clone()];
            let scale = f32::from_bits(self.words[index]);
            let first = self.layout.first_word(index);
            encode(values, self.clips[index], scale, &stream, first, &mut self.planes);
        }
    }

    fn decode(&mut self, world: usize, gradients: &mut [f32]) {
        for (index, tensor) in self.ternary.iter().enumerate() {
            let factor = f32::from_bits(self.words[index]) / world as f32;
            let values = &mut gradients[tensor.range.clone()];
            decode(&self.sums, width(world), self.layout.first_word(index), factor, values);
        }
    }

    /// Copies the float32 tensors of `gradients` side by side into `packed`.
    fn pack(&mut self, gradients: &[f32]) {
        let mut at = 0;
        for range in &self.float {
            self.packed[at..at + range.len()].copy_from_slice(&gradients[range.clone()]);
            at += range.len();
        }
    }

    /// Writes the means of the float32 tensors from their sums in `packed`.
    fn unpack(&self, world: usize, gradients: &mut [f32]) {
        let share = 1.0 / world as f32;
        let mut at = 0;
        for range in &self.float {
            let sums = &self.packed[at..at + range.len()];
            gradients[range.clone()].iter_mut().zip(sums).for_each(|(mean, sum)| *mean = sum * share);
            at += range.len();
        }
    }
}

impl AverageGradients for Exchange {
    fn average(
        &mut self,
        world: &mut World,
        step: u64,
        gradients: &mut [f32],
        local: Local,
        phases: &mut Phases,
    ) -> Result<Agreed> {
        let (rank, size) = (world.rank(), world.size());
        let at_step = |failure| Error::Exchange(format!("step {step}: {}", failed(failure)));
        let mut clock = Instant::now();
        let mut lap = || std::mem::replace(&mut clock, Instant::now()).elapsed().as_secs_f64();

        self.prepare(rank, size, gradients, local);
        phases.encode += lap();
        small::max(world.transport(), &mut self.words).map_err(at_step)?;
        phases.wait += lap();
        let agreed = self.agreed(size);
        if agreed.non_finite.is_some() {
            return Ok(agreed);
        }
        self.encode(step, rank, gradients);
        self.pack(gradients);
        phases.encode += lap();
        ring_ternary::sum(world.transport(), &self.planes, self.layout.blocks(), &mut self.sums)
            .map_err(at_step)?;
        ring_f32::sum(world.transport(), &mut self.packed).map_err(at_step)?;
        phases.exchange += lap();
        self.decode(size, gradients);
        self.unpack(size, gradients);
        phases.decode += lap();
        Ok(agreed)
    }

    fn formula_bytes(&self, rank: usize, world: usize) -> u64 {
        small::max_traffic(self.words.len(), world).bytes_sent
            + ring_ternary::traffic(self.layout.blocks(), world, rank).bytes_sent
            + ring_f32::traffic(self.packed.len(), world, rank).bytes_sent
    }
}

/// The numbers of the layers that `names` keep in float32.
pub(super) fn kept_layers(names: &[String], graph: &Graph) -> Result<Vec<usize>> {
    let logits = graph.logits_layer()?;
    let refuse = |name: &String| {
        let known: Vec<&str> = graph.layers().iter().map(|node| node.name.as_str()).chain([LOGITS]).collect();
        let advice = suggest(name, &known);
        Error::Usage(format!("exchange.keep_float: no layer is called `{name}`; {advice}"))
    };
    let number = |name: &String| {
        let layer = if name == LOGITS { logits } else { Some(name.as_str()) };
        graph.layers().iter().position(|node| Some(node.name.as_str()) == layer).ok_or_else(|| refuse(name))
    };
    names.iter().map(number).collect()
}
