//! tanh: y = tanh x.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Function};
use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{BackwardReads, Describe, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, tanh};

/// Hyperbolic tangent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tanh {}

impl Examples for Tanh {
    const EXAMPLES: &'static [Example] = &[Example { table: r#"{"type": "tanh"}"#, inputs: &[VECTOR] }];
}

impl WithoutMatrix for Tanh {}

impl Describe for Tanh {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single_numbers(inputs)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::OUTPUT
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Elementwise(self.clone())))
    }
}

impl Function for Tanh {
    const READS_OUTPUT: bool = true;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        tanh(x)
    }

    #[inline(always)]
    fn gradient(&self, y: f32, dy: f32) -> f32 {
        dy * (1.0 - y * y)
    }
}
