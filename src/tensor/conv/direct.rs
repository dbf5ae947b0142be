//! Convolution by kernels of our own, which read images where they lie but for one packed copy.

use std::sync::Mutex;

use super::Shape;
use super::correlation::{self, Correlation, Direction, pack_weights};
use super::pass::{self, Pass};
use super::weight_gradient::WeightGradient;
use crate::blocks::{Line, Machine, room};
use crate::threads::threads;

/// The convolution `shape`, planned, with its buffers.
pub struct Direct {
    shape: Shape,
    machine: Machine,
    forward: Pass,
    backward: Vec<Pass>,
    weight_gradient: WeightGradient,
    /// Packed weights of all groups.
    packed: Vec<Line>,
    /// Room of each thread.
    scratch: Vec<Mutex<Vec<Line>>>,
}

/// Elements of all buffers.
pub fn elements(shape: &Shape) -> usize {
    let (machine, pass) = (Machine::this(), shape.pass());
    let weights = shape.groups * pass.weight_elements();
    weights + threads() * scratch(&pass, machine) + WeightGradient::sums_elements(&pass, shape.groups)
}

/// Room a thread needs for each of the three passes.
fn scratch(forward: &Pass, machine: Machine) -> usize {
    let backward = pass::data_gradient(forward);
    let passes = backward.iter().chain([forward]).map(|pass| correlation::scratch(pass, machine));
    passes.max().unwrap_or(0).max(WeightGradient::scratch(forward, machine))
}

impl Direct {
    /// With room for as many threads as there are now.
    pub fn new(shape: Shape) -> Direct {
        let (machine, forward) = (Machine::this(), shape.pass());
        let elements = scratch(&forward, machine);
        Direct {
            shape,
            machine,
            backward: pass::data_gradient(&forward),
            weight_gradient: WeightGradient::new(forward.clone(), machine, shape.groups),
            packed: room(shape.groups * forward.weight_elements()),
            scratch: (0..threads()).map(|_| Mutex::new(room(elements))).collect(),
            forward,
        }
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

    /// See [`super::Convolution::forward`].
    pub fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        self.pack(Direction::Forward, weight);
        self.correlation(&self.forward, batch, bias, x).compute(y);
    }

    /// See [`super::Convolution::weight_gradient`].
    pub fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        self.weight_gradient.run(batch, x, dy, &self.scratch, weight, bias);
    }

    /// See [`super::Convolution::data_gradient`].
    pub fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        self.pack(Direction::Backward, weight);
        for pass in &self.backward {
            self.correlation(pass, batch, None, dy).compute(dx);
        }
    }
}
