//! Convolution as matrix products on im2col tiles: the simple algorithm, with which the direct kernels are
//! compared, and the faster one for batches smaller than a vector.

use std::ops::Range;

use ndarray::s;

use super::Shape;
use super::algorithm::{Algorithm, Convolve, Problem};
use super::rounded::with_precision;
use crate::buffers::Buffers;
use crate::im2col::tile_positions;
use crate::{col2im_add, gemm, im2col, matrix, matrix_mut, sum};

/// The algorithm for batches of any size.
pub const ALGORITHM: Algorithm = Algorithm {
    least_batch: |_, _| Some(0),
    build: |problem, buffers| {
        let Problem { shape, columns, batch, .. } = *problem;
        with_precision(problem, buffers, |buffers| {
            Ok(Box::new(Im2colGemm::new(shape, columns, batch, buffers)?))
        })
    },
};

/// Rows of one group's column matrix.
fn rows(shape: &Shape, columns: Option<&[usize]>) -> usize {
    columns.map_or(shape.group().rows(), <[usize]>::len)
}

/// The convolution `shape`, with a buffer for the columns of a tile.
pub struct Im2colGemm {
    shape: Shape,
    /// The columns of the weight matrix, which are rows of the column matrix, if there are not all of them.
    columns: Option<Vec<usize>>,
    /// A tile of the column matrix: `[C R S, positions, N]`, or one row per column in the list.
    lowered: Vec<f32>,
}

impl Im2colGemm {
    /// For batches of at most `batch` samples.
    pub fn new(
        shape: Shape,
        columns: Option<&[usize]>,
        batch: usize,
        buffers: &mut Buffers,
    ) -> Result<Im2colGemm, String> {
        let rows = rows(&shape, columns);
        let tile = tile_positions(rows, batch, shape.window.positions());
        let lowered = buffers.zeros(&[rows, tile, batch])?;
        let columns = columns.map(|columns| buffers.list(columns.iter().copied())).transpose()?;
        Ok(Im2colGemm { shape, columns, lowered })
    }

    fn rows(&self) -> usize {
        rows(&self.shape, self.columns.as_deref())
    }

    /// The output cut into tiles of positions.
    fn tiles(&self, batch: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let positions = self.shape.window.positions();
        let tile = (self.lowered.len() / (self.rows() * batch)).clamp(1, positions);
        (0..positions).step_by(tile).map(move |first| first..positions.min(first + tile))
    }
}

impl Convolve for Im2colGemm {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (self.rows(), window.positions() * batch);
        if let Some(bias) = bias {
            y.chunks_exact_mut(map).zip(bias).for_each(|(map, &bias)| map.fill(bias));
        }
        let beta = if bias.is_some() { 1.0 } else { 0.0 };
        for g in 0..groups {
            let x = &x[g * group.image() * batch..][..group.image() * batch];
            let weight = matrix(&weight[g * filters * rows..], filters, rows);
            let mut y = matrix_mut(&mut y[g * filters * map..], filters, map);
            for tile in self.tiles(batch) {
                im2col(&group, self.columns.as_deref(), x, batch, tile.clone(), &mut self.lowered);
                let columns = matrix(&self.lowered, rows, tile.len() * batch);
                gemm(1.0, weight, columns, beta, y.slice_mut(s![.., tile.start * batch..tile.end * batch]));
            }
        }
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (self.rows(), window.positions() * batch);
        if let Some(bias) = bias {
            bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = sum(map));
        }
        weight.fill(0.0);
        for g in 0..groups {
            let x = &x[g * group.image() * batch..][..group.image() * batch];
            let dy = matrix(&dy[g * filters * map..], filters, map);
            for tile in self.tiles(batch) {
                let part = dy.slice(s![.., tile.start * batch..tile.end * batch]);
                im2col(&group, self.columns.as_deref(), x, batch, tile.clone(), &mut self.lowered);
                let columns = matrix(&self.lowered, rows, tile.len() * batch);
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

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        let Shape { filters, groups, window } = self.shape;
        let (group, filters) = (self.shape.group(), filters / groups);
        let (rows, map) = (self.rows(), window.positions() * batch);
        dx.fill(0.0);
        for g in 0..groups {
            let weight = matrix(&weight[g * filters * rows..], filters, rows);
            let dy = matrix(&dy[g * filters * map..], filters, map);
            let dx = &mut dx[g * group.image() * batch..][..group.image() * batch];
            for tile in self.tiles(batch) {
                let part = dy.slice(s![.., tile.start * batch..tile.end * batch]);
                let columns = matrix_mut(&mut self.lowered, rows, tile.len() * batch);
                gemm(1.0, weight.t(), part, 0.0, columns);
                col2im_add(&group, self.columns.as_deref(), &self.lowered, batch, tile, dx);
            }
        }
    }
}
