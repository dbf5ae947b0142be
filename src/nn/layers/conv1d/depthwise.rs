//! A convolution over time in which each channel has its own filter and no other: `groups`, filters and channels are
//! equally many. There is no matrix to multiply by; each tap scales a step of the input, channel by channel.

use std::ops::Range;

use super::taps::Taps;
use crate::layer::{BIAS, Backward, Forward, Layer, WEIGHT};
use ternflock_base::split::chunk;
use ternflock_tensor::{Buffers, for_each_row, rows_mut, transpose, vectorise};

/// The number of partial sums of the weight's gradient, for any number of threads.
const PARTS: usize = 16;

pub(super) struct Depthwise {
    taps: Taps,
    stride: usize,
    kernel: usize,
    channels: usize,
    /// `[K, C]`: the weight or its gradient.
    weight: Vec<f32>,
    /// Partial sums of its gradient: `[PARTS, K, C]`.
    sums: Vec<f32>,
}

impl Depthwise {
    /// The layer for windows at `taps`.
    pub fn new(
        taps: Taps,
        stride: usize,
        [channels, kernel]: [usize; 2],
        buffers: &mut Buffers,
    ) -> Result<Depthwise, String> {
        let weight = buffers.zeros(&[kernel, channels])?;
        let sums = buffers.zeros(&[PARTS, kernel, channels])?;
        Ok(Depthwise { taps, stride, kernel, channels, weight, sums })
    }

    /// The taps of the window of step `step` of the output that see the input, with the step that each sees.
    fn seen(&self, step: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (taps, first) = (self.taps, step * self.stride);
        let see = move |tap: usize| {
            let step = (first + tap * taps.dilation).checked_sub(taps.before)?;
            (step < taps.steps).then_some((tap, step))
        };
        (0..self.kernel).filter_map(see)
    }

    /// The taps that see step `step` of the input, with the step of the output.
    fn seeing(&self, step: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (taps, stride, place) = (self.taps, self.stride, step + self.taps.before);
        let see = move |tap: usize| {
            let first = place.checked_sub(tap * taps.dilation)?;
            let output = first / stride;
            (first % stride == 0 && output < taps.outputs).then_some((tap, output))
        };
        (0..self.kernel).filter_map(see)
    }

    /// The place of step `step` in a sequence of `n` samples.
    fn place(&self, step: usize, n: usize) -> Range<usize> {
        step * n * self.channels..(step + 1) * n * self.channels
    }

    /// The place of a tap in [`Depthwise::weight`].
    fn tap(&self, tap: usize) -> Range<usize> {
        tap * self.channels..(tap + 1) * self.channels
    }
}

/// `sums += weight values` for each row of `values`, whose channels have the factors `weight`.
#[inline(always)]
fn add_scaled_rows(weight: &[f32], values: &[f32], sums: &mut [f32]) {
    for (sums, values) in sums.chunks_exact_mut(weight.len()).zip(values.chunks_exact(weight.len())) {
        sums.iter_mut()
            .zip(values.iter().zip(weight))
            .for_each(|(sum, (value, weight))| *sum += value * weight);
    }
}

/// `sums += values factors`, summed over rows.
#[inline(always)]
fn add_products(values: &[f32], factors: &[f32], sums: &mut [f32]) {
    for (values, factors) in values.chunks_exact(sums.len()).zip(factors.chunks_exact(sums.len())) {
        sums.iter_mut()
            .zip(values.iter().zip(factors))
            .for_each(|(sum, (value, factor))| *sum += value * factor);
    }
}

impl Layer for Depthwise {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, c) = (pass.batch, self.channels);
        transpose(pass.parameters.get(WEIGHT), c, self.kernel, &mut self.weight);
        let (this, x, bias) = (&*self, pass.x.get(0), pass.parameters.find(BIAS));
        for_each_row(rows_mut(pass.y, n * c), |step, y| {
            vectorise(
                #[inline(always)]
                || {
                    match bias {
                        Some(bias) => y.chunks_exact_mut(c).for_each(|row| row.copy_from_slice(bias)),
                        None => y.fill(0.0),
                    }
                    for (tap, step) in this.seen(step) {
                        add_scaled_rows(&this.weight[this.tap(tap)], &x[this.place(step, n)], y);
                    }
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, c, kernel, outputs) = (pass.batch, self.channels, self.kernel, self.taps.outputs);
        let (x, dy) = (pass.x.get(0), pass.dy);
        let mut sums = std::mem::take(&mut self.sums);
        let this = &*self;
        for_each_row(rows_mut(&mut sums, kernel * c), |part, sums| {
            vectorise(
                #[inline(always)]
                || {
                    sums.fill(0.0);
                    for output in chunk(0..outputs, PARTS, part) {
                        for (tap, step) in this.seen(output) {
                            let (dy, x) = (&dy[this.place(output, n)], &x[this.place(step, n)]);
                            add_products(dy, x, &mut sums[this.tap(tap)]);
                        }
                    }
                },
            );
        });
        if let Some(dx) = pass.dx.get(0) {
            transpose(pass.parameters.get(WEIGHT), c, kernel, &mut self.weight);
            let this = &*self;
            for_each_row(rows_mut(dx, n * c), |step, dx| {
                vectorise(
                    #[inline(always)]
                    || {
                        dx.fill(0.0);
                        for (tap, output) in this.seeing(step) {
                            add_scaled_rows(&this.weight[this.tap(tap)], &dy[this.place(output, n)], dx);
                        }
                    },
                );
            });
        }
        self.weight.fill(0.0);
        for sums in sums.chunks_exact(kernel * c) {
            self.weight.iter_mut().zip(sums).for_each(|(sum, part)| *sum += part);
        }
        self.sums = sums;
        transpose(&self.weight, kernel, c, pass.gradients.get(WEIGHT));
        if let Some(bias) = pass.gradients.find(BIAS) {
            bias.fill(0.0);
            dy.chunks_exact(c).for_each(|row| bias.iter_mut().zip(row).for_each(|(sum, dy)| *sum += dy));
        }
    }
}
