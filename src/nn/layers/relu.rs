//! ReLU: y = max(x, 0).

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Function};
use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{BackwardReads, Describe, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::Buffers;

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

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_OUTPUT
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Elementwise(self.clone())))
    }
}

impl Function for Relu {
    const READS_OUTPUT: bool = true;

    /// Written so that a NaN stays a NaN: a maximum would hide it.
    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        if x < 0.0 { 0.0 } else { x }
    }

    #[inline(always)]
    fn gradient(&self, y: f32, dy: f32) -> f32 {
        if y > 0.0 { dy } else { 0.0 }
    }
}
