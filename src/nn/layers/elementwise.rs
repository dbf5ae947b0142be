//! Layers that compute each element of their output from the same element of their input.

use crate::layer::{Backward, Forward, Layer};
use ternflock_tensor::{for_each_row, rows, rows_mut, vectorise};

/// A function of one element. Mark both methods `#[inline(always)]`, and write them without branches that
/// cannot become selects: the loops over them then vectorise.
pub trait Function: Send + Sync {
    /// y. It must be NaN for a NaN.
    fn value(&self, x: f32) -> f32;

    /// The gradient with respect to x, where the function of x is y and the gradient with respect to y is dy.
    fn gradient(&self, x: f32, y: f32, dy: f32) -> f32;
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
        let (function, x) = (&self.0, pass.x.get(0));
        let values = (rows_mut(dx, ROW), rows(x, ROW), rows(pass.y, ROW), rows(pass.dy, ROW));
        for_each_row(values, |_, (dx, x, y, dy)| {
            vectorise(
                #[inline(always)]
                || {
                    let values = dx.iter_mut().zip(x).zip(y).zip(dy);
                    values.for_each(|(((dx, &x), &y), &dy)| *dx = function.gradient(x, y, dy));
                },
            );
        });
    }
}
