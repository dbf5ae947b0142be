//! Convolution as BLAS products on im2col tiles: the plain way, which the direct kernels are tested against, and the
//! faster one for batches of less than a vector.

use std::ops::Range;

use ndarray::s;

use super::Shape;
use crate::tensor::{col2im_add, gemm, im2col, matrix, matrix_mut, sum};

/// A tile of columns stays in the second-level cache between its writing and the product that reads it.
const TILE_BYTES: usize = 256 * 1024;

/// Output positions whose columns make a tile.
fn tile(shape: &Shape, batch: usize) -> usize {
    let position = shape.group().rows().saturating_mul(batch.max(1)).saturating_mul(size_of::<f32>());
    (TILE_BYTES / position).clamp(1, shape.window.positions())
}

/// Elements of a tile's columns.
pub fn elements(shape: &Shape, batch: usize) -> usize {
    shape.group().rows().saturating_mul(tile(shape, batch)).saturating_mul(batch)
}

/// The convolution `shape` with the room for a tile's columns.
pub struct Columns {
    shape: Shape,
    /// One tile: `[C R S, positions, N]`.
    columns: Vec<f32>,
}

impl Columns {
    /// For batches of at most `batch` samples.
    pub fn new(shape: Shape, batch: usize) -> Columns {
        Columns { shape, columns: vec![0.0; elements(&shape, batch)] }
    }

    /// The output cut into tiles of positions.
    fn tiles(&self, batch: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let positions = self.shape.window.positions();
        let tile = (self.columns.len() / (self.shape.group().rows() * batch)).clamp(1, positions);
        (0..positions).step_by(tile).map(move |first| first..positions.min(first + tile))
    }

    /// See [`super::Convolution::forward`].
    pub fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (group.rows(), window.positions() * batch);
        if let Some(bias) = bias {
            y.chunks_exact_mut(map).zip(bias).for_each(|(map, &bias)| map.fill(bias));
        }
        let beta = if bias.is_some() { 1.0 } else { 0.0 };
        for g in 0..groups {
            let x = &x[g * group.image() * batch..][..group.image() * batch];
            let weight = matrix(&weight[g * filters * rows..], filters, rows);
            let mut y = matrix_mut(&mut y[g * filters * map..], filters, map);
            for tile in self.tiles(batch) {
                im2col(&group, x, batch, tile.clone(), &mut self.columns);
                let columns = matrix(&self.columns, rows, tile.len() * batch);
                gemm(1.0, weight, columns, beta, y.slice_mut(s![.., tile.start * batch..tile.end * batch]));
            }
        }
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
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (group.rows(), window.positions() * batch);
        if let Some(bias) = bias {
            bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = sum(map));
        }
        weight.fill(0.0);
        for g in 0..groups {
            let x = &x[g * group.image() * batch..][..group.image() * batch];
            let dy = matrix(&dy[g * filters * map..], filters, map);
            for tile in self.tiles(batch) {
                let part = dy.slice(s![.., tile.start * batch..tile.end * batch]);
                im2col(&group, x, batch, tile.clone(), &mut self.columns);
                let columns = matrix(&self.columns, rows, tile.len() * batch);
                gemm(
                    1.0,
                    part,
                    columns.t(),
                    1.0,
                    matrix_mut(&mut weight[g * filters * rows..], filters, rows),
                );
            }
        }
    }

    /// See [`super::Convolution::data_gradient`].
    pub fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (group.rows(), window.positions() * batch);
        dx.fill(0.0);
        for g in 0..groups {
            let weight = matrix(&weight[g * filters * rows..], filters, rows);
            let dy = matrix(&dy[g * filters * map..], filters, map);
            let dx = &mut dx[g * group.image() * batch..][..group.image() * batch];
            for tile in self.tiles(batch) {
                let part = dy.slice(s![.., tile.start * batch..tile.end * batch]);
                let columns = matrix_mut(&mut self.columns, rows, tile.len() * batch);
                gemm(1.0, weight.t(), part, 0.0, columns);
                col2im_add(&group, &self.columns, batch, tile, dx);
            }
        }
    }
}
