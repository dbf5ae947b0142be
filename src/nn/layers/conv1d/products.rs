//! A convolution over time by matrix products: the windows of a few steps at a time are the rows of a matrix
//! `[steps N, K C]`, whose product with the weight is a part of the output.
//!
//! Sequences stay as they are, and with all N samples of a step in the rows, batches of any size fill vectors. The windows of
//! a tile of steps stay in the L2 cache. The tiles do not depend on the number of threads, nor do the sums over them.

use std::ops::Range;

use super::taps::Taps;
use crate::Execution;
use crate::layer::{BIAS, Backward, Forward, Layer, WEIGHT};
use ternflock_tensor::{
    Buffers, Gemm, Panels, add_scaled, for_each_row, matrix, matrix_mut, rows_mut, transpose, vectorise,
};

/// The size of a tile of windows.
const TILE_BYTES: usize = 256 * 1024;

pub(super) struct ByProducts {
    taps: Taps,
    stride: usize,
    /// K, C and F.
    kernel: usize,
    channels: usize,
    filters: usize,
    /// Steps of the output per tile.
    tile: usize,
    /// The weight, packed.
    panels: Panels,
    gemm: Gemm,
    /// The weight or its gradient with the taps outside, `[F, K, C]`.
    weight: Vec<f32>,
    /// A tile of windows or of their gradients: `[tile, N, K, C]`; empty if each window is one step of the input.
    windows: Vec<f32>,
}

impl ByProducts {
    /// The layer with F filters over C channels, `sizes` = [F, C, K], for windows at `taps`.
    pub fn new(
        taps: Taps,
        stride: usize,
        [filters, channels, kernel]: [usize; 3],
        Execution { batch, precision }: Execution,
        buffers: &mut Buffers,
    ) -> Result<ByProducts, String> {
        let width = kernel * channels;
        let step = batch.max(1).saturating_mul(width).saturating_mul(size_of::<f32>());
        let tile = (TILE_BYTES / step).clamp(1, taps.outputs);
        let mut layer = ByProducts {
            taps,
            stride,
            kernel,
            channels,
            filters,
            tile,
            panels: Panels::new(precision, [tile.saturating_mul(batch), width, filters], buffers)?,
            gemm: Gemm::new(precision, &[[filters, width, tile.saturating_mul(batch)]], buffers)?,
            weight: buffers.zeros(&[filters, kernel, channels])?,
            windows: Vec::new(),
        };
        if !layer.is_pointwise() {
            layer.windows = buffers.zeros(&[tile, batch, kernel, channels])?;
        }
        Ok(layer)
    }

    /// K C.
    fn width(&self) -> usize {
        self.kernel * self.channels
    }

    /// Whether the windows are the steps of the input.
    fn is_pointwise(&self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.taps.outputs == self.taps.steps
    }

    /// The steps of the output, tile by tile.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (outputs, tile) = (self.taps.outputs, self.tile);
        (0..outputs).step_by(tile).map(move |first| first..outputs.min(first + tile))
    }

    /// The weight `[F, C, K]` as `[F, K, C]`.
    fn turn_weight(&mut self, weight: &[f32]) {
        let (kernel, channels, each) = (self.kernel, self.channels, self.width());
        for (turned, weight) in self.weight.chunks_exact_mut(each).zip(weight.chunks_exact(each)) {
            transpose(weight, channels, kernel, turned);
        }
    }

    /// Writes the windows of the steps `tile` of the output, for `n` samples of `x`.
    fn lower(&mut self, x: &[f32], n: usize, tile: &Range<usize>) {
        let ByProducts { taps, stride, kernel, channels, .. } = *self;
        let width = self.width();
        let steps = rows_mut(&mut self.windows[..tile.len() * n * width], n * width);
        for_each_row(steps, |step, windows| {
            let first = (tile.start + step) * stride;
            let source = |tap: usize| {
                let step = (first + tap * taps.dilation).checked_sub(taps.before)?;
                (step < taps.steps).then(|| &x[step * n * channels..][..n * channels])
            };
            if channels == 1 {
                return scatter(kernel, source, windows);
            }
            for (sample, window) in windows.chunks_exact_mut(width).enumerate() {
                for (tap, values) in window.chunks_exact_mut(channels).enumerate() {
                    match source(tap) {
                        Some(x) => values.copy_from_slice(&x[sample * channels..][..channels]),
                        None => values.fill(0.0),
                    }
                }
            }
        });
    }

    /// Adds the gradients of the windows of the steps `tile` to those of the input.
    fn raise(&self, n: usize, tile: &Range<usize>, dx: &mut [f32]) {
        let ByProducts { taps, stride, kernel, channels, .. } = *self;
        let (width, windows) = (self.width(), &self.windows);
        let span = (tile.len() - 1) * stride + (kernel - 1) * taps.dilation + 1;
        let start = (tile.start * stride).saturating_sub(taps.before);
        let end = (tile.start * stride + span).saturating_sub(taps.before).min(taps.steps);
        if start >= end {
            return;
        }
        let steps = rows_mut(&mut dx[start * n * channels..end * n * channels], n * channels);
        for_each_row(steps, |step, dx| {
            let place = start + step + taps.before;
            for tap in 0..kernel {
                let Some(first) = place.checked_sub(tap * taps.dilation) else { break };
                let window = first / stride;
                if first % stride > 0 || !tile.contains(&window) {
                    continue;
                }
                let windows = &windows[(window - tile.start) * n * width + tap * channels..];
                vectorise(
                    #[inline(always)]
                    || {
                        for (dx, window) in dx.chunks_exact_mut(channels).zip(windows.chunks(width)) {
                            dx.iter_mut().zip(window).for_each(|(dx, window)| *dx += window);
                        }
                    },
                );
            }
        });
    }
}

/// The windows `[N, K]` of one channel, whose tap k sees the N numbers of `source(k)`, or zeros.
fn scatter<'a>(kernel: usize, source: impl Fn(usize) -> Option<&'a [f32]>, windows: &mut [f32]) {
    for tap in 0..kernel {
        let places = windows[tap..].iter_mut().step_by(kernel);
        match source(tap) {
            Some(x) => places.zip(x).for_each(|(place, &x)| *place = x),
            None => places.for_each(|place| *place = 0.0),
        }
    }
}

impl Layer for ByProducts {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, f, width) = (pass.batch, self.filters, self.width());
        self.turn_weight(pass.parameters.get(WEIGHT));
        self.panels.pack(matrix(&self.weight, f, width).reversed_axes());
        let (x, bias) = (pass.x.get(0), pass.parameters.find(BIAS));
        let beta = if bias.is_some() { 1.0 } else { 0.0 };
        for tile in self.tiles() {
            let rows = tile.len() * n;
            let y = &mut pass.y[tile.start * n * f..][..rows * f];
            if let Some(bias) = bias {
                for_each_row(rows_mut(y, f), |_, row| row.copy_from_slice(bias));
            }
            let windows = if self.is_pointwise() {
                &x[tile.start * n * width..]
            } else {
                self.lower(x, n, &tile);
                &self.windows
            };
            self.panels.multiply(rows, windows, beta, y);
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, f, width) = (pass.batch, self.filters, self.width());
        let (x, dy, is_pointwise) = (pass.x.get(0), pass.dy, self.is_pointwise());
        for tile in self.tiles() {
            let rows = tile.len() * n;
            if !is_pointwise {
                self.lower(x, n, &tile);
            }
            let windows = if is_pointwise { &x[tile.start * n * width..] } else { &self.windows[..] };
            let dy = matrix(&dy[tile.start * n * f..], rows, f);
            let beta = if tile.start == 0 { 0.0 } else { 1.0 };
            let gradient = matrix_mut(&mut self.weight, f, width);
            self.gemm.multiply(1.0, dy.t(), matrix(windows, rows, width), beta, gradient);
        }
        let gradient = pass.gradients.get(WEIGHT).chunks_exact_mut(width);
        for (gradient, turned) in gradient.zip(self.weight.chunks_exact(width)) {
            transpose(turned, self.kernel, self.channels, gradient);
        }
        if let Some(bias) = pass.gradients.find(BIAS) {
            bias.fill(0.0);
            dy.chunks_exact(f).for_each(|row| add_scaled(1.0, row, bias));
        }
        let Some(dx) = pass.dx.get(0) else { return };
        self.turn_weight(pass.parameters.get(WEIGHT));
        self.panels.pack(matrix(&self.weight, f, width));
        if !is_pointwise {
            dx.fill(0.0);
        }
        for tile in self.tiles() {
            let (rows, dy) = (tile.len() * n, &dy[tile.start * n * f..]);
            if is_pointwise {
                self.panels.multiply(rows, dy, 0.0, &mut dx[tile.start * n * width..]);
            } else {
                self.panels.multiply(rows, dy, 0.0, &mut self.windows);
                self.raise(n, &tile, dx);
            }
        }
    }
}
