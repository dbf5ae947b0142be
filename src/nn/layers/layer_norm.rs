//! Layer normalisation (Ba, Kiros and Hinton, 2016) over the units of each row of a vector or a sequence, and
//! over the channels of each pixel of an image.
//!
//! Letters: U units (features or channels), P places in a sample (steps of a sequence, pixels), N samples.
//! Vectors `[N, U]` and sequences `[T, N, U]` are rows of U elements; images `[U, P, N]` are columns of U.

mod columns;
mod rows;
mod sums;

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, SEQUENCE, VECTOR, single_numbers};
use crate::coupling::{Axis, Coupling};
use crate::declare::WithoutMatrix;
use crate::init::{Fan, Init};
use crate::layer::{BIAS, BackwardReads, Describe, Layer, ParameterSpec, TensorRole, WEIGHT};
use crate::spec::default;
use crate::{Execution, Shape};
use columns::ByColumn;
use rows::ByRow;
use ternflock_tensor::Buffers;

/// y = (x - mean) / sqrt(variance + eps) * weight + bias, with the mean and the biased variance of the U
/// units at one place of one sample. Training and evaluation compute the same. For vectors and sequences this
/// is PyTorch's `LayerNorm(U)`; for images it is that of the channels, with the channels moved last.
///
/// Parameters: weight `[U]` and bias `[U]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerNorm {
    /// Added to the variance.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// Whether the layer has a weight and a bias.
    #[serde(default = "default::yes")]
    pub affine: bool,
}

fn default_eps() -> f64 {
    1e-5
}

impl Examples for LayerNorm {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "layer_norm", "eps": 0.01}"#, inputs: &[VECTOR] },
        Example { table: r#"{"type": "layer_norm", "eps": 0.01}"#, inputs: &[SEQUENCE] },
        Example { table: r#"{"type": "layer_norm", "eps": 0.01}"#, inputs: &[IMAGE] },
        Example { table: r#"{"type": "layer_norm", "eps": 0.01, "affine": false}"#, inputs: &[VECTOR] },
    ];
}

impl WithoutMatrix for LayerNorm {}

impl Describe for LayerNorm {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(format!("eps = {} must be above 0", self.eps));
        }
        let shape = single_numbers(inputs)?;
        if shape.units() < 2 {
            return Err(format!(
                "takes two or more features or channels, got {}: one alone is its own mean",
                shape.described()
            ));
        }
        Ok(shape)
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let units = self.output(inputs)?.units();
        let tensor = |name, init| ParameterSpec {
            name,
            shape: vec![units],
            init,
            fan: Fan { inputs: 1, outputs: 1 },
            role: TensorRole::Normalisation,
            axes: vec![Axis::Makes(1)],
        };
        match self.affine {
            true => Ok(vec![tensor(WEIGHT, Init::Constant(1.0)), tensor(BIAS, Init::Zero)]),
            false => Ok(Vec::new()),
        }
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        // A unit that is always zero still counts in the mean and in the variance of the others.
        let together = Some("layer_norm takes the mean and the variance of all units together");
        Ok(Coupling {
            keeps_inputs: together,
            keeps_output: together,
            zero_stays_zero: false,
            ..Coupling::unit_by_unit()
        })
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let shape = self.output(inputs)?;
        let (units, places) = (shape.units(), shape.elements() / shape.units());
        Ok(match shape {
            Shape::Image { .. } => Box::new(ByColumn::new(self.clone(), units, places, batch, buffers)?),
            _ => Box::new(ByRow::new(self.clone(), units, places, batch, buffers)?),
        })
    }
}
