//! Correlations with vector instructions: a kernel multiplies vectors of samples by single weights, for float32 values
//! and for bf16 values in two forms ([`super::operands`]).

use super::arithmetic::run;
use super::correlation::{Products, Slab};
use super::kernel::CorrelationKernel;
use super::operands::Operands;
use super::pack_weights::LayerWeights;
use super::pass::Pass;
use crate::blocks::{Machine, Shared, parts};
use crate::simd::const_dispatch;

/// The maximum number of filters per block. 6 sums of two vectors, two vectors of the images and a weight fill AVX2's 16
/// registers. 32 registers have room for 14 filters; 12 are as fast and divide the filters of more layers evenly.
fn most_filters(machine: Machine) -> usize {
    if machine.registers >= 32 { 12 } else { 6 }
}

impl Products for Operands {
    fn weight_gradient(self) -> Operands {
        self
    }

    fn row_words(self, pass: &Pass, samples: usize) -> usize {
        pass.column.size * self.words(pass.channels) * samples
    }

    fn weight_words(self, pass: &Pass) -> usize {
        pass.row.taps * pass.column.taps * self.words(pass.channels) * pass.filters
    }

    /// Packs weights as `[R, S, words of C, F of a block]`, block by block.
    fn pack_weights(self, pass: &Pass, machine: Machine, weights: &LayerWeights, to: &mut [f32]) {
        let (filters, channels) = weights.distances(pass);
        let (values, step) =
            (pass.column.taps * pass.channels, pass.channels / self.words(pass.channels).max(1));
        let mut to = to.iter_mut();
        for block in parts(pass.filters, most_filters(machine)) {
            for r in 0..pass.row.taps {
                // Value (s, c) of the row, for each filter of the block.
                let value = |at: usize| {
                    let tap = weights.tap(pass, r, at / pass.channels);
                    &tap[at % pass.channels * channels + block.start * filters..]
                };
                for at in (0..values).step_by(step) {
                    let (value, next) = (value(at), (at + 1 < values).then(|| value(at + 1)));
                    for (f, to) in to.by_ref().take(block.len()).enumerate() {
                        *to = self.word(value[f * filters], next.map_or(0.0, |next| next[f * filters]));
                    }
                }
            }
        }
    }

    fn compute(self, slab: &Slab, packed: &mut [f32]) {
        let images = &slab.images;
        let pass = images.pass;
        if !packed.is_empty() {
            images.pack(self, packed);
        }
        let (words, step) = (self.words(pass.channels), self.step(pass.channels));
        let taps = pass.row.taps * pass.column.taps * words;
        let map = pass.row.places * pass.column.places * images.batch;
        for filters in parts(pass.filters, most_filters(images.machine)) {
            let weights = &slab.weights[filters.start * taps..filters.end * taps];
            let bias = slab.bias.map(|bias| &bias[filters.clone()]);
            // SAFETY: the first of the filters is one of the pass.
            let out = Shared(unsafe { slab.out.at(filters.start * map) });
            const_dispatch!(F = filters.len(), in [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]; V = images.block.vectors, in [1, 2]; {
                let bias = bias.map_or([0.0; F], |bias| std::array::from_fn(|f| bias[f]));
                run(self, CorrelationKernel::<F, V> {
                    pass,
                    words,
                    step,
                    packed,
                    first_row: images.rows.start,
                    weights,
                    bias,
                    outputs: slab.outputs.clone(),
                    out,
                    batch: images.batch,
                    block: images.block,
                })
            });
        }
    }
}
