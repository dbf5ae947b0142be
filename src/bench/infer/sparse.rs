//! A single layer of a network with its weight in the unstructured sparse form, to show the speed that
//! pruning single weights would give.

use super::Contestant;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_nn::Shape;
use ternflock_nn::declare::Product;
use ternflock_nn::layer::BIAS;
use ternflock_nn::parameters::find;
use ternflock_tensor::{
    Buffers, Convolution, ConvolutionShape, Precision, SparseConvolution, SparseLinear, gemm, matrix,
    matrix_mut,
};

/// A convolution or a linear layer with generated inputs.
pub struct SparseLayer {
    kind: Kind,
    /// Elements of the weight.
    elements: usize,
    bias: Option<Vec<f32>>,
    x: Vec<f32>,
    y: Vec<f32>,
}

enum Kind {
    /// The number of samples.
    Convolution { batch: usize, layer: SparseConvolution },
    /// The number of rows.
    Linear { rows: usize, layer: SparseLinear },
}

impl SparseLayer {
    /// Layer `index` of the network of `contestant`, after a check that it computes the same as the dense
    /// layer. `None` for a layer of another type or whose weight belongs to another layer.
    ///
    /// # Errors
    /// If it computes something else.
    pub fn new(contestant: &Contestant, index: usize) -> Result<Option<SparseLayer>> {
        let (network, batch) = (&contestant.network, contestant.batch);
        let graph = network.graph();
        let node = &graph.layers()[index];
        let tensor = |name: &str| {
            let own = find(&network.parameters.table, index, name);
            own.map(|(_, own)| &network.parameters.values[own.range.clone()])
        };
        let Some(matrix) = node.layer.parts().matrix else { return Ok(None) };
        let (Some(weight), bias) = (tensor(matrix.tensor), tensor(BIAS)) else { return Ok(None) };
        let input = graph.shape(graph.sources(index)[0]);
        let (mut x, mut y) = (input.elements() * batch, graph.shape(index + 1).elements() * batch);
        let fail = |message: String| Error::Shape {
            layer: node.name.clone(),
            operation: node.layer.kind().into(),
            message,
        };
        let elements;
        let kind = match matrix.product {
            Product::Windows(layer) => {
                let shape = layer.geometry(&[input]).map_err(fail)?;
                // Missing columns are zeros in the unstructured form.
                let weight = matrix.columns.spread(weight, shape.window.rows() / shape.groups);
                elements = weight.len();
                // With the padding of a convolution over time.
                (x, y) = (shape.window.image() * batch, shape.filters * shape.window.positions() * batch);
                let layer = SparseConvolution::new(shape, &weight, batch).map_err(fail)?;
                check_convolution(&layer, shape, batch, &weight, &made(x), y).map_err(fail)?;
                Kind::Convolution { batch, layer }
            }
            Product::Rows => {
                let rows = match input {
                    Shape::Sequence { steps, .. } => steps * batch,
                    _ => batch,
                };
                let weight = matrix.columns.spread(weight, input.units());
                let units = weight.len() / input.units();
                elements = weight.len();
                let mut layer = SparseLinear::new(&weight, units, input.units(), rows);
                check_linear(&mut layer, units, rows, &weight, &made(x)).map_err(fail)?;
                Kind::Linear { rows, layer }
            }
            Product::Gates => return Ok(None),
        };
        Ok(Some(SparseLayer { kind, elements, bias: bias.map(<[f32]>::to_vec), x: made(x), y: vec![0.0; y] }))
    }

    /// A pass.
    pub fn forward(&mut self) {
        let (bias, x, y) = (self.bias.as_deref(), &self.x[..], &mut self.y[..]);
        match &mut self.kind {
            Kind::Convolution { batch, layer } => layer.forward(*batch, x, bias, y),
            Kind::Linear { rows, layer } => layer.forward(*rows, x, bias, y),
        }
    }

    /// The share of the weight that is zero.
    pub fn zeros(&self) -> f64 {
        let nonzero = match &self.kind {
            Kind::Convolution { layer, .. } => layer.nonzero(),
            Kind::Linear { layer, .. } => layer.nonzero(),
        };
        1.0 - nonzero as f64 / self.elements as f64
    }
}

/// Numbers from 0 to 1.
fn made(elements: usize) -> Vec<f32> {
    let stream = Stream { seed: 1, purpose: Purpose::Benchmark, step: 0, subject: 0, tensor: 2 };
    (0..elements).map(|at| stream.word(at as u64) as f32 / 2f32.powi(32)).collect()
}

fn sizes(weight: &[f32]) -> Vec<f32> {
    weight.iter().map(|value| value.abs()).collect()
}

/// Compares `layer` with the dense convolution; all elements of `x` are positive.
fn check_convolution(
    layer: &SparseConvolution,
    shape: ConvolutionShape,
    batch: usize,
    weight: &[f32],
    x: &[f32],
    outputs: usize,
) -> std::result::Result<(), String> {
    let mut dense = Convolution::new(shape, None, batch, Precision::Float32, &mut Buffers::allocating())?;
    let [mut found, mut expected, mut bound] = [(); 3].map(|()| vec![0.0; outputs]);
    layer.forward(batch, x, None, &mut found);
    dense.forward(batch, x, weight, None, &mut expected);
    dense.forward(batch, x, &sizes(weight), None, &mut bound);
    agree(&found, &expected, &bound, shape.window.rows() / shape.groups)
}

/// Compares `layer` with the dense product; all elements of `x` are positive.
fn check_linear(
    layer: &mut SparseLinear,
    units: usize,
    rows: usize,
    weight: &[f32],
    x: &[f32],
) -> std::result::Result<(), String> {
    let features = x.len() / rows;
    let mut found = vec![0.0; rows * units];
    layer.forward(rows, x, None, &mut found);
    let product = |weight: &[f32]| {
        let mut y = vec![0.0; rows * units];
        let weight = matrix(weight, units, features);
        gemm(1.0, matrix(x, rows, features), weight.t(), 0.0, matrix_mut(&mut y, rows, units));
        y
    };
    agree(&found, &product(weight), &product(&sizes(weight)), features)
}

/// Two sums of n products differ by at most 2 n u times the sum of the products' magnitudes, the `bound`, to
/// first order (Higham, "Accuracy and Stability of Numerical Algorithms", 2002, section 3.1); the bound is
/// rounded too.
fn agree(found: &[f32], expected: &[f32], bound: &[f32], n: usize) -> std::result::Result<(), String> {
    let share = 2.0 * (n as f64 + 2.0) * 2f64.powi(-24);
    let wrong = found.iter().zip(expected).zip(bound).position(|((found, expected), bound)| {
        let within = (f64::from(*found) - f64::from(*expected)).abs() <= share * 1.01 * f64::from(*bound);
        !within
    });
    match wrong {
        Some(at) => Err(format!(
            "output {at} is {} in sparse form but {} in dense form: please report this, unless a weight is \
             not finite",
            found[at], expected[at]
        )),
        None => Ok(()),
    }
}
