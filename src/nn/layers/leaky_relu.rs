//! Leaky ReLU (Maas, Hannun and Ng, 2013): y = x, or slope x for negative x.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Function};
use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{BackwardReads, Describe, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::Buffers;

/// Rectifier that passes on a part of negative numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeakyRelu {
    /// The factor of negative numbers.
    #[serde(default = "default_slope")]
    pub slope: f64,
}

fn default_slope() -> f64 {
    0.01
}

impl Examples for LeakyRelu {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "leaky_relu", "slope": 0.2}"#, inputs: &[VECTOR] }];
}

impl WithoutMatrix for LeakyRelu {}

impl Describe for LeakyRelu {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        if !(self.slope as f32).is_finite() {
            return Err(format!("slope = {} must be a finite number", self.slope));
        }
        single_numbers(inputs)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Elementwise(Leak { slope: self.slope as f32 })))
    }
}

struct Leak {
    slope: f32,
}

impl Function for Leak {
    const READS_OUTPUT: bool = false;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        if x > 0.0 { x } else { self.slope * x }
    }

    /// The slope at zero is that of negative numbers, as in PyTorch.
    #[inline(always)]
    fn gradient(&self, x: f32, dy: f32) -> f32 {
        dy * if x > 0.0 { 1.0 } else { self.slope }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slopes_that_are_no_numbers_are_refused() {
        for slope in [f64::NAN, f64::INFINITY, 1e39] {
            assert!(LeakyRelu { slope }.output(&[VECTOR]).unwrap_err().contains("slope"), "{slope}");
        }
    }
}
