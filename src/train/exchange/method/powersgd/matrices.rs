//! The matrices of a bucket, with their factors.

use std::ops::Range;
use std::time::Instant;

use rand_distr::{Distribution, StandardNormal};
use ternflock_base::rng::{Purpose, Reader};
use ternflock_collectives::all_reduce::ring_f32;
use ternflock_collectives::{Result, Transport};

use super::orthonormal::orthonormalise;
use super::products::{decode, left, right};
use super::sides;
use crate::exchange::method::{Bytes, Key, Payload, RESIDUAL, ReductionPath, State, Tensor};

/// The checkpoint slot of Q, `[rank, columns]`, equal on all ranks. Zero means that it is still to be drawn.
pub const FACTOR: &str = "right_factor";

/// Matrices and their factors, one after another.
pub struct Matrices {
    matrices: Vec<Matrix>,
    /// Steps before this one average the matrices in float32.
    start: u64,
    is_float32: bool,
    world: usize,
    /// The left factors, column by column.
    p: Vec<f32>,
    /// The right factors, column by column: until the next step, those of this one.
    q: Vec<f32>,
    /// The parts of the gradients that have not been sent yet; before `start`, the sums of the gradients.
    residual: Vec<f32>,
    /// Buffer for the largest Q.
    sums: Vec<f64>,
    /// The time that the last reduction has spent on computing.
    computing: f64,
}

/// One of them.
struct Matrix {
    tensor: Tensor,
    rows: usize,
    columns: usize,
    /// The shape of Q.
    factor: [usize; 2],
    /// Places of P, Q and the residual.
    p: Range<usize>,
    q: Range<usize>,
    residual: Range<usize>,
}

impl Matrices {
    /// The matrices of `tensors` with factors of rank `rank`, from step `start` on.
    pub fn new(tensors: Vec<Tensor>, rank: usize, start: u64) -> Matrices {
        let [mut p, mut q, mut residual] = [0; 3];
        let after = |end: &mut usize, length: usize| {
            *end += length;
            *end - length..*end
        };
        let place = |tensor: Tensor| {
            let [rows, columns] = sides(&tensor.shape);
            Matrix {
                rows,
                columns,
                factor: [rank, columns],
                p: after(&mut p, rank * rows),
                q: after(&mut q, rank * columns),
                residual: after(&mut residual, tensor.range.len()),
                tensor,
            }
        };
        // `bench allreduce` also measures empty vectors: they have no columns.
        let matrices: Vec<Matrix> =
            tensors.into_iter().filter(|tensor| !tensor.range.is_empty()).map(place).collect();
        let largest = matrices.iter().map(|matrix| matrix.q.len()).max().unwrap_or(0);
        Matrices {
            matrices,
            start,
            is_float32: false,
            world: 1,
            p: vec![0.0; p],
            q: vec![0.0; q],
            residual: vec![0.0; residual],
            sums: vec![0.0; largest],
            computing: 0.0,
        }
    }
}

/// Draws column `number` of the Q of tensor `tensor`: standard normal, equal on all ranks.
pub fn draw(key: &Key, tensor: u16, number: usize, column: &mut [f32]) {
    let mut reader = Reader::new(key.shared_stream(Purpose::PowerSgd, number as u32, tensor));
    column.fill_with(|| StandardNormal.sample(&mut reader));
}

/// Turns sums over `world` ranks into means.
fn divide(sums: &mut [f32], world: usize) {
    let share = 1.0 / world as f32;
    sums.iter_mut().for_each(|sum| *sum *= share);
}

impl Payload for Matrices {
    fn prepare(&mut self, _: &Key, gradients: &mut [f32], _: &mut [u32]) -> bool {
        let mut finite = true;
        for matrix in &self.matrices {
            let residual = &self.residual[matrix.residual.clone()];
            for (gradient, left) in gradients[matrix.tensor.range.clone()].iter_mut().zip(residual) {
                *gradient += left;
                finite &= gradient.is_finite();
            }
        }
        finite
    }

    fn encode(&mut self, key: &Key, _: &[u32], gradients: &[f32]) {
        self.is_float32 = key.step < self.start;
        self.world = key.world;
        for Matrix { tensor, columns, p, q, residual, .. } in &self.matrices {
            let values = &gradients[tensor.range.clone()];
            if self.is_float32 {
                self.residual[residual.clone()].copy_from_slice(values);
                continue;
            }
            let q = &mut self.q[q.clone()];
            orthonormalise(q, *columns, |number, column| draw(key, tensor.number, number, column));
            right(values, q, *columns, &mut self.p[p.clone()]);
        }
    }

    fn reduce(&mut self, transport: &mut dyn Transport, _: &ReductionPath, gradients: &[f32]) -> Result<()> {
        self.computing = 0.0;
        if self.is_float32 {
            return ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.residual);
        }
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.p)?;
        let start = Instant::now();
        divide(&mut self.p, self.world);
        for Matrix { tensor, rows, columns, p, q, .. } in &self.matrices {
            let p = &mut self.p[p.clone()];
            orthonormalise(p, *rows, |_, column| column.fill(0.0));
            left(&gradients[tensor.range.clone()], p, *columns, &mut self.sums, &mut self.q[q.clone()]);
        }
        self.computing = start.elapsed().as_secs_f64();
        ring_f32::sum(transport, ring_f32::SEGMENT, &mut self.q)
    }

    fn decode(&mut self, _: &Key, _: &[u32], gradients: &mut [f32]) {
        if self.is_float32 {
            divide(&mut self.residual, self.world);
        } else {
            divide(&mut self.q, self.world);
        }
        for Matrix { tensor, columns, p, q, residual, .. } in &self.matrices {
            let (values, residual) =
                (&mut gradients[tensor.range.clone()], &mut self.residual[residual.clone()]);
            if self.is_float32 {
                values.copy_from_slice(residual);
                residual.fill(0.0);
            } else {
                decode(&self.p[p.clone()], &self.q[q.clone()], *columns, values, residual);
            }
        }
    }

    fn bytes_sent(&self, path: &ReductionPath, rank: usize) -> Bytes {
        let sent = |values: &[f32]| {
            ring_f32::traffic(ring_f32::SEGMENT, values.len(), path.topology.world(), rank).bytes_sent
        };
        Bytes::Exact(sent(&self.p) + sent(&self.q))
    }

    fn first_steps(&self, path: &ReductionPath, rank: usize) -> (u64, Bytes) {
        let world = path.topology.world();
        let traffic = ring_f32::traffic(ring_f32::SEGMENT, self.residual.len(), world, rank);
        (self.start, Bytes::Exact(traffic.bytes_sent))
    }

    fn computing(&self) -> f64 {
        self.computing
    }

    fn state(&self) -> Vec<State<'_>> {
        let states = self.matrices.iter().flat_map(|Matrix { tensor, factor, q, residual, .. }| {
            let number = usize::from(tensor.number);
            let residual = &self.residual[residual.clone()];
            [
                State { slot: RESIDUAL, tensor: number, shape: &tensor.shape, values: residual },
                State { slot: FACTOR, tensor: number, shape: factor, values: &self.q[q.clone()] },
            ]
        });
        states.collect()
    }

    fn state_mut(&mut self, slot: &str, number: usize) -> Option<&mut [f32]> {
        let matrix = self.matrices.iter().find(|matrix| usize::from(matrix.tensor.number) == number)?;
        match slot {
            RESIDUAL => self.residual.get_mut(matrix.residual.clone()),
            FACTOR => self.q.get_mut(matrix.q.clone()),
            _ => None,
        }
    }
}
