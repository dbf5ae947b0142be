//! Convolution with our own kernels, which need only one packed copy of the images. They compute float32 and bf16
//! values with vectors ([`super::vector_products`]), or bf16 values with tiles ([`super::tile_products`]).

use super::Shape;
use super::algorithm::{Algorithm, Convolve, half_a_vector};
use super::correlation::{self, Correlation, Products};
use super::operands::Operands;
use super::pack_weights::{Direction, LayerWeights};
use super::pass::{self, Pass};
#[cfg(target_arch = "x86_64")]
use super::tile_products::TileProducts;
use super::weight_gradient::WeightGradient;
use crate::blocks::{Line, Machine, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;

/// The algorithm for weights with all columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_none()),
    build: |problem, buffers| {
        let shape = problem.shape;
        // A tile with a single filter in it would be slower than vectors.
        #[cfg(target_arch = "x86_64")]
        if let Some(tiles) = TileProducts::of(problem.precision).filter(|_| shape.filters > shape.groups) {
            return Ok(Box::new(Direct::new(shape, tiles, buffers)?));
        }
        Ok(Box::new(Direct::new(shape, Operands::of(problem.precision), buffers)?))
    },
};

/// The convolution `shape`, planned, with its buffers.
pub struct Direct<P> {
    shape: Shape,
    machine: Machine,
    products: P,
    forward: Pass,
    backward: Vec<Pass>,
    weight_gradient: WeightGradient,
    /// The packed weights of all groups, and the number of words per group.
    packed: Vec<Line>,
    group_words: usize,
    /// The scratch space of each thread.
    scratch: Scratch,
}

/// Room a thread needs for each of the three passes.
fn scratch(forward: &Pass, machine: Machine, products: impl Products) -> usize {
    let backward = pass::data_gradient(forward).map(|pass| correlation::scratch(&pass, machine, products));
    let most = backward.max().unwrap_or(0);
    most.max(correlation::scratch(forward, machine, products)).max(WeightGradient::scratch(
        forward,
        machine,
        products.weight_gradient(),
    ))
}

/// The number of words that one group's packed weights need at most, in either direction.
fn group_words(forward: &Pass, products: impl Products) -> usize {
    let backward = pass::data_gradient(forward).map(|pass| products.weight_words(&pass)).sum();
    products.weight_words(forward).max(backward)
}

impl<P: Products> Direct<P> {
    /// With room for as many threads as there are now.
    pub fn new(shape: Shape, products: P, buffers: &mut Buffers) -> Result<Direct<P>, String> {
        let (machine, forward, groups) = (Machine::this(), shape.pass(), shape.groups);
        let (operands, group_words) = (products.weight_gradient(), group_words(&forward, products));
        Ok(Direct {
            shape,
            machine,
            products,
            backward: buffers.list(pass::data_gradient(&forward))?,
            weight_gradient: WeightGradient::new(forward.clone(), machine, operands, groups, buffers)?,
            packed: room(groups * group_words, buffers)?,
            group_words,
            scratch: Scratch::new(scratch(&forward, machine, products), buffers)?,
            forward,
        })
    }

    /// Computes the passes of `direction` from `images` to `out`.
    fn correlate(
        &mut self,
        direction: Direction,
        batch: usize,
        weight: &[f32],
        bias: Option<&[f32]>,
        images: &[f32],
        out: &mut [f32],
    ) {
        let Direct { shape, machine, products, group_words, .. } = *self;
        let passes = match direction {
            Direction::Forward => std::slice::from_ref(&self.forward),
            Direction::Backward => &self.backward[..],
        };
        let packed: &mut [f32] = bytemuck::cast_slice_mut(&mut self.packed);
        let group = self.forward.weight_elements();
        let mut first = 0;
        for pass in passes {
            let words = products.weight_words(pass);
            for (values, packed) in weight.chunks_exact(group).zip(packed.chunks_exact_mut(group_words)) {
                let weights = LayerWeights { values, kernel: shape.window.kernel, direction };
                products.pack_weights(pass, machine, &weights, &mut packed[first..][..words]);
            }
            let correlation = Correlation {
                pass,
                machine,
                products,
                groups: shape.groups,
                batch,
                weights: &packed[first..],
                weight_stride: group_words,
                bias,
                images,
                scratch: &self.scratch,
            };
            correlation.compute(out);
            first += words;
        }
    }
}

impl<P: Products> Convolve for Direct<P> {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.correlate(Direction::Forward, batch, weight, bias, x, y);
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        self.weight_gradient.compute(batch, x, dy, &self.scratch, weight, bias);
    }

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        self.correlate(Direction::Backward, batch, weight, None, dy, dx);
    }
}
