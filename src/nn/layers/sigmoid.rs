//! The logistic function: y = 1 / (1 + e^-x).

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Function};
use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{BackwardReads, Describe, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, sigmoid};

/// Logistic function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sigmoid {}

impl Examples for Sigmoid {
    const EXAMPLES: &'static [Example] = &[Example { table: r#"{"type": "sigmoid"}"#, inputs: &[VECTOR] }];
}

impl WithoutMatrix for Sigmoid {}

impl Describe for Sigmoid {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single_numbers(inputs)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::OUTPUT
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        // Of a unit that is always zero it makes 1/2, which later layers read.
        Ok(Coupling { zero_stays_zero: false, ..Coupling::unit_by_unit() })
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Elementwise(self.clone())))
    }
}

impl Function for Sigmoid {
    const READS_OUTPUT: bool = true;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        sigmoid(x)
    }

    #[inline(always)]
    fn gradient(&self, y: f32, dy: f32) -> f32 {
        dy * (y * (1.0 - y))
    }
}
