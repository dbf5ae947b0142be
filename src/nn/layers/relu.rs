//! ReLU: y = max(x, 0).

use serde::{Deserialize, Serialize};

use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, vectorise};

/// Rectifier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Relu {}

impl Examples for Relu {
    const EXAMPLES: &'static [Example] = &[Example { table: r#"{"type": "relu"}"#, inputs: &[VECTOR] }];
}

impl WithoutMatrix for Relu {}

impl Describe for Relu {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single_numbers(inputs)
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Rectifier))
    }
}

struct Rectifier;

/// Number of elements that a thread processes at a time.
const ROW: usize = 16 * 1024;

impl Layer for Rectifier {
    /// Written so that a NaN stays a NaN: a maximum would hide it.
    fn forward(&mut self, pass: Forward<'_>) {
        for_each_row((rows_mut(pass.y, ROW), rows(pass.x.get(0), ROW)), |_, (y, x)| {
            vectorise(
                #[inline(always)]
                || y.iter_mut().zip(x).for_each(|(y, &x)| *y = if x < 0.0 { 0.0 } else { x }),
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        for_each_row((rows_mut(dx, ROW), rows(pass.dy, ROW), rows(pass.y, ROW)), |_, (dx, dy, y)| {
            vectorise(
                #[inline(always)]
                || {
                    let values = dx.iter_mut().zip(dy).zip(y);
                    values.for_each(|((dx, &dy), &y)| *dx = if y > 0.0 { dy } else { 0.0 });
                },
            );
        });
    }
}
