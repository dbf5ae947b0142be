//! Convolution with kernels of our own, which need only one packed copy of the images.

use super::Shape;
use super::algorithm::{Algorithm, Convolve, half_a_vector};
use super::correlation::{self, Correlation, Direction, pack_weights};
use super::pass::{self, Pass};
use super::weight_gradient::WeightGradient;
use crate::blocks::{Line, Machine, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;

/// The algorithm for weights with all columns.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |machine, problem| half_a_vector(machine).filter(|_| problem.columns.is_none()),
    build: |problem, buffers| Ok(Box::new(Direct::new(problem.shape, buffers)?)),
};

/// The convolution `shape`, planned, with its buffers.
pub struct Direct {
    shape: Shape,
    machine: Machine,
    forward: Pass,
    backward: Vec<Pass>,
    weight_gradient: WeightGradient,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// The scratch space of each thread.
    scratch: Scratch,
}

/// Room a thread needs for each of the three passes.
fn scratch(forward: &Pass, machine: Machine) -> usize {
    let backward = pass::data_gradient(forward).map(|pass| correlation::scratch(&pass, machine));
    let most = backward.max().unwrap_or(0);
    most.max(correlation::scratch(forward, machine)).max(WeightGradient::scratch(forward, machine))
}

impl Direct {
    /// With room for as many threads as there are now.
    pub fn new(shape: Shape, buffers: &mut Buffers) -> Result<Direct, String> {
        let (machine, forward) = (Machine::this(), shape.pass());
        Ok(Direct {
            shape,
            machine,
            backward: buffers.list(pass::data_gradient(&forward))?,
            weight_gradient: WeightGradient::new(forward.clone(), machine, shape.groups, buffers)?,
            packed: room(shape.groups * forward.weight_elements(), buffers)?,
            scratch: Scratch::new(scratch(&forward, machine), buffers)?,
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
                pack_weights(pass, self.machine, self.shape.window.kernel, direction, weight, packed);
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
