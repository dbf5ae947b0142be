//! Convolution windows as matrix columns.
//!
//! Letters: C channels, N samples, H W input height and width, R S kernel height and width, P Q output height
//! and width. Images are `[C, H, W, N]`: the samples' values of one pixel are contiguous. So a convolution is
//! `[filters, C R S] x [C R S, P Q N]` without transposition on either side, and with stride 1, a line of the
//! column matrix is one run of Q N values (docs/adr/0010-batch-innermost-images.md).

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

    /// Elements of one image: C H W.
    pub fn image(&self) -> usize {
        self.channels * self.size.0 * self.size.1
    }

    /// Columns of the column matrix per sample: P Q.
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

    /// Calls `visit(line)` for each line of the column matrix of `positions` (counted row by row of the
    /// output), in memory order, for all its rows or for those of `rows`. A line is the intersection of one
    /// row of the matrix with one row of the output.
    fn lines(&self, rows: Option<&[usize]>, positions: Range<usize>, mut visit: impl FnMut(Line)) {
        let ((height, width), (kernel_rows, kernel_columns)) = (self.size, self.kernel);
        let outputs = self.output.1;
        let mut start = 0;
        for row in 0..rows.map_or(self.rows(), <[usize]>::len) {
            let row = rows.map_or(row, |rows| rows[row]);
            let (c, r) = (row / (kernel_rows * kernel_columns), row / kernel_columns % kernel_rows);
            let s = row % kernel_columns;
            let inside = self.inside(s);
            let mut position = positions.start;
            while position < positions.end {
                let (p, first) = (position / outputs, position % outputs);
                let past = outputs.min(first + positions.end - position);
                let h = (p * self.stride.0 + r).wrapping_sub(self.padding.0);
                let (left, right) = (inside.start.clamp(first, past), inside.end.clamp(first, past));
                let (left, right, from) = if h < height && left < right {
                    let column = left * self.stride.1 + s - self.padding.1;
                    (left - first, right - first, (c * height + h) * width + column)
                } else {
                    (0, 0, 0)
                };
                visit(Line {
                    positions: start..start + past - first,
                    inside: start + left..start + right,
                    from,
                });
                start += past - first;
                position += past - first;
            }
        }
    }
}

/// One line of the column matrix: neighbouring positions of one output row. The positions `inside` are over
/// the image, from pixel `from` on; the others are over padding.
struct Line {
    positions: Range<usize>,
    inside: Range<usize>,
    from: usize,
}

/// The size of a tile, which stays in the L2 cache until the product reads it.
const TILE_BYTES: usize = 256 * 1024;

/// The number of an output's `positions` per tile, if the column matrix has `rows` rows.
pub(super) fn tile_positions(rows: usize, batch: usize, positions: usize) -> usize {
    let position = rows.saturating_mul(batch.max(1)).saturating_mul(size_of::<f32>());
    (TILE_BYTES / position).clamp(1, positions)
}

/// Writes the windows of `images` `[C, H, W, N]` at the output `positions` as `columns` `[C R S, positions,
/// N]`; with a list of `rows`, only these rows of the matrix.
pub fn im2col(
    window: &Window,
    rows: Option<&[usize]>,
    images: &[f32],
    batch: usize,
    positions: Range<usize>,
    columns: &mut [f32],
) {
    window.lines(rows, positions, |Line { positions, inside, from }| {
        columns[positions.start * batch..inside.start * batch].fill(0.0);
        columns[inside.end * batch..positions.end * batch].fill(0.0);
        let line = &mut columns[inside.start * batch..inside.end * batch];
        match window.stride.1 {
            1 => line.copy_from_slice(&images[from * batch..][..line.len()]),
            stride => {
                let pixels = images[from * batch..].chunks_exact(batch).step_by(stride);
                line.chunks_exact_mut(batch).zip(pixels).for_each(|(to, from)| to.copy_from_slice(from));
            }
        }
    });
}

/// Adds each element of `columns` `[C R S, positions, N]` to the pixel from which it was taken: the transpose
/// of [`im2col`].
pub fn col2im_add(
    window: &Window,
    rows: Option<&[usize]>,
    columns: &[f32],
    batch: usize,
    positions: Range<usize>,
    images: &mut [f32],
) {
    let add = |to: &mut [f32], from: &[f32]| to.iter_mut().zip(from).for_each(|(to, from)| *to += *from);
    window.lines(rows, positions, |Line { inside, from, .. }| {
        let line = &columns[inside.start * batch..inside.end * batch];
        match window.stride.1 {
            1 => add(&mut images[from * batch..][..line.len()], line),
            stride => {
                let pixels = images[from * batch..].chunks_exact_mut(batch).step_by(stride);
                pixels.zip(line.chunks_exact(batch)).for_each(|(to, from)| add(to, from));
            }
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

    /// The pixel under window element (r, s) at output (p, q), or `None` over padding: the definition.
    fn pixel(w: &Window, r: usize, s: usize, p: usize, q: usize) -> Option<(usize, usize)> {
        let h = (p * w.stride.0 + r).checked_sub(w.padding.0).filter(|&h| h < w.size.0)?;
        let v = (q * w.stride.1 + s).checked_sub(w.padding.1).filter(|&v| v < w.size.1)?;
        Some((h, v))
    }

    proptest! {
        #[test]
        fn columns_are_the_definition_and_back_is_their_transpose(
            w in window(), batch in 1usize..4, cut in (0usize..100, 0usize..100)
        ) {
            let images: Vec<f32> =
                (0..w.channels * batch * w.size.0 * w.size.1).map(|i| i as f32 + 1.0).collect();
            let (first, past) = (cut.0 % w.positions(), w.positions() - cut.1 % w.positions());
            let positions = first.min(past - 1)..past;
            let mut columns = vec![f32::NAN; w.rows() * positions.len() * batch];
            im2col(&w, None, &images, batch, positions.clone(), &mut columns);
            let mut expected = Vec::new();
            let mut counts = vec![0.0f32; images.len()];
            for c in 0..w.channels {
                for (r, s) in (0..w.kernel.0).flat_map(|r| (0..w.kernel.1).map(move |s| (r, s))) {
                    for (p, q) in positions.clone().map(|position| (position / w.output.1, position % w.output.1)) {
                        for n in 0..batch {
                            let at = pixel(&w, r, s, p, q)
                                .map(|(h, v)| ((c * w.size.0 + h) * w.size.1 + v) * batch + n);
                            expected.push(at.map_or(0.0, |at| images[at]));
                            if let Some(at) = at { counts[at] += 1.0 }
                        }
                    }
                }
            }
            prop_assert_eq!(&columns, &expected);
            let mut back = vec![0.0f32; images.len()];
            col2im_add(&w, None, &vec![1.0; columns.len()], batch, positions.clone(), &mut back);
            prop_assert_eq!(back, counts);
            // Only some rows of the matrix.
            let rows: Vec<usize> = (0..w.rows()).filter(|row| row % 3 != cut.0 % 3).collect();
            let width = positions.len() * batch;
            let mut some = vec![f32::NAN; rows.len() * width];
            im2col(&w, Some(&rows), &images, batch, positions.clone(), &mut some);
            let expected: Vec<f32> =
                rows.iter().flat_map(|row| columns[row * width..(row + 1) * width].to_vec()).collect();
            prop_assert_eq!(some, expected);
            let (mut some, mut whole) = (vec![0.0f32; images.len()], vec![0.0f32; images.len()]);
            col2im_add(&w, Some(&rows), &vec![1.0; rows.len() * width], batch, positions.clone(), &mut some);
            let ones: Vec<f32> = (0..w.rows()).flat_map(|row| vec![f32::from(rows.contains(&row)); width]).collect();
            col2im_add(&w, None, &ones, batch, positions, &mut whole);
            prop_assert_eq!(some, whole);
        }
    }
}
