//! The common part of the forward pass and the data gradient: a correlation of packed images with packed
//! weights.
//!
//! Letters: F filters and C channels of one group, H W the images that are read, R S taps, P Q the outputs, N samples.
//!
//! The data gradient is a forward pass over dy with the weights rotated by 180 degrees and with filters and
//! channels swapped. With a stride, each of its outputs sees only every stride-th tap. Outputs that see the
//! same taps form a phase, and each phase is a separate correlation with stride 1.

use std::ops::Range;

use crate::Window;

/// One correlation: for all p, q, n and f,
/// `out[f, row.first + row.step p, column.first + column.step q, n] = sum of w[f, c, r, s] in[c, h, v, n]` with
/// `h = row.stride p - row.padding + r`, `v = column.stride q - column.padding + s`, where those are inside.
#[derive(Clone, Debug)]
pub struct Pass {
    /// C.
    pub channels: usize,
    /// F.
    pub filters: usize,
    /// H, R and P, and the places of the outputs.
    pub row: Axis,
    /// W, S and Q, and the places of the outputs.
    pub column: Axis,
}

/// A pass along one axis of the images.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Pixels that are read.
    pub size: usize,
    /// Taps of the kernel.
    pub taps: usize,
    /// Tap t is tap `tap_first + tap_step t` of the complete kernel.
    tap_first: usize,
    tap_step: isize,
    stride: usize,
    padding: isize,
    /// Outputs of this pass.
    pub outputs: usize,
    /// The place of the first output, and the step to the next one.
    first: usize,
    step: usize,
    /// Places along this axis.
    pub places: usize,
}

impl Axis {
    fn forward(size: usize, taps: usize, stride: usize, padding: usize, outputs: usize) -> Axis {
        let (tap_first, tap_step, padding) = (0, 1, padding as isize);
        Axis { size, taps, tap_first, tap_step, stride, padding, outputs, first: 0, step: 1, places: outputs }
    }

    /// For the data gradient of a forward pass: the outputs `first`, `first + stride`, ...
    fn backward(forward: Axis, first: usize) -> Axis {
        let (stride, padding) = (forward.stride, forward.padding as usize);
        // Pixel h takes tap r of output p where stride p = h + padding - r: the taps residue, residue + stride, ...
        let residue = (first + padding) % stride;
        let taps = forward.taps.saturating_sub(residue).div_ceil(stride);
        let last = residue + stride * taps.saturating_sub(1);
        Axis {
            size: forward.outputs,
            taps,
            tap_first: last,
            tap_step: -(stride as isize),
            stride: 1,
            padding: taps as isize - 1 - ((first + padding) / stride) as isize,
            outputs: forward.size.saturating_sub(first).div_ceil(stride),
            first,
            step: stride,
            places: forward.size,
        }
    }

    /// The taps that are inside at output `index`, and the pixel under the first of them.
    #[inline(always)]
    pub fn inside(&self, index: usize) -> (Range<usize>, usize) {
        let origin = self.origin(index);
        let first = (-origin).max(0);
        let past = (self.size as isize - origin).clamp(first, (self.taps as isize).max(first));
        (first as usize..past as usize, (origin + first) as usize)
    }

    /// The pixels that `outputs` see.
    pub fn seen(&self, outputs: Range<usize>) -> Range<usize> {
        let size = self.size as isize;
        let first = self.origin(outputs.start).clamp(0, size);
        let past = (self.origin(outputs.end - 1) + self.taps as isize).clamp(first, size);
        first as usize..past as usize
    }

    /// The pixel under the first tap at output `index`. A pixel below 0 or past the last one is padding.
    #[inline(always)]
    pub fn origin(&self, index: usize) -> isize {
        (index * self.stride) as isize - self.padding
    }

    /// The range of pixels that the outputs read, with padding: from the first tap of the first output to the last
    /// tap of the last output.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "only AMX has tiles"))]
    pub fn span(&self) -> usize {
        self.outputs.saturating_sub(1) * self.stride + self.taps
    }

    /// The maximum number of pixels that `outputs` neighbouring outputs see.
    pub fn most_seen(&self, outputs: usize) -> usize {
        ((outputs - 1) * self.stride + self.taps).min(self.size)
    }

    /// Pixels from one output to the next.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// The outputs that see pixels under tap `tap`.
    pub fn outputs_of(&self, tap: usize) -> Range<usize> {
        let origin = tap as isize - self.padding;
        // The first output with stride output + origin >= 0, and the first with that past the last pixel.
        let first = ((-origin).max(0) as usize).div_ceil(self.stride);
        let past = ((self.size as isize - origin).max(0) as usize).div_ceil(self.stride).min(self.outputs);
        first.min(past)..past
    }

    /// The pixel under tap `tap` at output `index`, which must see one.
    pub fn pixel(&self, index: usize, tap: usize) -> usize {
        ((index * self.stride + tap) as isize - self.padding) as usize
    }

    /// The place of output `index`.
    #[inline(always)]
    pub fn place(&self, index: usize) -> usize {
        self.first + index * self.step
    }

    /// The number of tap `tap` in the complete kernel.
    pub fn tap(&self, tap: usize) -> usize {
        (self.tap_first as isize + self.tap_step * tap as isize) as usize
    }
}

/// The forward pass of a convolution: `channels` and `filters` of one group.
pub fn forward(window: &Window, channels: usize, filters: usize) -> Pass {
    let Window { size, kernel, stride, padding, output, .. } = *window;
    Pass {
        channels,
        filters,
        row: Axis::forward(size.0, kernel.0, stride.0, padding.0, output.0),
        column: Axis::forward(size.1, kernel.1, stride.1, padding.1, output.1),
    }
}

/// The phases of the data gradient of `forward`.
pub fn data_gradient(forward: &Pass) -> impl ExactSizeIterator<Item = Pass> + use<> {
    let Pass { channels: filters, filters: channels, row, column, .. } = *forward;
    let [rows, columns] = [row, column].map(|axis| axis.stride.min(axis.size));
    (0..rows * columns).map(move |phase| {
        let row = Axis::backward(row, phase / columns);
        let column = Axis::backward(column, phase % columns);
        Pass { channels, filters, row, column }
    })
}

impl Pass {
    /// Weights of one group.
    pub fn weight_elements(&self) -> usize {
        self.channels * self.filters * self.row.taps * self.column.taps
    }
}
