//! Maximum over windows of images `[C, N, H, W]`.

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
    /// The pixel of its own H x W plane that gave each output.
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

/// A pixel and its place as one integer, such that of two the larger belongs to the larger pixel, and of equal pixels to
/// the first. A maximum of integers compiles to no branch; a comparison of pixels does, and no one can predict it.
#[inline]
fn rank((pixel, at): (f32, usize)) -> u64 {
    // Adding zero makes -0 the same as 0.
    let bits = (pixel + 0.0).to_bits();
    let negative = ((bits as i32) >> 31) as u32;
    let ordered = bits ^ (negative | 1 << 31);
    // A NaN is above all others, so that it is seen, whatever its sign.
    let ordered = if pixel.is_nan() { u32::MAX } else { ordered };
    u64::from(ordered) << 32 | u64::from(!(at as u32))
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let (area, width) = (self.window.size.0 * self.window.size.1, self.window.size.1);
        let outputs = pass.y.chunks_exact_mut(self.window.positions());
        let winners = self.winners.chunks_exact_mut(self.window.positions());
        for ((plane, outputs), winners) in pass.x.get(0).chunks_exact(area).zip(outputs).zip(winners) {
            let windows =
                self.rows.iter().flat_map(|rows| self.columns.iter().map(move |columns| (rows, columns)));
            for (((rows, columns), output), winner) in windows.zip(outputs).zip(winners) {
                let mut best = 0;
                for h in rows.clone() {
                    let line = h * width..(h + 1) * width;
                    let places = line.start + columns.start..;
                    for pixel in plane[line][columns.clone()].iter().copied().zip(places) {
                        best = rank(pixel).max(best);
                    }
                }
                *winner = !(best as u32);
                *output = plane[*winner as usize];
            }
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let w = self.window;
        let Some(dx) = pass.dx.get(0) else { return };
        dx.fill(0.0);
        let planes = dx.chunks_exact_mut(w.size.0 * w.size.1);
        let winners = self.winners.chunks_exact(w.positions());
        for ((plane, dy), winners) in planes.zip(pass.dy.chunks_exact(w.positions())).zip(winners) {
            for (&dy, &winner) in dy.iter().zip(winners) {
                plane[winner as usize] += dy;
            }
        }
    }
}
