//! Convolution windows as matrix columns.
//!
//! Letters: C channels, N samples, H W input height and width, R S kernel height and width, P Q output height and width.
//! Images are `[C, N, H, W]`: a channel's values over the whole batch are contiguous, so that a convolution is
//! `[filters, C R S] x [C R S, N P Q]` with no transposition on either side (docs/adr/0003-channel-major-images.md).

use std::ops::Range;

/// The geometry of a sliding window over images of one shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// C.
    pub channels: usize,
    /// (H, W).
    pub size: (usize, usize),
    /// (R, S).
    pub kernel: (usize, usize),
    /// Vertical and horizontal step.
    pub stride: (usize, usize),
    /// Rows and columns of zeros around the image.
    pub padding: (usize, usize),
    /// (P, Q).
    pub output: (usize, usize),
}

impl Window {
    /// Rows of the column matrix: C R S.
    pub fn rows(&self) -> usize {
        self.channels * self.kernel.0 * self.kernel.1
    }

    /// Columns of the column matrix a sample: P Q.
    pub fn positions(&self) -> usize {
        self.output.0 * self.output.1
    }

    /// The output columns `q` whose window column `s` falls inside the image.
    pub fn inside(&self, s: usize) -> Range<usize> {
        let (stride, padding) = (self.stride.1, self.padding.1);
        let first = padding.saturating_sub(s).div_ceil(stride);
        let past = (self.size.1 + padding).saturating_sub(s).div_ceil(stride).min(self.output.1);
        first.min(past)..past
    }

    /// Calls `visit(line)` for each line of Q positions of the column matrix, in memory order.
    fn lines(&self, batch: usize, samples: Range<usize>, mut visit: impl FnMut(Line)) {
        let ((height, width), (kernel_rows, kernel_columns)) = (self.size, self.kernel);
        let mut start = 0;
        for row in 0..self.rows() {
            let (c, r) = (row / (kernel_rows * kernel_columns), row / kernel_columns % kernel_rows);
            let s = row % kernel_columns;
            let inside = self.inside(s);
            // Where the line is inside, its first pixel is; elsewhere the number is not used.
            let first = (inside.start * self.stride.1 + s).saturating_sub(self.padding.1);
            for n in samples.clone() {
                for p in 0..self.output.0 {
                    let h = (p * self.stride.0 + r).wrapping_sub(self.padding.0);
                    let (from, to) = if h < height && inside.start < inside.end {
                        (((c * batch + n) * height + h) * width + first, inside.end)
                    } else {
                        (0, inside.start)
                    };
                    visit(Line { start, inside: inside.start..to, from });
                    start += self.output.1;
                }
            }
        }
    }
}

/// One line of the column matrix: Q positions from `start` on, of which those `inside` lie over the image, over its
/// pixels from `from` on; the others lie over the padding.
struct Line {
    start: usize,
    inside: Range<usize>,
    from: usize,
}

/// Writes the windows of `samples` out of `images` `[C, batch, H, W]` as `columns` `[C R S, samples, P, Q]`.
pub fn im2col(window: &Window, images: &[f32], batch: usize, samples: Range<usize>, columns: &mut [f32]) {
    let (outputs, stride) = (window.output.1, window.stride.1);
    window.lines(batch, samples, |Line { start, inside, from }| {
        let line = &mut columns[start..start + outputs];
        line[..inside.start].fill(0.0);
        line[inside.end..].fill(0.0);
        let line = &mut line[inside];
        match stride {
            1 => copy_short(&images[from..from + line.len()], line),
            _ => {
                line.iter_mut().zip(images[from..].iter().step_by(stride)).for_each(|(to, from)| *to = *from)
            }
        }
    });
}

/// Copies a line of an image. Lines are so short (8 pixels in LeNet's second layer) that a call of memcpy would cost more
/// than its work.
#[inline]
fn copy_short(from: &[f32], to: &mut [f32]) {
    let ((from_eights, from_rest), (to_eights, to_rest)) = (from.as_chunks::<8>(), to.as_chunks_mut::<8>());
    for (to, from) in to_eights.iter_mut().zip(from_eights) {
        *to = *from;
    }
    let ((from_fours, from_rest), (to_fours, to_rest)) =
        (from_rest.as_chunks::<4>(), to_rest.as_chunks_mut::<4>());
    for (to, from) in to_fours.iter_mut().zip(from_fours) {
        *to = *from;
    }
    for (to, from) in to_rest.iter_mut().zip(from_rest) {
        *to = *from;
    }
}

/// Adds each element of `columns` `[C R S, samples, P, Q]` to the pixel it was taken from: the transpose of [`im2col`].
pub fn col2im_add(window: &Window, columns: &[f32], batch: usize, samples: Range<usize>, images: &mut [f32]) {
    let stride = window.stride.1;
    window.lines(batch, samples, |Line { start, inside, from }| {
        let line = &columns[start + inside.start..start + inside.end];
        let add = |(to, from): (&mut f32, &f32)| *to += *from;
        match stride {
            1 => images[from..from + line.len()].iter_mut().zip(line).for_each(add),
            _ => images[from..].iter_mut().step_by(stride).zip(line).for_each(add),
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn window() -> impl Strategy<Value = Window> {
        let pair = |range: Range<usize>| (range.clone(), range);
        (1usize..4, pair(1..9), pair(1..5), pair(1..4), pair(0..3)).prop_filter_map(
            "the kernel fits",
            |(channels, size, kernel, stride, padding)| {
                let output = |size: usize, kernel: usize, stride: usize, padding: usize| {
                    (size + 2 * padding).checked_sub(kernel).map(|room| room / stride + 1)
                };
                let output = (
                    output(size.0, kernel.0, stride.0, padding.0)?,
                    output(size.1, kernel.1, stride.1, padding.1)?,
                );
                Some(Window { channels, size, kernel, stride, padding, output })
            },
        )
    }

    /// The pixel under window element (r, s) at output (p, q), or none in the padding: the definition.
    fn pixel(w: &Window, r: usize, s: usize, p: usize, q: usize) -> Option<(usize, usize)> {
        let h = (p * w.stride.0 + r).checked_sub(w.padding.0).filter(|&h| h < w.size.0)?;
        let v = (q * w.stride.1 + s).checked_sub(w.padding.1).filter(|&v| v < w.size.1)?;
        Some((h, v))
    }

    proptest! {
        #[test]
        fn columns_are_the_definition_and_back_is_their_transpose(w in window(), batch in 1usize..4) {
            let images: Vec<f32> =
                (0..w.channels * batch * w.size.0 * w.size.1).map(|i| i as f32 + 1.0).collect();
            let samples = batch / 2..batch;
            let mut columns = vec![f32::NAN; w.rows() * samples.len() * w.positions()];
            im2col(&w, &images, batch, samples.clone(), &mut columns);
            let mut expected = Vec::new();
            let mut counts = vec![0.0f32; images.len()];
            for c in 0..w.channels {
                for (r, s) in (0..w.kernel.0).flat_map(|r| (0..w.kernel.1).map(move |s| (r, s))) {
                    for n in samples.clone() {
                        for (p, q) in (0..w.output.0).flat_map(|p| (0..w.output.1).map(move |q| (p, q))) {
                            let at = pixel(&w, r, s, p, q)
                                .map(|(h, v)| ((c * batch + n) * w.size.0 + h) * w.size.1 + v);
                            expected.push(at.map_or(0.0, |at| images[at]));
                            if let Some(at) = at { counts[at] += 1.0 }
                        }
                    }
                }
            }
            prop_assert_eq!(&columns, &expected);
            let mut back = vec![0.0f32; images.len()];
            col2im_add(&w, &vec![1.0; columns.len()], batch, samples, &mut back);
            prop_assert_eq!(back, counts);
        }
    }
}
