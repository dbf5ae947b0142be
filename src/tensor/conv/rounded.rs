//! Any algorithm on operands that are rounded to bf16 first, with float32 arithmetic: what has no kernels for bf16.

use super::algorithm::{Convolve, Problem};
use crate::bf16::{Precision, round_all};
use crate::buffers::Buffers;
use crate::sum;
use crate::threads::{for_each_row, rows, rows_mut};

/// Values per task.
const PART: usize = 4096;

/// An algorithm with rounded copies of its operands.
struct Rounded {
    inner: Box<dyn Convolve>,
    /// F.
    filters: usize,
    weight: Vec<f32>,
    /// The images, and the gradient of the output.
    x: Vec<f32>,
    dy: Vec<f32>,
}

/// What `build` makes, on operands of the problem's precision.
pub fn with_precision(
    problem: &Problem,
    buffers: &mut Buffers,
    build: impl FnOnce(&mut Buffers) -> Result<Box<dyn Convolve>, String>,
) -> Result<Box<dyn Convolve>, String> {
    let inner = build(buffers)?;
    if problem.precision == Precision::Float32 {
        return Ok(inner);
    }
    let Problem { shape, columns, batch, .. } = *problem;
    let (filters, window) = (shape.filters, shape.window);
    let columns = columns.map_or(shape.group().rows(), <[usize]>::len);
    Ok(Box::new(Rounded {
        inner,
        filters,
        weight: buffers.zeros(&[filters, columns])?,
        x: buffers.zeros(&[window.image(), batch])?,
        dy: buffers.zeros(&[filters, window.positions(), batch])?,
    }))
}

/// The rounded copy of `values`.
fn rounded<'a>(values: &[f32], copy: &'a mut [f32]) -> &'a [f32] {
    let copy = &mut copy[..values.len()];
    for_each_row((rows(values, PART), rows_mut(copy, PART)), |_, (values, copy)| round_all(values, copy));
    copy
}

impl Convolve for Rounded {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let (x, weight) = (rounded(x, &mut self.x), rounded(weight, &mut self.weight));
        self.inner.forward(batch, x, weight, bias, y);
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        // The gradient of the bias is no product: it is the sum of dy as it is.
        if let Some(bias) = bias {
            let maps = rows(dy, dy.len() / self.filters);
            for_each_row((rows_mut(bias, 1), maps), |_, (bias, map)| bias[0] = sum(map));
        }
        let (x, dy) = (rounded(x, &mut self.x), rounded(dy, &mut self.dy));
        self.inner.weight_gradient(batch, x, dy, weight, None);
    }

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        let (weight, dy) = (rounded(weight, &mut self.weight), rounded(dy, &mut self.dy));
        self.inner.data_gradient(batch, weight, dy, dx);
    }
}
