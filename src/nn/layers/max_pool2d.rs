//! Maximum over windows of images `[C, H, W, N]`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::window::{Pooling, covered};
use crate::nn::Shape;
use crate::nn::layer::{Backward, Describe, Forward, Layer};
use crate::tensor::Window;

/// Maximum pooling; padding never wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MaxPool2d(pub Pooling);

impl Describe for MaxPool2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let Window { channels, output: (height, width), .. } = self.0.window(inputs)?;
        Ok(Shape::Image { channels, height, width })
    }

    fn scratch(&self, inputs: &[Shape], batch: usize) -> Result<usize, String> {
        let window = self.0.window(inputs)?;
        Ok((window.channels * window.positions()).saturating_mul(batch))
    }

    fn build(&self, inputs: &[Shape], batch: usize) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Maximum::new(self.0.window(inputs)?, batch)))
    }
}

struct Maximum {
    window: Window,
    /// By output of a column or a row: the rows or columns its window covers.
    rows: Vec<Range<usize>>,
    columns: Vec<Range<usize>>,
    /// The pixel of its own H x W plane that gave each output: `[C, P, Q, N]`.
    winners: Vec<u32>,
}

impl Maximum {
    fn new(window: Window, batch: usize) -> Maximum {
        let Window { size, kernel, stride, padding, output, .. } = window;
        let row = |p| covered(p, kernel.0, stride.0, padding.0, size.0);
        let column = |q| covered(q, kernel.1, stride.1, padding.1, size.1);
        Maximum {
            rows: (0..output.0).map(row).collect(),
            columns: (0..output.1).map(column).collect(),
            winners: vec![0; window.channels * window.positions() * batch],
            window,
        }
    }
}

impl Maximum {
    /// The windows of a plane by output position, each with its pixels (H x W positions), row by row.
    fn windows(&self) -> impl Iterator<Item = (usize, impl Iterator<Item = usize> + '_)> + '_ {
        let width = self.window.size.1;
        let places =
            self.rows.iter().flat_map(|rows| self.columns.iter().map(move |columns| (rows, columns)));
        places.enumerate().map(move |(position, (rows, columns))| {
            (position, rows.clone().flat_map(move |h| columns.clone().map(move |v| h * width + v)))
        })
    }
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let n = pass.batch;
        let mut winners = std::mem::take(&mut self.winners);
        let planes = pass.x.get(0).chunks_exact(self.window.size.0 * self.window.size.1 * n);
        let outputs = pass.y.chunks_exact_mut(self.window.positions() * n);
        for ((plane, outputs), winners) in
            planes.zip(outputs).zip(winners.chunks_exact_mut(self.window.positions() * n))
        {
            for (position, mut pixels) in self.windows() {
                let (best, winner) = (&mut outputs[position * n..][..n], &mut winners[position * n..][..n]);
                let Some(first) = pixels.next() else { continue };
                best.copy_from_slice(&plane[first * n..][..n]);
                winner.fill(first as u32);
                for pixel in pixels {
                    challenge(&plane[pixel * n..][..n], pixel as u32, best, winner);
                }
            }
        }
        self.winners = winners;
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        dx.fill(0.0);
        let n = pass.batch;
        let planes = dx.chunks_exact_mut(self.window.size.0 * self.window.size.1 * n);
        let winners = self.winners.chunks_exact(self.window.positions() * n);
        for ((plane, dy), winners) in
            planes.zip(pass.dy.chunks_exact(self.window.positions() * n)).zip(winners)
        {
            for (position, pixels) in self.windows() {
                let (dy, winner) = (&dy[position * n..][..n], &winners[position * n..][..n]);
                for pixel in pixels {
                    give(dy, winner, pixel as u32, &mut plane[pixel * n..][..n]);
                }
            }
        }
    }
}

/// Puts `pixel` in the place of what it beats, sample by sample: the larger wins, of equals the first, and a NaN over all
/// others, so that it is seen.
fn challenge(values: &[f32], pixel: u32, best: &mut [f32], winner: &mut [u32]) {
    for ((&value, best), winner) in values.iter().zip(best).zip(winner) {
        let wins = (value > *best) | (value.is_nan() & !best.is_nan());
        *best = if wins { value } else { *best };
        *winner = if wins { pixel } else { *winner };
    }
}

/// Adds the gradients of the outputs that `pixel` won to its own.
fn give(dy: &[f32], winner: &[u32], pixel: u32, sums: &mut [f32]) {
    for ((&dy, &winner), sum) in dy.iter().zip(winner).zip(sums) {
        *sum += if winner == pixel { dy } else { 0.0 };
    }
}
