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

    fn build(&self, inputs: &[Shape], batch: usize) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Maximum::new(self.0.window(inputs)?, batch)))
    }
}

struct Maximum {
    window: Window,
    /// By column of the window: the outputs of a row for which it lies over the image.
    inside: Vec<Range<usize>>,
    /// By output of a row: the first column its window covers.
    first: Vec<usize>,
    /// The pixel of its own H x W plane that gave each output.
    winners: Vec<u32>,
}

impl Maximum {
    fn new(window: Window, batch: usize) -> Maximum {
        let first = |q| covered(q, window.kernel.1, window.stride.1, window.padding.1, window.size.1).start;
        Maximum {
            inside: (0..window.kernel.1).map(|s| window.inside(s)).collect(),
            first: (0..window.output.1).map(first).collect(),
            winners: vec![0; window.channels * window.positions() * batch],
            window,
        }
    }
}

/// Output row `p` of one plane: for each element of the window, all windows of the row side by side.
fn pool_line(
    pool: (&Window, &[Range<usize>], &[usize]),
    plane: &[f32],
    p: usize,
    largest: &mut [f32],
    best: &mut [u32],
) {
    let (w, inside, first) = pool;
    let rows = covered(p, w.kernel.0, w.stride.0, w.padding.0, w.size.0);
    largest.fill(f32::NEG_INFINITY);
    best.iter_mut().zip(first).for_each(|(best, column)| *best = (rows.start * w.size.1 + column) as u32);
    for h in rows {
        for (s, inside) in inside.iter().enumerate().filter(|(_, inside)| !inside.is_empty()) {
            let first = h * w.size.1 + inside.start * w.stride.1 + s - w.padding.1;
            let (largest, best) = (&mut largest[inside.clone()], &mut best[inside.clone()]);
            match w.stride.1 {
                1 => take_larger::<1>(plane, first, largest, best),
                2 => take_larger::<2>(plane, first, largest, best),
                stride => {
                    for (q, state) in largest.iter_mut().zip(best).enumerate() {
                        larger(plane[first + q * stride], first + q * stride, state);
                    }
                }
            }
        }
    }
}

/// [`larger`] for every STRIDE-th pixel from `first` on; a constant stride lets it run on several at a time.
fn take_larger<const STRIDE: usize>(plane: &[f32], first: usize, largest: &mut [f32], best: &mut [u32]) {
    let last = largest.len() - 1;
    // The last pixel may have no whole stride behind it.
    let steps = &plane[first..].as_chunks::<STRIDE>().0[..last];
    let states = largest.iter_mut().zip(best.iter_mut());
    for (q, (step, state)) in steps.iter().zip(states).enumerate() {
        larger(step[0], first + q * STRIDE, state);
    }
    let at = first + last * STRIDE;
    larger(plane[at], at, (&mut largest[last], &mut best[last]));
}

/// Replaces the largest pixel so far and its place, if `pixel` is larger. A NaN wins, so that it is seen. The choice is
/// made with bit masks, because a select is compiled to a branch, which pixels make unpredictable.
#[inline]
fn larger(pixel: f32, at: usize, (largest, best): (&mut f32, &mut u32)) {
    let mask = u32::from((pixel > *largest) | pixel.is_nan()).wrapping_neg();
    *largest = f32::from_bits(pixel.to_bits() & mask | largest.to_bits() & !mask);
    *best = at as u32 & mask | *best & !mask;
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let w = self.window;
        let planes = pass.x.get(0).chunks_exact(w.size.0 * w.size.1);
        let outputs = pass.y.chunks_exact_mut(w.positions());
        let winners = self.winners.chunks_exact_mut(w.positions());
        let pool = (&w, &self.inside[..], &self.first[..]);
        for ((plane, outputs), winners) in planes.zip(outputs).zip(winners) {
            let lines = outputs.chunks_exact_mut(w.output.1).zip(winners.chunks_exact_mut(w.output.1));
            for (p, (largest, best)) in lines.enumerate() {
                pool_line(pool, plane, p, largest, best);
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
