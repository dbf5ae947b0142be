//! Two-dimensional convolution as a matrix product on im2col tiles (cross-correlation, as in Caffe and PyTorch).
//!
//! Letters: F filters, C channels, N samples, R S kernel, P Q output; images `[C, H, W, N]`.

use std::ops::Range;

use ndarray::s;
use serde::{Deserialize, Serialize};

use super::linear::with_bias;
use super::single_image;
use super::window::window;
use crate::nn::Shape;
use crate::nn::init::{Fan, Init};
use crate::nn::layer::{Backward, Describe, Forward, Layer, ParameterSpec};
use crate::nn::size::elements;
use crate::nn::spec::{Pair, default};
use crate::tensor::{Window, col2im_add, gemm, im2col, matrix, matrix_mut};

/// Convolution: weight `[F, C, R, S]`, bias `[F]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// F.
    pub filters: usize,
    /// R and S.
    pub kernel: Pair,
    /// Step of the window.
    #[serde(default = "default::one")]
    pub stride: Pair,
    /// Zeros around the image.
    #[serde(default = "default::zero")]
    pub padding: Pair,
    /// Whether a bias is added.
    #[serde(default = "default::yes")]
    pub bias: bool,
    /// How the weight begins.
    #[serde(default = "default::init")]
    pub init: Init,
    /// How the bias begins.
    #[serde(default = "default::zeros")]
    pub bias_init: Init,
}

/// A tile of columns stays in the second-level cache between its writing and the product that reads it.
const TILE_BYTES: usize = 256 * 1024;

impl Conv2d {
    fn window(&self, inputs: &[Shape]) -> Result<Window, String> {
        if self.filters == 0 {
            return Err("filters must be at least 1".into());
        }
        self.init.check().and_then(|()| self.bias_init.check())?;
        let image = single_image(inputs)?;
        let window = window(image, self.kernel.get(), self.stride.get(), self.padding.get(), false)?;
        let (rows, columns) = window.kernel;
        // The weight, and the column matrix of one sample.
        elements(&[self.filters, window.channels, rows, columns])?;
        elements(&[window.channels, rows, columns, window.output.0, window.output.1])?;
        Ok(window)
    }
}

/// Output positions whose columns make a tile.
fn tile(window: &Window, batch: usize) -> usize {
    let position = window.rows().saturating_mul(batch.max(1)).saturating_mul(size_of::<f32>());
    (TILE_BYTES / position).clamp(1, window.positions())
}

impl Describe for Conv2d {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (height, width) = self.window(inputs)?.output;
        Ok(Shape::Image { channels: self.filters, height, width })
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let window = self.window(inputs)?;
        let (rows, columns) = window.kernel;
        let weight = ParameterSpec {
            name: "weight",
            shape: vec![self.filters, window.channels, rows, columns],
            init: self.init,
            fan: Fan { inputs: window.rows(), outputs: self.filters * rows * columns },
            decay: true,
        };
        Ok(with_bias(weight, self.bias, self.bias_init))
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        let window = self.window(inputs)?;
        Ok((self.filters as u64).saturating_mul((window.rows() * window.positions()) as u64))
    }

    fn scratch(&self, inputs: &[Shape], batch: usize) -> Result<usize, String> {
        let window = self.window(inputs)?;
        Ok(window.rows().saturating_mul(tile(&window, batch)).saturating_mul(batch))
    }

    fn build(&self, inputs: &[Shape], batch: usize) -> Result<Box<dyn Layer>, String> {
        let window = self.window(inputs)?;
        let (tile, columns) = (tile(&window, batch), vec![0.0; self.scratch(inputs, batch)?]);
        Ok(Box::new(Convolution { window, filters: self.filters, bias: self.bias, tile, columns }))
    }
}

struct Convolution {
    window: Window,
    filters: usize,
    bias: bool,
    /// Output positions a tile.
    tile: usize,
    /// One tile: `[C R S, positions, N]`.
    columns: Vec<f32>,
}

impl Convolution {
    /// The output cut into tiles of positions.
    fn tiles(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (tile, positions) = (self.tile, self.window.positions());
        (0..positions).step_by(tile).map(move |first| first..positions.min(first + tile))
    }
}

impl Layer for Convolution {
    fn forward(&mut self, pass: Forward<'_>) {
        let (rows, positions) = (self.window.rows(), self.window.positions());
        let weight = matrix(pass.parameters.get(0), self.filters, rows);
        if self.bias {
            let maps = pass.y.chunks_exact_mut(pass.batch * positions);
            maps.zip(pass.parameters.get(1)).for_each(|(map, &bias)| map.fill(bias));
        }
        let beta = if self.bias { 1.0 } else { 0.0 };
        let mut y = matrix_mut(pass.y, self.filters, pass.batch * positions);
        for tile in self.tiles() {
            im2col(&self.window, pass.x.get(0), pass.batch, tile.clone(), &mut self.columns);
            let columns = matrix(&self.columns, rows, tile.len() * pass.batch);
            let part = y.slice_mut(s![.., tile.start * pass.batch..tile.end * pass.batch]);
            gemm(1.0, weight, columns, beta, part);
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (rows, positions) = (self.window.rows(), self.window.positions());
        let weight = matrix(pass.parameters.get(0), self.filters, rows);
        if self.bias {
            let maps = pass.dy.chunks_exact(pass.batch * positions);
            let sums = maps.map(|map| map.iter().sum());
            pass.gradients.get(1).iter_mut().zip(sums).for_each(|(bias, sum): (_, f32)| *bias = sum);
        }
        pass.gradients.get(0).fill(0.0);
        if let Some(dx) = pass.dx.get(0) {
            dx.fill(0.0);
        }
        let dy = matrix(pass.dy, self.filters, pass.batch * positions);
        for tile in self.tiles() {
            let width = tile.len() * pass.batch;
            let part = dy.slice(s![.., tile.start * pass.batch..tile.end * pass.batch]);
            im2col(&self.window, pass.x.get(0), pass.batch, tile.clone(), &mut self.columns);
            let gradient = matrix_mut(pass.gradients.get(0), self.filters, rows);
            gemm(1.0, part, matrix(&self.columns, rows, width).t(), 1.0, gradient);
            if let Some(dx) = pass.dx.get(0) {
                gemm(1.0, weight.t(), part, 0.0, matrix_mut(&mut self.columns, rows, width));
                col2im_add(&self.window, &self.columns, pass.batch, tile, dx);
            }
        }
    }
}
