//! GELU, the Gaussian error linear unit (Hendrycks and Gimpel, 2016): y = x Φ(x), where Φ is the standard
//! normal distribution function.

use serde::{Deserialize, Serialize};

use super::elementwise::{Elementwise, Function};
use super::{Example, Examples, VECTOR, single_numbers};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{BackwardReads, Describe, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, normal, sigmoid};

/// Gaussian error linear unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gelu {
    /// How Φ is computed.
    #[serde(default)]
    pub approximate: Approximation,
}

/// How GELU computes Φ; PyTorch's `approximate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approximation {
    /// Exactly: Φ(x) = (1 + erf(x / sqrt 2)) / 2.
    #[default]
    None,
    /// Φ(x) is about (1 + tanh u) / 2 with u = sqrt(2 / π) (x + 0.044715 x³).
    Tanh,
}

impl Examples for Gelu {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "gelu"}"#, inputs: &[VECTOR] },
        Example { table: r#"{"type": "gelu", "approximate": "tanh"}"#, inputs: &[VECTOR] },
    ];
}

impl WithoutMatrix for Gelu {}

impl Describe for Gelu {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        single_numbers(inputs)
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, _: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(match self.approximate {
            Approximation::None => Box::new(Elementwise(Exact)),
            Approximation::Tanh => Box::new(Elementwise(ByTanh)),
        })
    }
}

struct Exact;

impl Function for Exact {
    const READS_OUTPUT: bool = false;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        x * normal(x).0
    }

    #[inline(always)]
    fn gradient(&self, x: f32, dy: f32) -> f32 {
        let (probability, density) = normal(x);
        dy * (probability + x * density)
    }
}

struct ByTanh;

/// sqrt(2 / π), twice: (1 + tanh u) / 2 = sigmoid(2 u), which loses no digits for negative u.
const SCALE: f32 = 2.0 * 0.797_884_6;
/// The factor of the cube.
const CUBIC: f32 = 0.044_715;

/// x, or what is nearest to it within ±20. Beyond, the sigmoid of 2 u is constant, and the cube could overflow.
#[inline(always)]
fn within(x: f32) -> f32 {
    let x = if x > 20.0 { 20.0 } else { x };
    if x < -20.0 { -20.0 } else { x }
}

impl Function for ByTanh {
    const READS_OUTPUT: bool = false;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        let z = within(x);
        x * sigmoid(SCALE * z * (1.0 + CUBIC * z * z))
    }

    #[inline(always)]
    fn gradient(&self, x: f32, dy: f32) -> f32 {
        let z = within(x);
        let share = sigmoid(SCALE * z * (1.0 + CUBIC * z * z));
        let slope = SCALE * (1.0 + 3.0 * CUBIC * z * z);
        dy * (share + z * slope * (share * (1.0 - share)))
    }
}
