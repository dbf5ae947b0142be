//! Convolution with kernels of our own, which need only one packed copy of the images: for float32 values, and for bf16
//! values in two forms ([`super::operands`]).

use super::Shape;
use super::algorithm::{Algorithm, Convolve, half_a_vector};
use super::correlation::{self, Correlation, Direction, pack_weights};
use super::operands::Operands;
use super::pass::{self, Pass};
use super::weight_gradient::WeightGradient;
use crate::blocks::{Line, Machine, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;

/// The algorithm for weights with all columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_none()),
    build: |problem, buffers| {
        Ok(Box::new(Direct::new(problem.shape, Operands::of(problem.precision), buffers)?))
    },
};

/// The convolution `shape`, planned, with its buffers.
pub struct Direct {
    shape: Shape,
    machine: Machine,
    operands: Operands,
    forward: Pass,
    backward: Vec<Pass>,
    weight_gradient: WeightGradient,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// The scratch space of each thread.
    scratch: Scratch,
}

/// Room a thread needs for each of the three passes.
fn scratch(forward: &Pass, machine: Machine, operands: Operands) -> usize {
    let backward = pass::data_gradient(forward).map(|pass| correlation::scratch(&pass, machine, operands));
    let most = backward.max().unwrap_or(0);
    most.max(correlation::scratch(forward, machine, operands))
        .max(WeightGradient::scratch(forward, machine, operands))
}

impl Direct {
    /// With room for as many threads as there are now.
    pub fn new(shape: Shape, operands: Operands, buffers: &mut Buffers) -> Result<Direct, String> {
        let (machine, forward) = (Machine::this(), shape.pass());
        Ok(Direct {
            shape,
            machine,
            operands,
            backward: buffers.list(pass::data_gradient(&forward))?,
            weight_gradient: WeightGradient::new(forward.clone(), machine, operands, shape.groups, buffers)?,
            packed: room(shape.groups * forward.weight_elements(), buffers)?,
            scratch: Scratch::new(scratch(&forward, machine, operands), buffers)?,
            forward,
        })
    }

    fn pack(&mut self, direction: Direction, weight: &[f32]) {
        let passes = match direction {
            Direction::Forward => std::slice::from_ref(&self.forward),
            Direction::Backward => &self.backward[..],
        };
        let group = self.forward.weight_elements();
        let packed: &mut [f32] = bytemuck::cast_slice_mut(&mut self.packed);
        for (weight, packed) in weight.chunks_exact(group).zip(packed.chunks_exact_mut(group)) {
            for pass in passes {
                pack_weights(
                    pass,
                    self.machine,
                    self.operands,
                    self.shape.window.kernel,
                    direction,
                    weight,
                    packed,
                );
            }
        }
    }

    fn correlation<'a>(
        &'a self,
        pass: &'a Pass,
        batch: usize,
        bias: Option<&'a [f32]>,
        images: &'a [f32],
    ) -> Correlation<'a> {
        Correlation {
            pass,
            machine: self.machine,
            operands: self.operands,
            groups: self.shape.groups,
            batch,
            weights: bytemuck::cast_slice(&self.packed),
            weight_stride: self.forward.weight_elements(),
            bias,
            images,
            scratch: &self.scratch,
        }
    }
}

impl Convolve for Direct {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.pack(Direction::Forward, weight);
        self.correlation(&self.forward, batch, bias, x).compute(y);
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
        self.pack(Direction::Backward, weight);
        for pass in &self.backward {
            self.correlation(pass, batch, None, dy).compute(dx);
        }
    }
}
