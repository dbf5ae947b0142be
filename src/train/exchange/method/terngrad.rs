//! TernGrad (Wen et al., "TernGrad: Ternary Gradients to Reduce Communication in Distributed Deep Learning",
//! NIPS 2017): each gradient becomes -1, 0 or 1 times one scale per tensor, takes 2 bits, and is summed as an
//! integer.
//!
//! The words are one scale per tensor, and those of some rows of the layers in `exchange.row_scales`. All ranks use the
//! largest one, so that sums are exact. With error feedback, values are rounded to nearest and the rounding error is added to the next step's gradients.

mod reference;
mod row_scales;

use std::ops::Range;

use ternflock_base::rng::Purpose;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT};
use ternflock_collectives::codec::{Layout, Moments, Rounding, decode, decode_rows, encode, encode_rows};
use ternflock_collectives::cost::Costs;
use ternflock_collectives::planes::{BLOCK, TERNARY, WORD, WORDS, position, width, words};
use ternflock_collectives::{Result, Transport};
use ternflock_job::{self as job, ClipSigmaOver};
use ternflock_report::Phases;
use ternflock_tensor::has_bits;

use row_scales::{DIGITS, MORE_DIGITS, RowScales, Scaled};

use super::{
    Bytes, Cut, Key, Method, Payload, RESIDUAL, ReductionPath, Setup, State, Tensor, Travelling,
    VirtualRanks, cut, elements,
};

/// TernGrad with stochastic rounding, or with error feedback.
#[derive(Clone, Copy, Debug)]
pub struct TernGrad;

impl Method for TernGrad {
    fn name(&self) -> &'static str {
        "ternary"
    }

    fn label(&self, algorithm: Algorithm) -> &'static str {
        algorithm.name()
    }

    fn algorithms(&self) -> &'static [Algorithm] {
        &Algorithm::ALL
    }

    fn is_lossless(&self) -> bool {
        false
    }

    fn gives_up(&self) -> &'static str {
        "exactness: each rank's gradients are rounded to ternaries"
    }

    fn payload(&self, tensors: Vec<Tensor>, setup: &Setup) -> Box<dyn Payload> {
        let all = tensors.iter().map(|tensor| tensor.range.len());
        let more = tensors.iter().map(|tensor| MORE_DIGITS * tensor.scaled_rows() * tensor.row());
        let layout = Layout::new(all.chain(more));
        Box::new(Ternaries {
            planes: vec![0; layout.words(TERNARY)],
            sums: vec![0; layout.words(width(setup.world))],
            most_blocks: layout.blocks(),
            layout,
            clip_sigma: setup.job.clip_sigma as f32,
            sigma_over: setup.job.clip_sigma_over,
            clips: vec![0.0; tensors.len()],
            row_scales: RowScales::new(&tensors),
            residual: vec![0.0; self.state_elements(&tensors, setup)],
            tensors: Travelling::new(tensors),
        })
    }

    fn takes_rows(&self) -> bool {
        true
    }

    fn row_digits(&self) -> usize {
        DIGITS
    }

    fn state_elements(&self, _: &[Tensor], setup: &Setup) -> usize {
        if setup.job.error_feedback { setup.bucket_elements } else { 0 }
    }

    fn words(&self, shapes: &[Vec<usize>]) -> usize {
        shapes.len()
    }

    fn seconds(&self, shapes: &[Vec<usize>], costs: &Costs, path: &ReductionPath) -> f64 {
        costs.coded_ternary(path.algorithm, path.topology, elements(shapes), path.coding)
    }

    fn rehearse(&self, shapes: &[Vec<usize>], algorithm: Algorithm, ranks: &VirtualRanks) -> Result<Phases> {
        let (elements, world, costs) = (elements(shapes), ranks.topology().world(), ranks.costs());
        let parts = match algorithm {
            Algorithm::GatherTernary => 1,
            _ => world,
        };
        let Cut { pieces: blocks, segment, each } = cut(elements.div_ceil(BLOCK), parts, SEGMENT);
        let plan = Plan { topology: ranks.topology(), blocks, segment, coding: Coding::Never };
        let payload = vec![0; words(blocks, TERNARY)];
        let mut sums = vec![0; words(blocks, width(world))];
        let exchange = ranks.longest(each, costs.add_planes, |transport| {
            algorithm.sum(transport, plan, &payload, &mut sums)
        })?;
        let [encode, decode] = [costs.encode, costs.decode].map(|cost| elements as f64 * cost);
        Ok(Phases { encode, exchange, decode, ..Phases::default() })
    }

    fn predicted_bytes(&self, shapes: &[Vec<usize>], path: &ReductionPath, rank: usize) -> u64 {
        let blocks = elements(shapes).div_ceil(BLOCK);
        let work = path
            .algorithm
            .work(Plan { topology: path.topology, blocks, segment: SEGMENT, coding: Coding::Never }, rank);
        8 * work.sends.iter().map(|message| message.words as u64).sum::<u64>()
    }

    fn is_mean(
        &self,
        mean: &[f32],
        job: &job::Exchange,
        key: &Key,
        gradient: &dyn Fn(usize, &mut Vec<f32>),
    ) -> bool {
        reference::is_mean(mean, job.clip_sigma as f32, key, gradient)
    }
}

/// Tensors in 2-bit planes.
struct Ternaries {
    tensors: Travelling,
    /// The layout of the elements that travel in this step: those of the tensors, then the further digits of
    /// the rows of each that have a scale of their own.
    layout: Layout,
    /// The most blocks that travel in a step.
    most_blocks: usize,
    /// This rank's ternaries, and the sums over ranks; there is room for all elements.
    planes: Vec<u64>,
    sums: Vec<u64>,
    /// c: gradients are clipped at c standard deviations; 0 is off.
    clip_sigma: f32,
    /// The elements that the standard deviation is taken over.
    sigma_over: ClipSigmaOver,
    /// By tensor: this step's clipping threshold on this rank.
    clips: Vec<f32>,
    /// The scales of rows, for tensors that have them.
    row_scales: RowScales,
    /// The residuals of error feedback, laid out as the gradients of the bucket. Empty without error
    /// feedback.
    residual: Vec<f32>,
}

impl Payload for Ternaries {
    fn prepare(&mut self, _: &Key, gradients: &mut [f32], words: &mut [u32]) -> bool {
        let mut finite = true;
        let tensors = self.tensors.tensors().iter().enumerate();
        for (((place, tensor), clip), word) in tensors.zip(&mut self.clips).zip(words) {
            let gradients = &mut gradients[tensor.range.clone()];
            if let Some(residual) = self.residual.get_mut(tensor.range.clone()) {
                let row = if tensor.sparse_rows { tensor.row() } else { gradients.len() }.max(1);
                let rows = gradients.chunks_mut(row).zip(residual.chunks_mut(row));
                // A row that this step does not read keeps its residual until a later one does.
                for (gradients, residual) in rows.filter(|(row, _)| !tensor.sparse_rows || has_bits(row)) {
                    gradients.iter_mut().zip(&*residual).for_each(|(gradient, left)| *gradient += left);
                    residual.fill(0.0);
                }
            }
            let moments = moments(tensor, self.sigma_over, gradients);
            finite &= moments.non_finite.is_none();
            *clip = moments.clip(self.clip_sigma);
            *word = moments.scale(*clip).to_bits();
            if self.row_scales.is_scaled(place) && moments.non_finite.is_none() {
                self.row_scales.prepare(place, tensor.row(), gradients, *clip);
            }
        }
        finite
    }

    fn row_scales(&mut self) -> &mut [u32] {
        self.row_scales.words()
    }

    fn set_rows(&mut self, place: usize, rows: &[u32]) {
        self.tensors.set_rows(place, rows);
    }

    fn bound_rows(&mut self, most: usize) {
        let more = self.tensors.tensors().iter().map(|tensor| {
            let rows = if tensor.sparse_rows { tensor.scaled_rows().min(most) } else { tensor.scaled_rows() };
            MORE_DIGITS * rows * tensor.row()
        });
        self.most_blocks = Layout::new(self.tensors.most_elements(most).chain(more)).blocks();
    }

    fn encode(&mut self, key: &Key, words: &[u32], gradients: &[f32]) {
        if self.is_variable() {
            let more = self.row_scales.counts().zip(self.tensors.tensors());
            let more = more.map(|(rows, tensor)| MORE_DIGITS * rows * tensor.row());
            self.layout.set(self.tensors.elements().chain(more));
            self.clear_rest();
        }
        for (place, (tensor, word)) in self.tensors.tensors().iter().zip(words).enumerate() {
            let stream = key.stream(Purpose::Ternary, tensor.number);
            let feedback = self.residual.get_mut(tensor.range.clone());
            let rounding = if feedback.is_some() { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
            let values = &gradients[tensor.range.clone()];
            let (clip, scale) = (self.clips[place], f32::from_bits(*word));
            let first = self.layout.first_word(place);
            let rows = self.tensors.rows(place);
            match rows {
                Some(rows) => encode_rows(values, rows, clip, scale, rounding, first, &mut self.planes),
                None => encode(values, clip, scale, rounding, first, &mut self.planes),
            }
            let scaled = scaled(&self.tensors, &self.layout, place);
            let row_scales = &mut self.row_scales;
            row_scales.encode(&scaled, scale, values, rounding, &mut self.planes);
            let planes = (&self.planes[..], TERNARY);
            match (feedback, rows) {
                (None, _) => {}
                (Some(residual), None) => {
                    decode(&self.planes, TERNARY, first, scale, residual);
                    row_scales.decode(&scaled, scale, 1.0, planes, |row, sent| {
                        residual[scaled.range(row)].copy_from_slice(sent);
                    });
                    residual.iter_mut().zip(values).for_each(|(sent, value)| *sent = value - *sent);
                }
                // In rows that other ranks read, this rank sends zero, and its residual stays.
                (Some(residual), Some(rows)) => {
                    let mut keep = |range: Range<usize>, sent: &[f32]| {
                        let residual = residual[range.clone()].iter_mut();
                        let sent = values[range].iter().zip(sent);
                        residual.zip(sent).for_each(|(left, (value, sent))| *left += value - sent);
                    };
                    decode_rows(&self.planes, TERNARY, first, scale, rows, |mut range, mut sent| {
                        // Row by row, without those with a scale of their own.
                        while !range.is_empty() {
                            let row = range.start / rows.width;
                            let count = range.len().min((row + 1) * rows.width - range.start);
                            let (part, rest) = sent.split_at(count);
                            if !row_scales.has_own(place, row) {
                                keep(range.start..range.start + count, part);
                            }
                            (range.start, sent) = (range.start + count, rest);
                        }
                    });
                    row_scales.decode(&scaled, scale, 1.0, planes, |row, sent| keep(scaled.range(row), sent));
                }
            }
        }
    }

    fn reduce(&mut self, transport: &mut dyn Transport, path: &ReductionPath, _: &[f32]) -> Result<()> {
        let plan = plan(path, self.layout.blocks());
        let planes = &self.planes[..self.layout.words(TERNARY)];
        let sums = &mut self.sums[..self.layout.words(width(path.topology.world()))];
        path.algorithm.sum(transport, plan, planes, sums)
    }

    fn decode(&mut self, key: &Key, words: &[u32], gradients: &mut [f32]) {
        let width = width(key.world);
        for (place, (tensor, word)) in self.tensors.tensors().iter().zip(words).enumerate() {
            let (scale, world) = (f32::from_bits(*word), key.world as f32);
            let factor = scale / world;
            let values = &mut gradients[tensor.range.clone()];
            let first = self.layout.first_word(place);
            match self.tensors.rows(place) {
                None => decode(&self.sums, width, first, factor, values),
                Some(rows) => decode_rows(&self.sums, width, first, factor, rows, |range, means| {
                    values[range].copy_from_slice(means);
                }),
            }
            let scaled = scaled(&self.tensors, &self.layout, place);
            self.row_scales.decode(&scaled, scale, world, (&self.sums, width), |row, means| {
                values[scaled.range(row)].copy_from_slice(means);
            });
        }
    }

    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes {
        let most = path.algorithm.traffic(plan(path, self.most_blocks), rank).bytes_sent;
        if self.is_variable() || path.coding != Coding::Never {
            Bytes::AtMost(most)
        } else {
            Bytes::Exact(most)
        }
    }

    fn state(&self) -> Vec<State<'_>> {
        let states = self.tensors.tensors().iter().filter_map(|tensor| {
            let values = self.residual.get(tensor.range.clone())?;
            Some(State { slot: RESIDUAL, tensor: tensor.number.into(), shape: &tensor.shape, values })
        });
        states.collect()
    }

    fn state_mut(&mut self, slot: &str, number: usize) -> Option<&mut [f32]> {
        let tensor = self.tensors.tensors().iter().find(|tensor| usize::from(tensor.number) == number)?;
        self.residual.get_mut(tensor.range.clone()).filter(|_| slot == RESIDUAL)
    }
}

/// The moments of the gradient of `tensor`: sigma over touched rows where only some rows have a gradient, and over all
/// elements elsewhere, however many of them are zero.
pub fn moments(tensor: &Tensor, sigma_over: ClipSigmaOver, gradients: &[f32]) -> Moments {
    match sigma_over {
        ClipSigmaOver::TouchedRows if tensor.sparse_rows => Moments::of_touched_rows(gradients, tensor.row()),
        _ => Moments::of(gradients),
    }
}

impl Ternaries {
    /// Whether the number of elements that travel differs from step to step.
    fn is_variable(&self) -> bool {
        self.tensors.is_sparse() || self.row_scales.are_used()
    }

    /// Sets the elements after the last tensor to zero: an earlier step may have had others there.
    fn clear_rest(&mut self) {
        for word in self.layout.first_word(self.tensors.tensors().len())..self.layout.blocks() * WORDS {
            let at = position(word, TERNARY);
            (self.planes[at], self.planes[at + WORDS]) = (0, 0);
        }
    }
}

/// The tensor at `place` of `tensors`, which have this `layout`, for scales of its rows.
fn scaled<'t>(tensors: &'t Travelling, layout: &Layout, place: usize) -> Scaled<'t> {
    let all = tensors.tensors();
    let [first, more] = [place, all.len() + place].map(|entry| layout.first_word(entry) * WORD);
    Scaled { place, width: all[place].row(), first, more, rows: tensors.rows(place) }
}

fn plan<'a>(path: &ReductionPath<'a>, blocks: usize) -> Plan<'a> {
    Plan { topology: path.topology, blocks, segment: SEGMENT, coding: path.coding }
}
