//! The two layers whose weights may be sparse: the forward passes of `Convolution` and of a linear layer.

use super::Csr;
use crate::blocks::{Shared, part};
use crate::buffers::{Buffers, elements};
use crate::im2col::tile_positions;
use crate::scratch::Scratch;
use crate::{ConvolutionShape, for_each, im2col, transpose};

/// Rows of a linear layer's weight per task.
const TASK_ROWS: usize = 32;

/// A convolution with a sparse weight, on im2col tiles (Caffe calls this lowering).
pub struct SparseConvolution {
    shape: ConvolutionShape,
    /// The weight of each group of filters, `[F / groups, C / groups R S]`.
    weights: Vec<Csr>,
    /// Positions per tile.
    tile: usize,
    /// A tile's columns, for each thread.
    columns: Scratch,
}

impl SparseConvolution {
    /// The convolution `shape` with `weight` `[F, C / groups, R, S]`, for batches of at most `batch` samples
    /// and the current number of threads.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    ///
    /// # Panics
    /// When the weight is shorter than that.
    pub fn new(shape: ConvolutionShape, weight: &[f32], batch: usize) -> Result<SparseConvolution, String> {
        let (filters, rows) = (shape.filters / shape.groups, shape.window.rows() / shape.groups);
        let weights = weight.chunks_exact(filters * rows).take(shape.groups);
        let weights: Vec<Csr> = weights.map(|weight| Csr::new(weight, filters, rows)).collect();
        assert_eq!(weights.len(), shape.groups, "the weight is too short");
        let tile = tile_positions(rows, batch, shape.window.positions());
        let columns = Scratch::new(elements(&[rows, tile, batch])?, &mut Buffers::allocating())?;
        Ok(SparseConvolution { shape, weights, tile, columns })
    }

    /// How many numbers of the weight are not zero.
    pub fn nonzero(&self) -> usize {
        self.weights.iter().map(Csr::nonzero).sum()
    }

    /// Overwrites `y` `[F, P, Q, batch]` with the convolution of `x` `[C, H, W, batch]` with the weight, plus
    /// `bias` `[F]`.
    ///
    /// # Panics
    /// When a slice is shorter than that.
    pub fn forward(&self, batch: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let ConvolutionShape { window, filters, groups } = self.shape;
        let (group, filters) =
            (crate::Window { channels: window.channels / groups, ..window }, filters / groups);
        let map = window.positions() * batch;
        assert!(y.len() >= groups * filters * map);
        let (tiles, y) = (window.positions().div_ceil(self.tile), Shared(y.as_mut_ptr()));
        for_each(groups * tiles, |task| {
            let (g, positions) = (task / tiles, part(window.positions(), self.tile, task % tiles));
            let x = &x[g * group.image() * batch..][..group.image() * batch];
            let bias = bias.map(|bias| &bias[g * filters..]);
            let n = positions.len() * batch;
            self.columns.with(group.rows() * n, |columns| {
                im2col(&group, None, x, batch, positions.clone(), columns);
                // SAFETY: `y` has a map for each filter of each group, and no other task has these positions of this group's.
                unsafe {
                    let y = Shared(y.at(g * filters * map + positions.start * batch));
                    self.weights[g].multiply_rows(0..filters, columns, n, bias, y, map);
                }
            });
        });
    }
}

/// A linear layer with a sparse weight: rows are transposed to columns, so that vectors run over them, and
/// transposed back.
pub struct SparseLinear {
    /// `[U, D]`.
    weight: Csr,
    /// `[D, rows]` and `[U, rows]`.
    x: Vec<f32>,
    y: Vec<f32>,
}

impl SparseLinear {
    /// The linear layer with `weight` `[units, features]`, for at most `rows` rows.
    ///
    /// # Panics
    /// When the weight is shorter than that.
    pub fn new(weight: &[f32], units: usize, features: usize, rows: usize) -> SparseLinear {
        let weight = Csr::new(weight, units, features);
        SparseLinear { weight, x: vec![0.0; features * rows], y: vec![0.0; units * rows] }
    }

    /// How many numbers of the weight are not zero.
    pub fn nonzero(&self) -> usize {
        self.weight.nonzero()
    }

    /// Overwrites `y` `[rows, U]` with `x` `[rows, D]` times the transposed weight, plus `bias` `[U]`.
    ///
    /// # Panics
    /// When a slice is shorter than that, or there are more rows than it was built for.
    pub fn forward(&mut self, rows: usize, x: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let (units, features) = (self.weight.rows(), self.weight.columns());
        transpose(x, rows, features, &mut self.x);
        let (weight, x, columns) = (&self.weight, &self.x[..], &mut self.y[..units * rows]);
        let columns_of = Shared(columns.as_mut_ptr());
        for_each(units.div_ceil(TASK_ROWS), |task| {
            let own = part(units, TASK_ROWS, task);
            // SAFETY: a row for each unit, and no other task has these.
            unsafe { weight.multiply_rows(own, x, rows, bias, columns_of, rows) };
        });
        transpose(&self.y, units, rows, y);
    }
}
