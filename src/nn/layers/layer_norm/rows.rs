//! Rows of U units: vectors and sequences.

use super::LayerNorm;
use super::sums::sums;
use crate::layer::{BIAS, Backward, Forward, Layer, WEIGHT};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, vectorise};

/// Number of rows that a thread processes at a time, and whose gradients of weight and bias are summed in
/// f32; these sums are added in f64.
const BLOCK: usize = 32;

/// The moments of a row in the last forward pass.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    mean: f32,
    /// 1 / sqrt(biased variance + eps).
    inverse: f32,
}

pub struct ByRow {
    options: LayerNorm,
    /// U.
    units: usize,
    /// By row.
    moments: Vec<Moments>,
    /// By block of rows: the gradients of weight and bias; one unused element without them.
    partial: Vec<f32>,
}

impl ByRow {
    pub fn new(
        options: LayerNorm,
        units: usize,
        places: usize,
        batch: usize,
        buffers: &mut Buffers,
    ) -> Result<ByRow, String> {
        let moments = buffers.zeros(&[places, batch])?;
        let partial = buffers.zeros(&[(places * batch).div_ceil(BLOCK), width(&options, units)])?;
        Ok(ByRow { options, units, moments, partial })
    }
}

/// The elements of a block's partial sums.
fn width(options: &LayerNorm, units: usize) -> usize {
    if options.affine { 2 * units } else { 1 }
}

impl Layer for ByRow {
    fn forward(&mut self, pass: Forward<'_>) {
        let (units, x) = (self.units, pass.x.get(0));
        let affine = pass.parameters.find(WEIGHT).zip(pass.parameters.find(BIAS));
        let moments = rows_mut(&mut self.moments[..x.len() / units], BLOCK);
        let eps = self.options.eps;
        for_each_row(
            (rows(x, BLOCK * units), rows_mut(pass.y, BLOCK * units), moments),
            |_, (x, y, moments)| {
                vectorise(
                    #[inline(always)]
                    || {
                        let rows = x.chunks_exact(units).zip(y.chunks_exact_mut(units));
                        for ((x, y), moments) in rows.zip(moments) {
                            *moments = moments_of(x, eps);
                            normalise(x, y, *moments, affine);
                        }
                    },
                );
            },
        );
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (units, x) = (self.units, pass.x.get(0));
        let count = x.len() / units;
        let weight = pass.parameters.find(WEIGHT);
        let moments = rows(&self.moments[..count], BLOCK);
        let width = width(&self.options, units);
        let partial = &mut self.partial[..count.div_ceil(BLOCK) * width];
        let (x, dy) = (rows(x, BLOCK * units), rows(pass.dy, BLOCK * units));
        match pass.dx.get(0) {
            Some(dx) => {
                let dx = rows_mut(dx, BLOCK * units);
                let all = (x, dy, moments, rows_mut(partial, width), dx);
                for_each_row(all, |_, (x, dy, moments, partial, dx)| {
                    vectorise(
                        #[inline(always)]
                        || {
                            input_gradients(units, x, dy, dx, moments, weight);
                            parameter_gradients(units, x, dy, moments, partial);
                        },
                    );
                });
            }
            None => {
                for_each_row((x, dy, moments, rows_mut(partial, width)), |_, (x, dy, moments, partial)| {
                    vectorise(
                        #[inline(always)]
                        || parameter_gradients(units, x, dy, moments, partial),
                    );
                })
            }
        }
        if self.options.affine {
            let partial = &self.partial[..count.div_ceil(BLOCK) * width];
            add_blocks(partial, width, 0, pass.gradients.get(WEIGHT));
            add_blocks(partial, width, units, pass.gradients.get(BIAS));
        }
    }
}

/// The sum is taken about the first element and the squares about the mean, so that a large mean costs no
/// precision.
#[inline(always)]
fn moments_of(x: &[f32], eps: f64) -> Moments {
    let (count, first) = (x.len() as f64, x[0]);
    let [sum] = sums(
        [x],
        #[inline(always)]
        |[x]| [x - first],
    );
    let mean = f64::from(first) + sum / count;
    let centre = mean as f32;
    let off = mean - f64::from(centre);
    let [squares] = sums(
        [x],
        #[inline(always)]
        |[x]| [(x - centre) * (x - centre)],
    );
    let variance = squares / count - off * off;
    Moments { mean: centre, inverse: (1.0 / (variance + eps).sqrt()) as f32 }
}

/// The difference comes first, so that nothing cancels when the mean is large.
#[inline(always)]
fn normalise(x: &[f32], y: &mut [f32], Moments { mean, inverse }: Moments, affine: Option<(&[f32], &[f32])>) {
    match affine {
        Some((weight, bias)) => {
            let factors = weight.iter().zip(bias);
            for ((y, x), (weight, bias)) in y.iter_mut().zip(x).zip(factors) {
                *y = (x - mean) * inverse * weight + bias;
            }
        }
        None => y.iter_mut().zip(x).for_each(|(y, x)| *y = (x - mean) * inverse),
    }
}

/// With g = dy weight and x' = (x - mean) inverse: dx = inverse (g - mean of g - x' mean of g x').
#[inline(always)]
fn input_gradients(
    units: usize,
    x: &[f32],
    dy: &[f32],
    dx: &mut [f32],
    moments: &[Moments],
    weight: Option<&[f32]>,
) {
    let rows = x.chunks_exact(units).zip(dy.chunks_exact(units)).zip(dx.chunks_exact_mut(units));
    for (((x, dy), dx), &Moments { mean, inverse }) in rows.zip(moments) {
        let [plain, centred] = match weight {
            Some(weight) => sums(
                [x, dy, weight],
                #[inline(always)]
                |[x, dy, w]| [dy * w, dy * w * (x - mean)],
            ),
            None => sums(
                [x, dy],
                #[inline(always)]
                |[x, dy]| [dy, dy * (x - mean)],
            ),
        };
        let (count, wide) = (units as f64, f64::from(inverse));
        let (shift, slope) = ((plain / count) as f32, (centred * wide * wide / count) as f32);
        let values = dx.iter_mut().zip(x).zip(dy);
        match weight {
            Some(weight) => values.zip(weight).for_each(|(((dx, x), dy), weight)| {
                *dx = inverse * (dy * weight - shift - (x - mean) * slope);
            }),
            None => values.for_each(|((dx, x), dy)| *dx = inverse * (dy - shift - (x - mean) * slope)),
        }
    }
}

/// The sums of dy x' and of dy over the rows of a block; nothing without weight and bias.
#[inline(always)]
fn parameter_gradients(units: usize, x: &[f32], dy: &[f32], moments: &[Moments], partial: &mut [f32]) {
    if partial.len() < 2 * units {
        return;
    }
    let (of_weight, of_bias) = partial.split_at_mut(units);
    of_weight.fill(0.0);
    of_bias.fill(0.0);
    for ((x, dy), &Moments { mean, inverse }) in
        x.chunks_exact(units).zip(dy.chunks_exact(units)).zip(moments)
    {
        let sums = of_weight.iter_mut().zip(&mut *of_bias);
        for ((x, dy), (of_weight, of_bias)) in x.iter().zip(dy).zip(sums) {
            *of_weight += dy * ((x - mean) * inverse);
            *of_bias += dy;
        }
    }
}

/// `gradient` = the sum over all blocks of their elements from `first` on.
fn add_blocks(partial: &[f32], width: usize, first: usize, gradient: &mut [f32]) {
    const PIECE: usize = 64;
    for_each_row(rows_mut(gradient, PIECE), |piece, gradient| {
        vectorise(
            #[inline(always)]
            || {
                let mut sums = [0.0f64; PIECE];
                for block in partial.chunks_exact(width) {
                    let block = &block[first + piece * PIECE..][..gradient.len()];
                    sums.iter_mut().zip(block).for_each(|(sum, &value)| *sum += f64::from(value));
                }
                gradient.iter_mut().zip(sums).for_each(|(gradient, sum)| *gradient = sum as f32);
            },
        );
    });
}
