//! Maximum over windows of images `[C, H, W, N]`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::window::{Pixels, Pooling, covered};
use super::{Example, Examples, IMAGE};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, Window, for_each_row, rows, rows_mut, vectorise};

/// Maximum pooling; padding never wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxPool2d(pub Pooling);

impl Examples for MaxPool2d {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "max_pool2d", "kernel": 2}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for MaxPool2d {}

impl Describe for MaxPool2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let Window { channels, output: (height, width), .. } = self.0.window(inputs)?;
        Ok(Shape::Image { channels, height, width })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Maximum::new(self.0.window(inputs)?, batch, buffers)?))
    }
}

struct Maximum {
    window: Window,
    /// Per output of a column or a row: the rows or columns its window covers.
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    /// The pixel of its own H x W plane that gave each output: `[C, P, Q, N]`.
    winners: Vec<u32>,
}

impl Maximum {
    fn new(window: Window, batch: usize, buffers: &mut Buffers) -> Result<Maximum, String> {
        let Window { size, kernel, stride, padding, output, .. } = window;
        let row = |p| covered(p, kernel.0, stride.0, padding.0, size.0);
        let column = |q| covered(q, kernel.1, stride.1, padding.1, size.1);
        Ok(Maximum {
            rows: buffers.list((0..output.0).map(row))?,
            columns: buffers.list((0..output.1).map(column))?,
            winners: buffers.zeros(&[window.channels, output.0, output.1, batch])?,
            window,
        })
    }
}

/// Number of samples that are computed in parallel in registers: their maxima so far, or their gradients.
const SIDE_BY_SIDE: usize = 32;

impl Maximum {
    /// Calls `visit(position, pixels)` for every window of a plane; pixels are H x W positions, row by row.
    #[inline(always)]
    fn windows(&self, mut visit: impl FnMut(usize, Pixels)) {
        let mut position = 0;
        for rows in &self.rows {
            for columns in &self.columns {
                let (rows, columns) = (rows.clone(), columns.clone());
                visit(position, Pixels { rows, columns, width: self.window.size.1 });
                position += 1;
            }
        }
    }

    /// Number of elements of a plane of inputs, and of outputs.
    fn planes(&self, batch: usize) -> (usize, usize) {
        (self.window.size.0 * self.window.size.1 * batch, self.window.positions() * batch)
    }
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let n = pass.batch;
        let (area, outputs) = self.planes(n);
        let mut winners = std::mem::take(&mut self.winners);
        let taken = &mut winners[..pass.y.len()];
        let planes = (rows(pass.x.get(0), area), rows_mut(pass.y, outputs), rows_mut(taken, outputs));
        for_each_row(planes, |_, (plane, best, winners)| {
            vectorise(
                #[inline(always)]
                || {
                    self.windows(
                        #[inline(always)]
                        |position, pixels| {
                            let (best, winners) =
                                (&mut best[position * n..][..n], &mut winners[position * n..][..n]);
                            compare(plane, n, &pixels, best, winners);
                        },
                    );
                },
            );
        });
        self.winners = winners;
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let n = pass.batch;
        let (area, outputs) = self.planes(n);
        let winners = &self.winners[..pass.dy.len()];
        for_each_row(
            (rows_mut(dx, area), rows(pass.dy, outputs), rows(winners, outputs)),
            |_, (plane, dy, winners)| {
                plane.fill(0.0);
                vectorise(
                    #[inline(always)]
                    || {
                        self.windows(
                            #[inline(always)]
                            |position, pixels| {
                                let (dy, winners) = (&dy[position * n..][..n], &winners[position * n..][..n]);
                                distribute(dy, winners, n, &pixels, plane);
                            },
                        );
                    },
                );
            },
        );
    }
}

/// The maximum of the window's pixels and its place, sample by sample.
#[inline(always)]
fn compare(plane: &[f32], n: usize, pixels: &Pixels, best: &mut [f32], winners: &mut [u32]) {
    let (wide, rest) = best.as_chunks_mut::<SIDE_BY_SIDE>();
    let (wide_winners, rest_winners) = winners.as_chunks_mut::<SIDE_BY_SIDE>();
    let (first, tail) = (pixels.first(), wide.len() * SIDE_BY_SIDE);
    for (chunk, (best, winners)) in wide.iter_mut().zip(wide_winners).enumerate() {
        let (mut maxima, mut places) = ([0.0; SIDE_BY_SIDE], [first as u32; SIDE_BY_SIDE]);
        maxima.copy_from_slice(&plane[first * n + chunk * SIDE_BY_SIDE..][..SIDE_BY_SIDE]);
        pixels.each(
            #[inline(always)]
            |pixel| {
                let values = &plane[pixel * n + chunk * SIDE_BY_SIDE..][..SIDE_BY_SIDE];
                challenge(values, pixel as u32, &mut maxima, &mut places);
            },
        );
        (*best, *winners) = (maxima, places);
    }
    if rest.is_empty() {
        return;
    }
    rest.copy_from_slice(&plane[first * n + tail..][..rest.len()]);
    rest_winners.fill(first as u32);
    pixels.each(
        #[inline(always)]
        |pixel| {
            let values = &plane[pixel * n + tail..][..rest.len()];
            challenge(values, pixel as u32, rest, rest_winners);
        },
    );
}

/// Replaces the maximum so far by `pixel`, sample by sample, if `pixel` wins: the larger value wins, the
/// first of equal values, and a NaN against everything else, so that it is not lost. A pixel does not win
/// against itself.
///
/// Written with bits and masks, because the compiler vectorises code without branches.
#[inline(always)]
pub(super) fn challenge(values: &[f32], pixel: u32, best: &mut [f32], winner: &mut [u32]) {
    for ((&value, best), winner) in values.iter().zip(best).zip(winner) {
        let mask = |wins: bool| 0u32.wrapping_sub(u32::from(wins));
        let wins = (mask(value > *best) | mask(value.is_nan())) & !mask(best.is_nan());
        *best = f32::from_bits(value.to_bits() & wins | best.to_bits() & !wins);
        *winner = pixel & wins | *winner & !wins;
    }
}

/// Adds the gradients `dy` of a window's outputs to those of the pixels that won.
#[inline(always)]
fn distribute(dy: &[f32], winners: &[u32], n: usize, pixels: &Pixels, plane: &mut [f32]) {
    let ((wide, rest), (wide_winners, rest_winners)) =
        (dy.as_chunks::<SIDE_BY_SIDE>(), winners.as_chunks::<SIDE_BY_SIDE>());
    for (chunk, (dy, winners)) in wide.iter().zip(wide_winners).enumerate() {
        // Copies stay in registers over the pixels.
        let (dy, winners) = (*dy, *winners);
        pixels.each(
            #[inline(always)]
            |pixel| {
                let sums = &mut plane[pixel * n + chunk * SIDE_BY_SIDE..][..SIDE_BY_SIDE];
                give(&dy, &winners, pixel as u32, sums);
            },
        );
    }
    if rest.is_empty() {
        return;
    }
    let tail = wide.len() * SIDE_BY_SIDE;
    pixels.each(
        #[inline(always)]
        |pixel| give(rest, rest_winners, pixel as u32, &mut plane[pixel * n + tail..][..rest.len()]),
    );
}

/// Adds the gradients of the outputs whose maximum is `pixel` to its own.
#[inline(always)]
pub(super) fn give(dy: &[f32], winner: &[u32], pixel: u32, sums: &mut [f32]) {
    for ((&dy, &winner), sum) in dy.iter().zip(winner).zip(sums) {
        *sum += if winner == pixel { dy } else { 0.0 };
    }
}
