//! Fully connected: y = x Wᵀ + b. Letters: R rows (N, or T N of sequences), D input features, U units.

use serde::{Deserialize, Serialize};

use super::{Columns, Example, Examples, SEQUENCE, VECTOR, single_rows};
use crate::coupling::{Axis, Coupling, Units};
use crate::declare::{Adjustable, Declare, Factors, Matrix, Parts, Product};
use crate::init::{Fan, Init};
use crate::layer::{
    BIAS, Backward, BackwardReads, Describe, Forward, Layer, ParameterSpec, TensorRole, Tied, WEIGHT,
};
use crate::size::{elements, multiply};
use crate::spec::default;
use crate::{Execution, LayerSpec, Shape, StructureKind};
use ternflock_tensor::{Buffers, Gemm, add_scaled, for_each_row, matrix, matrix_mut, rows_mut};

/// Fully connected layer: weight `[U, D]`, or `[U, K]` if it reads only K of its inputs; bias `[U]`. Each
/// step of a sequence is a separate row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Linear {
    /// U.
    pub units: usize,
    /// The inputs that it reads: the columns that the weight `[U, D]` has.
    #[serde(default, skip_serializing_if = "Columns::is_all")]
    pub columns: Columns,
    /// Whether a bias is added.
    #[serde(default = "default::yes")]
    pub bias: bool,
    /// The initialisation of the weight.
    #[serde(default = "default::init")]
    pub init: Init,
    /// The initialisation of the bias.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
    /// The layer whose weight this layer shares, usually the embedding (Press and Wolf, 2017; Inan et al.,
    /// 2017).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied: Option<String>,
}

impl Linear {
    /// The weight, its own or that of the layer it is tied to.
    fn weight(&self, inputs: &[Shape]) -> Result<ParameterSpec, String> {
        let (_, features) = single_rows(inputs)?;
        let features = self.columns.count(features);
        Ok(ParameterSpec {
            name: WEIGHT,
            shape: vec![self.units, features],
            init: self.init,
            fan: Fan { inputs: features, outputs: self.units },
            role: TensorRole::Matrix,
            axes: vec![Axis::Makes(1), self.columns.axis(1).unwrap_or(Axis::Reads)],
        })
    }
}

impl Examples for Linear {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "linear", "units": 4}"#, inputs: &[VECTOR] },
        Example {
            table: r#"{"type": "linear", "units": 4, "bias": false, "columns": [1, 2, 5]}"#,
            inputs: &[SEQUENCE],
        },
        Example { table: r#"{"type": "linear", "units": 4, "tied": "words"}"#, inputs: &[SEQUENCE] },
    ];
}

impl Declare for Linear {
    fn parts(&self) -> Parts<'_> {
        let matrix = Matrix {
            tensor: WEIGHT,
            groups: 1,
            kernel: (1, 1),
            columns: &self.columns,
            product: Product::Rows,
            factors: self,
        };
        let structures = &[StructureKind::Neurons, StructureKind::Inputs];
        Parts { structures, matrix: Some(matrix), state: None }
    }

    fn adjustable(&mut self) -> Adjustable<'_> {
        Adjustable { units: Some(&mut self.units), columns: Some(&mut self.columns), ..Adjustable::default() }
    }
}

impl Factors for Linear {
    /// Omitted columns remain those of the first layer.
    fn pair(&self, rank: usize) -> [LayerSpec; 2] {
        let basis = Linear { units: rank, bias: false, tied: None, ..self.clone() };
        let expand = Linear { columns: Columns::ALL, ..self.clone() };
        [LayerSpec::Linear(basis), LayerSpec::Linear(expand)]
    }
}

impl Describe for Linear {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (_, features) = single_rows(inputs)?;
        elements(&[self.units, features])?;
        self.columns.check(features)?;
        if self.tied.is_some() && !self.columns.is_all() {
            return Err("columns cannot be omitted from a weight that is shared with another layer".into());
        }
        self.init.check().and_then(|()| self.bias_init.check())?;
        match (self.units, inputs[0]) {
            (0, _) => Err("units must be at least 1".into()),
            (features, Shape::Sequence { steps, .. }) => Ok(Shape::Sequence { steps, features }),
            (features, _) => Ok(Shape::Vector { features }),
        }
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let own = usize::from(self.tied.is_some());
        Ok(with_bias(self.weight(inputs)?, self.bias, self.bias_init).split_off(own))
    }

    fn tied(&self, inputs: &[Shape]) -> Result<Option<Tied<'_>>, String> {
        let spec = self.weight(inputs)?;
        Ok(self.tied.as_deref().map(|layer| Tied { layer, spec }))
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        let keeps_output =
            self.tied.is_some().then_some("the rows of its weight are those of the layer it is tied to");
        Ok(Coupling { keeps_output, ..Coupling::new(Units::Own) })
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        let (rows, features) = single_rows(inputs)?;
        Ok(multiply(&[rows, self.columns.count(features), self.units]))
    }

    fn build(
        &self,
        inputs: &[Shape],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let (rows, all) = single_rows(inputs)?;
        let features = self.columns.count(all);
        let gathered = self.columns.list().map(|read| -> Result<GatheredInputs, String> {
            let columns = buffers.list(read.iter().copied())?;
            Ok(GatheredInputs { columns, all, values: buffers.zeros(&[execution.batch, rows, features])? })
        });
        let (gathered, units) = (gathered.transpose()?, self.units);
        let all_rows = rows.saturating_mul(execution.batch);
        let sizes = [[all_rows, units, features], [units, features, all_rows], [all_rows, features, units]];
        let gemm = Gemm::new(execution.precision, &sizes, buffers)?;
        Ok(Box::new(FullyConnected { rows, features, gathered, units, gemm }))
    }
}

/// `weight` and, if there is one, a bias, which does not decay.
pub(super) fn with_bias(weight: ParameterSpec, has_bias: bool, init: Init) -> Vec<ParameterSpec> {
    let shape = vec![weight.shape[0]];
    let axes = vec![Axis::Makes(1)];
    let bias = ParameterSpec { name: BIAS, shape, init, fan: weight.fan, role: TensorRole::Bias, axes };
    if has_bias { vec![weight, bias] } else { vec![weight] }
}

struct FullyConnected {
    /// Rows per sample.
    rows: usize,
    /// The inputs that are read.
    features: usize,
    gathered: Option<GatheredInputs>,
    units: usize,
    /// The product of the pass, and those of both gradients.
    gemm: Gemm,
}

/// The inputs that are read, packed together.
struct GatheredInputs {
    columns: Vec<usize>,
    /// D.
    all: usize,
    /// `[rows, K]`: x from the forward pass on; its gradient at the end of the backward pass.
    values: Vec<f32>,
}

impl GatheredInputs {
    fn gather(&mut self, x: &[f32]) {
        let GatheredInputs { columns, all, values } = self;
        for_each_row(
            rows_mut(&mut values[..x.len() / *all * columns.len()], columns.len()),
            |row, values| {
                let x = &x[row * *all..(row + 1) * *all];
                values.iter_mut().zip(columns.iter()).for_each(|(value, &column)| *value = x[column]);
            },
        );
    }

    fn scatter(&self, dx: &mut [f32]) {
        let GatheredInputs { columns, all, values } = self;
        for_each_row(rows_mut(dx, *all), |row, dx| {
            dx.fill(0.0);
            let values = &values[row * columns.len()..];
            values.iter().zip(columns).for_each(|(&value, &column)| dx[column] = value);
        });
    }
}

impl Layer for FullyConnected {
    fn forward(&mut self, pass: Forward<'_>) {
        let (r, d, u) = (pass.batch * self.rows, self.features, self.units);
        let bias = pass.parameters.find(BIAS);
        if let Some(bias) = bias {
            for_each_row(rows_mut(pass.y, u), |_, row| row.copy_from_slice(bias));
        }
        let beta = if bias.is_some() { 1.0 } else { 0.0 };
        let weight = matrix(pass.parameters.get(WEIGHT), u, d);
        let x = match &mut self.gathered {
            None => pass.x.get(0),
            Some(gathered) => {
                gathered.gather(pass.x.get(0));
                &gathered.values
            }
        };
        self.gemm.multiply(1.0, matrix(x, r, d), weight.t(), beta, matrix_mut(pass.y, r, u));
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (r, d, u) = (pass.batch * self.rows, self.features, self.units);
        let dy = matrix(pass.dy, r, u);
        let beta = if pass.gradients.shared(WEIGHT) { 1.0 } else { 0.0 };
        let gradient = matrix_mut(pass.gradients.get(WEIGHT), u, d);
        let x = self.gathered.as_ref().map_or(pass.x.get(0), |gathered| &gathered.values);
        self.gemm.multiply(1.0, dy.t(), matrix(x, r, d), beta, gradient);
        if let Some(bias) = pass.gradients.find(BIAS) {
            bias.fill(0.0);
            for row in pass.dy.chunks_exact(u) {
                add_scaled(1.0, row, bias);
            }
        }
        if let Some(dx) = pass.dx.get(0) {
            let weight = matrix(pass.parameters.get(WEIGHT), u, d);
            match &mut self.gathered {
                None => self.gemm.multiply(1.0, dy, weight, 0.0, matrix_mut(dx, r, d)),
                Some(gathered) => {
                    self.gemm.multiply(1.0, dy, weight, 0.0, matrix_mut(&mut gathered.values, r, d));
                    gathered.scatter(dx);
                }
            }
        }
    }
}
