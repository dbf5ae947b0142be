//! Local response normalisation, across channels (Krizhevsky, Sutskever and Hinton, 2012, section 3.3; with alpha divided
//! by the size as in Caffe and PyTorch) or within a channel (Caffe's `WITHIN_CHANNEL`).
//!
//! Letters: C channels, H W image, N samples; images `[C, H, W, N]`. s is the size of the window: the number
//! of channels (across) or the side in pixels (within).

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, single_image};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, vectorise};

/// y = x (k + alpha / n sum of x² over the window)^-beta, where n is the window's size (across) or its square
/// (within); values outside the image count as zero.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalResponseNorm {
    /// s. An even window across channels extends one channel further down, as in PyTorch.
    pub size: usize,
    /// Weight of the squares.
    #[serde(default = "default_alpha")]
    pub alpha: f64,
    /// Exponent.
    #[serde(default = "default_beta")]
    pub beta: f64,
    /// The constant added to the squares.
    #[serde(default = "default_k")]
    pub k: f64,
    /// The dimension of the window.
    #[serde(default)]
    pub region: Region,
}

/// The dimension of the window of a local response normalisation; Caffe's `norm_region`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Region {
    /// The same pixel in neighbouring channels.
    #[default]
    AcrossChannels,
    /// Neighbouring pixels of the same channel.
    WithinChannel,
}

fn default_alpha() -> f64 {
    1e-4
}

fn default_beta() -> f64 {
    0.75
}

fn default_k() -> f64 {
    1.0
}

impl LocalResponseNorm {
    fn image(&self, inputs: &[Shape]) -> Result<(usize, usize, usize), String> {
        let within = |number: f64| number.is_finite() && number >= 0.0;
        if !(within(self.alpha) && within(self.beta) && within(self.k) && self.k > 0.0) {
            let LocalResponseNorm { alpha, beta, k, .. } = self;
            return Err(format!("alpha = {alpha} and beta = {beta} must be at least 0, and k = {k} above 0"));
        }
        let is_within = self.region == Region::WithinChannel;
        if self.size == 0 || (is_within && self.size.is_multiple_of(2)) {
            return Err(format!("size = {} must be at least 1, and odd within a channel", self.size));
        }
        let (channels, height, width) = single_image(inputs)?;
        let most = if is_within { 2 * height.max(width) } else { 2 * channels };
        if self.size > most.saturating_add(1) {
            let described = inputs[0].described();
            return Err(format!("size = {} extends far beyond {described}; {most} covers it", self.size));
        }
        Ok((channels, height, width))
    }
}

impl Examples for LocalResponseNorm {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "local_response_norm", "size": 3}"#, inputs: &[IMAGE] }];
}

impl WithoutMatrix for LocalResponseNorm {}

impl Describe for LocalResponseNorm {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (channels, height, width) = self.image(inputs)?;
        Ok(Shape::Image { channels, height, width })
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        let across = "local_response_norm takes neighbouring channels together";
        let across = (self.region != Region::WithinChannel).then_some(across);
        Ok(Coupling { keeps_inputs: across, keeps_output: across, ..Coupling::unit_by_unit() })
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let (channels, height, width) = self.image(inputs)?;
        let all = [channels, height, width, batch];
        let window = if self.region == Region::WithinChannel { self.size * self.size } else { self.size };
        Ok(Box::new(Response {
            share: (self.alpha / window as f64) as f32,
            slope: (2.0 * self.alpha * self.beta / window as f64) as f32,
            options: self.clone(),
            channels,
            size: (height, width),
            bases: buffers.zeros(&all)?,
            ratios: buffers.zeros(&all)?,
        }))
    }
}

struct Response {
    options: LocalResponseNorm,
    channels: usize,
    /// H and W.
    size: (usize, usize),
    /// alpha / n, and the derivative's 2 alpha beta / n.
    share: f32,
    slope: f32,
    /// The bases of the powers, `k + ...`, of the last forward pass.
    bases: Vec<f32>,
    /// dy y / base, of the backward pass.
    ratios: Vec<f32>,
}

/// Number of elements of a piece of a channel that stays in the L1 cache while all neighbours are added to
/// it.
const PIECE: usize = 2048;

impl Response {
    /// The extent of the window below and above.
    fn reach(&self) -> (usize, usize) {
        (self.options.size / 2, (self.options.size - 1) / 2)
    }

    /// Sums the window of every element of channel `channel`: calls `add(sums, values)` with equally long
    /// pieces of `sums`, from this channel, and of `values`, from all channels. `down` and `up` are the
    /// extent of the window.
    fn add_window(
        &self,
        channel: usize,
        n: usize,
        (down, up): (usize, usize),
        values: &[f32],
        sums: &mut [f32],
        add: impl Fn(&mut [f32], &[f32]),
    ) {
        let plane = sums.len();
        match self.options.region {
            Region::AcrossChannels => {
                let window = reached(channel, down, up, self.channels);
                for (piece, sums) in sums.chunks_mut(PIECE).enumerate() {
                    for neighbour in window.clone() {
                        add(sums, &values[neighbour * plane + piece * PIECE..][..sums.len()]);
                    }
                }
            }
            Region::WithinChannel => {
                let ((height, width), own) = (self.size, &values[channel * plane..][..plane]);
                for (pixel, sums) in sums.chunks_exact_mut(n).enumerate() {
                    let columns = reached(pixel % width, down, up, width);
                    for row in reached(pixel / width, down, up, height) {
                        for column in columns.clone() {
                            add(sums, &own[(row * width + column) * n..][..n]);
                        }
                    }
                }
            }
        }
    }
}

/// The part of `0..end` that a window around `at` covers.
fn reached(at: usize, down: usize, up: usize, end: usize) -> Range<usize> {
    at.saturating_sub(down)..end.min(at + up + 1)
}

/// Calls `each` with base^-beta for every base; a `beta` of 3/4 is computed by two square roots.
#[inline(always)]
fn with_powers(bases: &[f32], beta: f64, mut each: impl FnMut(usize, f32)) {
    if beta == 0.75 {
        for (i, base) in bases.iter().enumerate() {
            let root = 1.0 / base.sqrt();
            each(i, root * root.sqrt());
        }
    } else {
        bases.iter().enumerate().for_each(|(i, base)| each(i, base.powf(-beta as f32)));
    }
}

impl Layer for Response {
    fn forward(&mut self, pass: Forward<'_>) {
        let (n, x) = (pass.batch, pass.x.get(0));
        let (k, beta, share) = (self.options.k as f32, self.options.beta, self.share);
        let plane = self.size.0 * self.size.1 * n;
        let mut bases = std::mem::take(&mut self.bases);
        let used = &mut bases[..self.channels * plane];
        for_each_row((rows_mut(used, plane), rows_mut(pass.y, plane)), |channel, (bases, y)| {
            bases.fill(k);
            self.add_window(channel, n, self.reach(), x, bases, |bases, x| {
                vectorise(
                    #[inline(always)]
                    || bases.iter_mut().zip(x).for_each(|(base, x)| *base += share * (x * x)),
                );
            });
            let x = &x[channel * plane..][..plane];
            vectorise(
                #[inline(always)]
                || with_powers(&bases[..x.len()], beta, |i, power| y[i] = x[i] * power),
            );
        });
        self.bases = bases;
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (n, x, plane) = (pass.batch, pass.x.get(0), self.size.0 * self.size.1 * pass.batch);
        let (beta, slope, bases) = (self.options.beta, self.slope, &self.bases[..self.channels * plane]);
        let mut ratios = std::mem::take(&mut self.ratios);
        let used = &mut ratios[..self.channels * plane];
        for_each_row(
            (rows_mut(used, plane), rows(pass.dy, plane), rows(pass.y, plane), rows(bases, plane)),
            |_, (ratios, dy, y, bases)| {
                vectorise(
                    #[inline(always)]
                    || {
                        for (((ratio, dy), y), base) in ratios.iter_mut().zip(dy).zip(y).zip(bases) {
                            *ratio = dy * y / base;
                        }
                    },
                );
            },
        );
        // The elements whose windows contain this one: the extents are swapped.
        let (down, up) = self.reach();
        let inputs = (rows_mut(dx, plane), rows(pass.dy, plane), rows(x, plane), rows(bases, plane));
        for_each_row(inputs, |channel, (dx, dy, x, bases)| {
            dx.fill(0.0);
            self.add_window(channel, n, (up, down), &ratios, dx, |dx, ratios| {
                vectorise(
                    #[inline(always)]
                    || dx.iter_mut().zip(ratios).for_each(|(sum, ratio)| *sum += ratio),
                );
            });
            vectorise(
                #[inline(always)]
                || {
                    with_powers(bases, beta, |i, power| dx[i] = dy[i] * power - slope * x[i] * dx[i]);
                },
            );
        });
        self.ratios = ratios;
    }
}
