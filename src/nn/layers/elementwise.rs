//! Layers that compute each element of their output from the same element of their input.

use crate::layer::{Backward, Forward, Layer};
use ternflock_tensor::{for_each_row, rows, rows_mut, vectorise};

/// A function of one element. Mark both methods `#[inline(always)]`, and write them without branches that
/// cannot become selects: the loops over them then vectorise.
pub trait Function: Send + Sync {
    /// y. It must be NaN for a NaN.
    fn value(&self, x: f32) -> f32;

    /// Whether [`Function::gradient`] needs the output instead of the input, as the layer declares in
    /// [`Describe::backward_reads`](crate::layer::Describe::backward_reads).
    const READS_OUTPUT: bool;

    /// The gradient with respect to x, given the gradient dy with respect to the function's output y. `value` is y if
    /// [`Function::READS_OUTPUT`] is true, and x otherwise.
    fn gradient(&self, value: f32, dy: f32) -> f32;
}

/// The layer that applies a function to each element.
pub struct Elementwise<F>(pub F);

/// Number of elements that a thread processes at a time.
const ROW: usize = 16 * 1024;

impl<F: Function> Layer for Elementwise<F> {
    fn forward(&mut self, pass: Forward<'_>) {
        let function = &self.0;
        for_each_row((rows_mut(pass.y, ROW), rows(pass.x.get(0), ROW)), |_, (y, x)| {
            vectorise(
                #[inline(always)]
                || y.iter_mut().zip(x).for_each(|(y, &x)| *y = function.value(x)),
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (function, values) = (&self.0, if F::READS_OUTPUT { pass.y } else { pass.x.get(0) });
        for_each_row((rows_mut(dx, ROW), rows(values, ROW), rows(pass.dy, ROW)), |_, (dx, values, dy)| {
            vectorise(
                #[inline(always)]
                || {
                    let all = dx.iter_mut().zip(values).zip(dy);
                    all.for_each(|((dx, &value), &dy)| *dx = function.gradient(value, dy));
                },
            );
        });
    }
}
