//! Fully connected: y = x Wᵀ + b. Letters: R rows (N, or T N of sequences), D input features, U units.

use serde::{Deserialize, Serialize};

use super::{Columns, single_rows};
use crate::Shape;
use crate::coupling::Coupling;
use crate::init::{Fan, Init};
use crate::layer::{Backward, Describe, Forward, Layer, ParameterSpec};
use crate::size::{elements, multiply};
use crate::spec::default;
use ternflock_tensor::{add_scaled, for_each_row, gemm, matrix, matrix_mut, rows_mut};

/// Fully connected layer: weight `[U, D]`, or `[U, kept]` where it reads only some of its inputs; bias `[U]`. Of a sequence each step is a row of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// U.
    pub units: usize,
    /// The inputs that it reads: the columns of the weight `[U, D]` that are there.
    #[serde(default, skip_serializing_if = "Columns::is_all")]
    pub columns: Columns,
    /// Whether a bias is added.
    #[serde(default = "default::yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default = "default::init")]
    pub init: Init,
    /// How the bias begins.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
    /// The layer whose weight is this one's too, mostly the embedding (Press and Wolf, 2017; Inan et al., 2017).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied: Option<String>,
}

impl Describe for Linear {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (_, features) = single_rows(inputs)?;
        elements(&[self.units, features])?;
        self.columns.check(features)?;
        if self.tied.is_some() && !self.columns.is_all() {
            return Err("columns cannot be left out of a weight that is another layer's too".into());
        }
        self.init.check().and_then(|()| self.bias_init.check())?;
        match (self.units, inputs[0]) {
            (0, _) => Err("units must be at least 1".into()),
            (features, Shape::Sequence { steps, .. }) => Ok(Shape::Sequence { steps, features }),
            (features, _) => Ok(Shape::Vector { features }),
        }
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let (_, features) = single_rows(inputs)?;
        let features = self.columns.count(features);
        let weight = ParameterSpec {
            name: "weight",
            shape: vec![self.units, features],
            init: self.init,
            fan: Fan { inputs: features, outputs: self.units },
            decay: true,
        };
        let own = usize::from(self.tied.is_some());
        Ok(with_bias(weight, self.bias, self.bias_init).split_off(own))
    }

    fn tied(&self, inputs: &[Shape]) -> Result<Option<(&str, Vec<usize>)>, String> {
        let (_, features) = single_rows(inputs)?;
        Ok(self.tied.as_deref().map(|name| (name, vec![self.units, features])))
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        let mut coupling = Coupling::weight_and_bias(2, self.bias).on_columns(&self.columns, 1);
        if self.tied.is_some() {
            // A tied weight stands behind the layer's own tensors.
            coupling.parameters.rotate_left(1);
            coupling.keeps_output = Some("the rows of its weight are those of the layer it is tied to");
        }
        Ok(coupling)
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        let (rows, features) = single_rows(inputs)?;
        Ok(multiply(&[rows, self.columns.count(features), self.units]))
    }

    fn scratch(&self, inputs: &[Shape], batch: usize) -> Result<usize, String> {
        let (rows, _) = single_rows(inputs)?;
        let kept = self.columns.list().map_or(0, <[usize]>::len);
        Ok(rows.saturating_mul(kept).saturating_mul(batch))
    }

    fn build(&self, inputs: &[Shape], batch: usize) -> Result<Box<dyn Layer>, String> {
        let (rows, all) = single_rows(inputs)?;
        let features = self.columns.count(all);
        let kept = self.columns.list().map(|kept| Kept {
            columns: kept.to_vec(),
            all,
            values: vec![0.0; batch * rows * features],
        });
        // A tied weight stands behind the tensors of the layer's own.
        let (weight, bias) = match (&self.tied, self.bias) {
            (None, bias) => (0, bias.then_some(1)),
            (Some(_), bias) => (usize::from(bias), bias.then_some(0)),
        };
        Ok(Box::new(Product { rows, features, kept, units: self.units, weight, bias }))
    }
}

/// `weight` and, where there is one, a bias, which does not decay.
pub(super) fn with_bias(weight: ParameterSpec, has_bias: bool, init: Init) -> Vec<ParameterSpec> {
    let shape = vec![weight.shape[0]];
    let bias = ParameterSpec { name: "bias", shape, init, decay: false, ..weight.clone() };
    if has_bias { vec![weight, bias] } else { vec![weight] }
}

struct Product {
    /// Of a sample.
    rows: usize,
    /// That are read.
    features: usize,
    kept: Option<Kept>,
    units: usize,
    /// The number of the tensor.
    weight: usize,
    bias: Option<usize>,
}

/// The inputs that are read, side by side.
struct Kept {
    columns: Vec<usize>,
    /// D.
    all: usize,
    /// `[rows, kept]`: x from the forward pass on, and in the end of the backward pass its gradient.
    values: Vec<f32>,
}

impl Kept {
    fn gather(&mut self, x: &[f32]) {
        let Kept { columns, all, values } = self;
        for_each_row(
            rows_mut(&mut values[..x.len() / *all * columns.len()], columns.len()),
            |row, values| {
                let x = &x[row * *all..(row + 1) * *all];
                values.iter_mut().zip(columns.iter()).for_each(|(value, &column)| *value = x[column]);
            },
        );
    }

    fn scatter(&self, dx: &mut [f32]) {
        let Kept { columns, all, values } = self;
        for_each_row(rows_mut(dx, *all), |row, dx| {
            dx.fill(0.0);
            let values = &values[row * columns.len()..];
            values.iter().zip(columns).for_each(|(&value, &column)| dx[column] = value);
        });
    }
}

impl Layer for Product {
    fn forward(&mut self, pass: Forward<'_>) {
        let (r, d, u) = (pass.batch * self.rows, self.features, self.units);
        if let Some(bias) = self.bias {
            let bias = pass.parameters.get(bias);
            for_each_row(rows_mut(pass.y, u), |_, row| row.copy_from_slice(bias));
        }
        let beta = if self.bias.is_some() { 1.0 } else { 0.0 };
        let weight = matrix(pass.parameters.get(self.weight), u, d);
        let x = match &mut self.kept {
            None => pass.x.get(0),
            Some(kept) => {
                kept.gather(pass.x.get(0));
                &kept.values
            }
        };
        gemm(1.0, matrix(x, r, d), weight.t(), beta, matrix_mut(pass.y, r, u));
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (r, d, u) = (pass.batch * self.rows, self.features, self.units);
        let dy = matrix(pass.dy, r, u);
        let beta = if pass.gradients.shared(self.weight) { 1.0 } else { 0.0 };
        let gradient = matrix_mut(pass.gradients.get(self.weight), u, d);
        let x = self.kept.as_ref().map_or(pass.x.get(0), |kept| &kept.values);
        gemm(1.0, dy.t(), matrix(x, r, d), beta, gradient);
        if let Some(bias) = self.bias {
            let bias = pass.gradients.get(bias);
            bias.fill(0.0);
            for row in pass.dy.chunks_exact(u) {
                add_scaled(1.0, row, bias);
            }
        }
        if let Some(dx) = pass.dx.get(0) {
            let weight = matrix(pass.parameters.get(self.weight), u, d);
            match &mut self.kept {
                None => gemm(1.0, dy, weight, 0.0, matrix_mut(dx, r, d)),
                Some(kept) => {
                    gemm(1.0, dy, weight, 0.0, matrix_mut(&mut kept.values, r, d));
                    kept.scatter(dx);
                }
            }
        }
    }
}
