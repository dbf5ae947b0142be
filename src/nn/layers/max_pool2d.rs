//! Maximum over windows of images [C, N, H, W].

use serde::{Deserialize, Serialize};

use super::window::{Pooling, covered};
use crate::nn::Shape;
use crate::nn::layer::{Backward, Describe, Forward, Layer, ParameterSpec};
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

    fn parameters(&self, _: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        Ok(Vec::new())
    }

    fn multiply_adds(&self, _: &[Shape]) -> Result<u64, String> {
        Ok(0)
    }

    fn build(&self, inputs: &[Shape], batch: usize) -> Result<Box<dyn Layer>, String> {
        let window = self.0.window(inputs)?;
        let winners = vec![0; window.channels * window.positions() * batch];
        Ok(Box::new(Maximum { window, winners }))
    }
}

struct Maximum {
    window: Window,
    /// The pixel of its own H x W plane that gave each output.
    winners: Vec<u32>,
}

impl Layer for Maximum {
    fn forward(&mut self, pass: Forward<'_>) {
        let w = self.window;
        let planes = pass.x.get(0).chunks_exact(w.size.0 * w.size.1);
        let outputs = pass.y.chunks_exact_mut(w.positions());
        let winners = self.winners.chunks_exact_mut(w.positions());
        for ((plane, outputs), winners) in planes.zip(outputs).zip(winners) {
            for p in 0..w.output.0 {
                let rows = covered(p, w.kernel.0, w.stride.0, w.padding.0, w.size.0);
                for q in 0..w.output.1 {
                    let columns = covered(q, w.kernel.1, w.stride.1, w.padding.1, w.size.1);
                    let mut best = rows.start * w.size.1 + columns.start;
                    let mut largest = plane[best];
                    for h in rows.clone() {
                        let line = h * w.size.1;
                        for at in line + columns.start..line + columns.end {
                            // A NaN wins, so that it is seen.
                            if plane[at] > largest || plane[at].is_nan() {
                                (best, largest) = (at, plane[at]);
                            }
                        }
                    }
                    outputs[p * w.output.1 + q] = largest;
                    winners[p * w.output.1 + q] = best as u32;
                }
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
