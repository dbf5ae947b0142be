//! A convolution over time by the kernels for images, for filters in groups and for weights that have lost columns.
//!
//! Those kernels read the samples of a pixel side by side, `[C, H, W, N]` (docs/adr/0010-batch-innermost-images.md), and
//! `[C, T, N]` is an image of one column. So the layer transposes its input, `[T, N, C]`, and its output. The copy has the
//! padding in it, and with a dilation d, it is an image of d columns: steps that are d apart are then pixels of
//! one column, and the kernel's taps are below each other.

use super::super::Columns;
use super::taps::Taps;
use crate::Execution;
use crate::layer::{BIAS, Backward, Forward, Layer, WEIGHT};
use ternflock_tensor::{Buffers, Convolution, ConvolutionShape, transpose_part};

pub(super) struct ByImages {
    convolution: Convolution,
    taps: Taps,
    /// C and F.
    channels: usize,
    filters: usize,
    /// `[C, lines, dilation, N]`: the padded input after a forward pass, its gradient after a backward pass.
    signals: Vec<f32>,
    /// `[F, lines, dilation, N]`: the output, then its gradient.
    responses: Vec<f32>,
}

impl ByImages {
    /// The layer that computes `shape`, for windows at `taps`.
    pub fn new(
        shape: ConvolutionShape,
        taps: Taps,
        columns: &Columns,
        Execution { batch, precision }: Execution,
        buffers: &mut Buffers,
    ) -> Result<ByImages, String> {
        let (channels, filters) = (shape.window.channels, shape.filters);
        Ok(ByImages {
            convolution: Convolution::new(shape, columns.list(), batch, precision, buffers)?,
            taps,
            channels,
            filters,
            signals: buffers.zeros(&[channels, taps.lines, taps.dilation, batch])?,
            responses: buffers.zeros(&[filters, taps.output_lines, taps.dilation, batch])?,
        })
    }
}

impl Layer for ByImages {
    fn forward(&mut self, pass: Forward<'_>) {
        let ByImages { convolution, taps, channels: c, filters: f, signals, responses } = self;
        let (c, f, n) = (*c, *f, pass.batch);
        let (line, width) = (taps.lines * taps.dilation * n, taps.output_lines * taps.dilation * n);
        let (signals, responses) = (&mut signals[..c * line], &mut responses[..f * width]);
        let (start, numbers) = (taps.before * n, taps.steps * n);
        for signal in signals.chunks_exact_mut(line) {
            signal[..start].fill(0.0);
            signal[start + numbers..].fill(0.0);
        }
        transpose_part((pass.x.get(0), c), numbers, c, (&mut signals[start..], line));
        let (weight, bias) = (pass.parameters.get(WEIGHT), pass.parameters.find(BIAS));
        convolution.forward(n, signals, weight, bias, responses);
        transpose_part((responses, width), f, taps.outputs * n, (pass.y, f));
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let ByImages { convolution, taps, channels: c, filters: f, signals, responses } = self;
        let (c, f, n) = (*c, *f, pass.batch);
        let (line, width) = (taps.lines * taps.dilation * n, taps.output_lines * taps.dilation * n);
        let (signals, responses) = (&mut signals[..c * line], &mut responses[..f * width]);
        let outputs = taps.outputs * n;
        for response in responses.chunks_exact_mut(width) {
            response[outputs..].fill(0.0);
        }
        transpose_part((pass.dy, f), outputs, f, (responses, width));
        let (weight, bias) = pass.gradients.weight_and_bias();
        convolution.weight_gradient(n, signals, responses, weight, bias);
        if let Some(dx) = pass.dx.get(0) {
            convolution.data_gradient(n, pass.parameters.get(WEIGHT), responses, signals);
            transpose_part((&signals[taps.before * n..], line), c, taps.steps * n, (dx, c));
        }
    }
}
