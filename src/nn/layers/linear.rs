//! Fully connected: y = x Wᵀ + b. Letters: N samples, D input features, U units.

use serde::{Deserialize, Serialize};

use super::single_vector;
use crate::nn::Shape;
use crate::nn::init::{Fan, Init};
use crate::nn::layer::{Backward, Describe, Forward, Layer, ParameterSpec};
use crate::nn::size::elements;
use crate::nn::spec::default;
use crate::tensor::{gemm, matrix, matrix_mut};

/// Fully connected layer: weight `[U, D]`, bias `[U]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// U.
    pub units: usize,
    /// Whether a bias is added.
    #[serde(default = "default::yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default = "default::init")]
    pub init: Init,
}

impl Describe for Linear {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let features = single_vector(inputs)?;
        elements(&[self.units, features])?;
        match self.units {
            0 => Err("units must be at least 1".into()),
            units => Ok(Shape::Vector { features: units }),
        }
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let features = single_vector(inputs)?;
        let weight = ParameterSpec {
            name: "weight",
            shape: vec![self.units, features],
            init: self.init,
            fan: Fan { inputs: features, outputs: self.units },
            decay: true,
        };
        Ok(with_bias(weight, self.bias))
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        Ok((single_vector(inputs)? * self.units) as u64)
    }

    fn build(&self, inputs: &[Shape], _: usize) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Product { features: single_vector(inputs)?, units: self.units, bias: self.bias }))
    }
}

/// `weight` and, where there is one, a bias that begins at zero and does not decay.
pub(super) fn with_bias(weight: ParameterSpec, bias: bool) -> Vec<ParameterSpec> {
    let shape = vec![weight.shape[0]];
    let zero = ParameterSpec { name: "bias", shape, init: Init::Zero, decay: false, ..weight.clone() };
    if bias { vec![weight, zero] } else { vec![weight] }
}

struct Product {
    features: usize,
    units: usize,
    bias: bool,
}

impl Layer for Product {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, d, u) = (pass.batch, self.features, self.units);
        if self.bias {
            let bias = pass.parameters.get(1);
            pass.y.chunks_exact_mut(u).for_each(|row| row.copy_from_slice(bias));
        }
        let beta = if self.bias { 1.0 } else { 0.0 };
        let weight = matrix(pass.parameters.get(0), u, d);
        gemm(1.0, matrix(pass.x.get(0), n, d), weight.t(), beta, matrix_mut(pass.y, n, u));
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (n, d, u) = (pass.batch, self.features, self.units);
        let dy = matrix(pass.dy, n, u);
        gemm(1.0, dy.t(), matrix(pass.x.get(0), n, d), 0.0, matrix_mut(pass.gradients.get(0), u, d));
        if self.bias {
            let bias = pass.gradients.get(1);
            bias.fill(0.0);
            for row in pass.dy.chunks_exact(u) {
                bias.iter_mut().zip(row).for_each(|(sum, dy)| *sum += dy);
            }
        }
        if let Some(dx) = pass.dx.get(0) {
            gemm(1.0, dy, matrix(pass.parameters.get(0), u, d), 0.0, matrix_mut(dx, n, d));
        }
    }
}
