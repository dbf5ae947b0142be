//! Columns of U units: images, `[U, P, N]`. A plane is one unit at all P N places.

use super::LayerNorm;
use super::sums::sums;
use crate::layer::{BIAS, Backward, Forward, Layer, WEIGHT};
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, vectorise};

/// Number of places whose units a thread processes at a time.
const BLOCK: usize = 512;

pub struct ByColumn {
    options: LayerNorm,
    /// P.
    places: usize,
    /// By place and sample: the means of the last forward pass, and 1 / sqrt(biased variance + eps).
    means: Vec<f32>,
    inverses: Vec<f32>,
    /// By place and sample, with g = dy weight and x' = (x - mean) inverse: the mean of g and inverse times
    /// that of g x'.
    shifts: Vec<f32>,
    slopes: Vec<f32>,
    /// By unit: the gradients of weight and bias.
    gradients: Vec<[f32; 2]>,
}

impl ByColumn {
    pub fn new(
        options: LayerNorm,
        units: usize,
        places: usize,
        batch: usize,
        buffers: &mut Buffers,
    ) -> Result<ByColumn, String> {
        let mut by_place = || buffers.zeros(&[places, batch]);
        let [means, inverses, shifts, slopes] = [by_place()?, by_place()?, by_place()?, by_place()?];
        let gradients = buffers.zeros(&[units])?;
        Ok(ByColumn { options, places, means, inverses, shifts, slopes, gradients })
    }
}

impl Layer for ByColumn {
    fn forward(&mut self, pass: Forward<'_>) {
        let (plane, x) = (self.places * pass.batch, pass.x.get(0));
        let (means, inverses) = (&mut self.means[..plane], &mut self.inverses[..plane]);
        let eps = self.options.eps as f32;
        for_each_row((rows_mut(means, BLOCK), rows_mut(inverses, BLOCK)), |block, (means, inverses)| {
            vectorise(
                #[inline(always)]
                || moments(columns(x, plane, block, means.len()), means, inverses, eps),
            );
        });
        let (means, inverses) = (&self.means[..plane], &self.inverses[..plane]);
        let (weight, bias) = (pass.parameters.find(WEIGHT), pass.parameters.find(BIAS));
        for_each_row((rows(x, plane), rows_mut(pass.y, plane)), |unit, (x, y)| {
            let (weight, bias) = (of_unit(weight, unit, 1.0), of_unit(bias, unit, 0.0));
            vectorise(
                #[inline(always)]
                || {
                    for ((y, x), (mean, inverse)) in y.iter_mut().zip(x).zip(means.iter().zip(inverses)) {
                        *y = (x - mean) * inverse * weight + bias;
                    }
                },
            );
        });
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (plane, x, dy) = (self.places * pass.batch, pass.x.get(0), pass.dy);
        let weight = pass.parameters.find(WEIGHT);
        let (means, inverses) = (&self.means[..plane], &self.inverses[..plane]);
        if let Some(dx) = pass.dx.get(0) {
            let (shifts, slopes) = (&mut self.shifts[..plane], &mut self.slopes[..plane]);
            for_each_row((rows_mut(shifts, BLOCK), rows_mut(slopes, BLOCK)), |block, (shifts, slopes)| {
                let of_block = |values| rows_of(values, block, shifts.len());
                let (means, inverses) = (of_block(means), of_block(inverses));
                let both = columns(x, plane, block, means.len()).zip(columns(dy, plane, block, means.len()));
                vectorise(
                    #[inline(always)]
                    || gradient_means(both, weight, [means, inverses], [shifts, slopes]),
                );
            });
            let (shifts, slopes) = (&self.shifts[..plane], &self.slopes[..plane]);
            for_each_row((rows(x, plane), rows(dy, plane), rows_mut(dx, plane)), |unit, (x, dy, dx)| {
                let weight = of_unit(weight, unit, 1.0);
                vectorise(
                    #[inline(always)]
                    || {
                        let values = dx.iter_mut().zip(x).zip(dy);
                        let moments = means.iter().zip(inverses).zip(shifts.iter().zip(slopes));
                        for (((dx, x), dy), ((mean, inverse), (shift, slope))) in values.zip(moments) {
                            *dx = inverse * (dy * weight - shift - (x - mean) * slope);
                        }
                    },
                );
            });
        }
        if self.options.affine {
            let gradients = rows_mut(&mut self.gradients, 1);
            for_each_row((rows(x, plane), rows(dy, plane), gradients), |_, (x, dy, gradients)| {
                let sums = vectorise(
                    #[inline(always)]
                    || {
                        sums(
                            [x, dy, means, inverses],
                            #[inline(always)]
                            |[x, dy, mean, inverse]| [dy * ((x - mean) * inverse), dy],
                        )
                    },
                );
                gradients[0] = sums.map(|sum| sum as f32);
            });
            for (part, name) in [WEIGHT, BIAS].into_iter().enumerate() {
                let gradients = pass.gradients.get(name).iter_mut().zip(&self.gradients);
                gradients.for_each(|(gradient, parts)| *gradient = parts[part]);
            }
        }
    }
}

/// The element of `unit`, or `without`.
fn of_unit(tensor: Option<&[f32]>, unit: usize, without: f32) -> f32 {
    tensor.map_or(without, |tensor| tensor[unit])
}

/// The part of `values`, by place, that belongs to a block of `count` places.
fn rows_of(values: &[f32], block: usize, count: usize) -> &[f32] {
    &values[block * BLOCK..][..count]
}

/// The part of each plane that belongs to a block of `count` places.
#[inline(always)]
fn columns(
    values: &[f32],
    plane: usize,
    block: usize,
    count: usize,
) -> impl ExactSizeIterator<Item = &[f32]> + Clone {
    values.chunks_exact(plane).map(move |values| rows_of(values, block, count))
}

/// The moments of each place, from the parts of all planes. The sum is taken about the first unit and the
/// squares about the mean, so that a large mean costs no precision.
#[inline(always)]
fn moments<'a>(
    x: impl ExactSizeIterator<Item = &'a [f32]> + Clone,
    means: &mut [f32],
    inverses: &mut [f32],
    eps: f32,
) {
    let share = 1.0 / x.len() as f32;
    let Some(first) = x.clone().next() else { return };
    means.fill(0.0);
    for x in x.clone() {
        means.iter_mut().zip(x).zip(first).for_each(|((sum, x), first)| *sum += x - first);
    }
    means.iter_mut().zip(first).for_each(|(mean, first)| *mean = first + *mean * share);
    inverses.fill(0.0);
    for x in x {
        inverses.iter_mut().zip(x).zip(&*means).for_each(|((sum, x), mean)| *sum += (x - mean) * (x - mean));
    }
    inverses.iter_mut().for_each(|inverse| *inverse = 1.0 / (*inverse * share + eps).sqrt());
}

/// The mean of g = dy weight, and inverse times that of g x', of each place.
#[inline(always)]
fn gradient_means<'a>(
    both: impl ExactSizeIterator<Item = (&'a [f32], &'a [f32])>,
    weight: Option<&[f32]>,
    [means, inverses]: [&[f32]; 2],
    [shifts, slopes]: [&mut [f32]; 2],
) {
    let share = 1.0 / both.len() as f32;
    shifts.fill(0.0);
    slopes.fill(0.0);
    for (unit, (x, dy)) in both.enumerate() {
        let weight = of_unit(weight, unit, 1.0);
        let sums = shifts.iter_mut().zip(&mut *slopes);
        for (((shift, slope), mean), (x, dy)) in sums.zip(means).zip(x.iter().zip(dy)) {
            *shift += dy * weight;
            *slope += dy * weight * (x - mean);
        }
    }
    for ((shift, slope), inverse) in shifts.iter_mut().zip(slopes).zip(inverses) {
        *shift *= share;
        *slope *= inverse * inverse * share;
    }
}
