//! Kernels for one channel at a time: moments, normalisation and gradients, with two reads in the forward
//! pass and two in the backward pass.
//!
//! A channel is a row of `[H W, N]`; its ghost batches are blocks of columns, or complete rows if there is
//! only one.

use std::ops::Range;

use ternflock_tensor::vectorise;

/// The moments of one channel of one ghost batch in a training step.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ghost {
    /// The mean.
    pub mean: f32,
    /// 1 / sqrt(biased variance + eps).
    pub inverse: f32,
    /// The unbiased variance.
    pub variance: f32,
}

/// A channel's gradients of weight and bias.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sums {
    pub weight: f32,
    pub bias: f32,
}

/// y = (x - mean) factor + bias, followed by ReLU if set. The difference comes first, so that nothing cancels
/// when the mean is large compared with the deviation.
#[derive(Clone, Copy)]
struct Affine {
    mean: f32,
    factor: f32,
    bias: f32,
    relu: bool,
}

impl Affine {
    #[inline(always)]
    fn linear(&self, x: f32) -> f32 {
        (x - self.mean) * self.factor + self.bias
    }

    /// The gradient that reaches `linear` from `dy` through ReLU.
    #[inline(always)]
    fn masked(&self, x: f32, dy: f32) -> f32 {
        // With bit operations, because the compiler turns a branch into neither vector code nor a select.
        let keep = u32::from(self.linear(x) > 0.0).wrapping_neg();
        f32::from_bits(dy.to_bits() & keep)
    }
}

/// How a channel is normalised.
#[derive(Clone, Copy)]
pub struct Channel {
    /// N.
    pub samples: usize,
    /// G.
    pub ghost: usize,
    pub weight: f32,
    pub bias: f32,
    pub eps: f64,
    pub relu: bool,
}

impl Channel {
    /// Normalises with the moments of each ghost batch, which are written to `ghosts`.
    pub fn train(&self, x: &[f32], y: &mut [f32], ghosts: &mut [Ghost]) {
        for (columns, seen) in self.columns().zip(ghosts) {
            let blocks = Blocks::new(x.len(), self.samples, columns);
            let moments = vectorise(
                #[inline(always)]
                || Moments::of(blocks.iter().map(|block| &x[block])),
            );
            let inverse = self.inverse(moments.squares / moments.count);
            let variance = (moments.squares / (moments.count - 1.0).max(1.0)) as f32;
            *seen = Ghost { mean: moments.mean as f32, inverse, variance };
            let affine = self.affine(seen.mean, inverse);
            blocks.iter().for_each(|block| scale(&x[block.clone()], &mut y[block], affine));
        }
    }

    /// Normalises with a known mean and variance; returns them.
    pub fn evaluate(&self, x: &[f32], y: &mut [f32], mean: f32, variance: f32) -> Ghost {
        let inverse = self.inverse(f64::from(variance));
        scale(x, y, self.affine(mean, inverse));
        Ghost { mean, inverse, variance }
    }

    /// The gradients of weight and bias for the moments `ghosts`; writes the gradient of the input to `dx`.
    /// With x' = (x - mean) inverse: dx = weight inverse (dy - mean of dy - x' mean of dy x'). If the moments
    /// are `fixed`, the same for all samples, they do not depend on x, and dx = weight inverse dy.
    pub fn backward(
        &self,
        x: &[f32],
        dy: &[f32],
        mut dx: Option<&mut [f32]>,
        ghosts: &[Ghost],
        fixed: bool,
    ) -> Sums {
        let (mut of_weight, mut of_bias) = (0.0, 0.0);
        let ghost = if fixed { self.samples } else { self.ghost };
        for (columns, seen) in (Channel { ghost, ..*self }).columns().zip(ghosts) {
            let blocks = Blocks::new(x.len(), self.samples, columns);
            let affine = self.affine(seen.mean, seen.inverse);
            let (plain, centred) = blocks.iter().fold((0.0, 0.0), |sums, block| {
                let more = gradient_sums(&x[block.clone()], &dy[block], affine);
                (sums.0 + more.0, sums.1 + more.1)
            });
            let inverse = f64::from(seen.inverse);
            of_weight += centred * inverse;
            of_bias += plain;
            let Some(dx) = dx.as_deref_mut() else { continue };
            let count = if fixed { f64::INFINITY } else { blocks.elements() as f64 };
            let (shift, slope) = ((plain / count) as f32, (centred * inverse * inverse / count) as f32);
            for block in blocks.iter() {
                input_gradient(&x[block.clone()], &dy[block.clone()], &mut dx[block], affine, shift, slope);
            }
        }
        Sums { weight: of_weight as f32, bias: of_bias as f32 }
    }

    /// 1 / sqrt(variance + eps).
    fn inverse(&self, variance: f64) -> f32 {
        (1.0 / (variance + self.eps).sqrt()) as f32
    }

    fn affine(&self, mean: f32, inverse: f32) -> Affine {
        Affine { mean, factor: self.weight * inverse, bias: self.bias, relu: self.relu }
    }

    /// The columns of each ghost batch; the last one has the remaining columns.
    fn columns(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let Channel { samples, ghost, .. } = *self;
        (0..samples).step_by(ghost).map(move |first| first..samples.min(first + ghost))
    }
}

/// Computes `y` from `x`, element by element.
fn scale(x: &[f32], y: &mut [f32], affine: Affine) {
    vectorise(
        #[inline(always)]
        || match affine.relu {
            // Written so that a NaN stays one.
            true => y.iter_mut().zip(x).for_each(|(y, &x)| {
                let value = affine.linear(x);
                *y = if value < 0.0 { 0.0 } else { value };
            }),
            false => y.iter_mut().zip(x).for_each(|(y, &x)| *y = affine.linear(x)),
        },
    );
}

/// The sums of dy and of dy (x - mean).
fn gradient_sums(x: &[f32], dy: &[f32], affine: Affine) -> (f64, f64) {
    #[inline(always)]
    fn sums(x: &[f32], dy: &[f32], masked: impl Fn(f32, f32) -> f32, mean: f32) -> (f64, f64) {
        let (mut plain, mut centred) = (0.0, 0.0);
        for (x, dy) in x.chunks(CHUNK).zip(dy.chunks(CHUNK)) {
            let (mut a, mut b) = ([0.0f32; LANES], [0.0f32; LANES]);
            let ((xs, x_rest), (dys, dy_rest)) = (x.as_chunks::<LANES>(), dy.as_chunks::<LANES>());
            for (xs, dys) in xs.iter().zip(dys) {
                for lane in 0..LANES {
                    let dy = masked(xs[lane], dys[lane]);
                    a[lane] += dy;
                    b[lane] += dy * (xs[lane] - mean);
                }
            }
            for (lane, (&x, &dy)) in x_rest.iter().zip(dy_rest).enumerate() {
                let dy = masked(x, dy);
                a[lane] += dy;
                b[lane] += dy * (x - mean);
            }
            plain += total(&a);
            centred += total(&b);
        }
        (plain, centred)
    }
    vectorise(
        #[inline(always)]
        || match affine.relu {
            true => sums(
                x,
                dy,
                #[inline(always)]
                |x, dy| affine.masked(x, dy),
                affine.mean,
            ),
            false => sums(
                x,
                dy,
                #[inline(always)]
                |_, dy| dy,
                affine.mean,
            ),
        },
    )
}

/// dx = factor (dy - shift - (x - mean) slope).
fn input_gradient(x: &[f32], dy: &[f32], dx: &mut [f32], affine: Affine, shift: f32, slope: f32) {
    let Affine { mean, factor, relu, .. } = affine;
    vectorise(
        #[inline(always)]
        || match relu {
            true => dx.iter_mut().zip(x).zip(dy).for_each(|((dx, &x), &dy)| {
                *dx = factor * (affine.masked(x, dy) - shift - (x - mean) * slope);
            }),
            false => dx.iter_mut().zip(x).zip(dy).for_each(|((dx, &x), &dy)| {
                *dx = factor * (dy - shift - (x - mean) * slope);
            }),
        },
    );
}

/// Number of parallel partial sums. The compiler may not introduce them itself, because they change the order
/// of the sum.
const LANES: usize = 32;
/// Number of elements that are summed in f32, 64 per lane; these sums are added in f64.
const CHUNK: usize = 64 * LANES;

#[inline(always)]
fn total(lanes: &[f32; LANES]) -> f64 {
    lanes.iter().map(|&sum| f64::from(sum)).sum()
}

/// Count, mean and sum of squared deviations from it.
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    /// The moments of all `blocks` together, which are read from memory once. While a chunk is in the L1
    /// cache, its sum is taken about its first element and its squares about its own mean, so that a large
    /// mean costs no precision. The chunks are combined as in Chan, Golub and LeVeque ("Updating formulae and
    /// a pairwise algorithm", 1979, equation 2.1).
    #[inline(always)]
    fn of<'a>(blocks: impl Iterator<Item = &'a [f32]>) -> Moments {
        let mut all = Moments::default();
        for chunk in blocks.flat_map(|block| block.chunks(CHUNK)) {
            let count = chunk.len() as f64;
            let first = chunk[0];
            let mean = f64::from(first) + sum(chunk, |x| x - first) / count;
            let centre = mean as f32;
            let off = mean - f64::from(centre);
            let squares = sum(chunk, |x| (x - centre) * (x - centre)) - count * off * off;
            let (difference, together) = (mean - all.mean, all.count + count);
            all.mean += difference * count / together;
            all.squares += squares + difference * difference * all.count * count / together;
            all.count = together;
        }
        all
    }
}

#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f64 {
    let (blocks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0f32; LANES];
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(lane, &value)| *lane += of(value));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, &value)| *lane += of(value));
    total(&lanes)
}

/// The contiguous pieces of a block of columns in a channel.
#[derive(Clone)]
struct Blocks {
    width: usize,
    first: Range<usize>,
    count: usize,
}

impl Blocks {
    fn new(elements: usize, n: usize, columns: Range<usize>) -> Blocks {
        match columns.len() == n {
            true => Blocks { width: elements, first: 0..elements, count: 1 },
            false => Blocks { width: n, first: columns, count: elements / n },
        }
    }

    #[inline(always)]
    fn iter(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (width, Range { start, end }) = (self.width, self.first.clone());
        (0..self.count).map(move |index| index * width + start..index * width + end)
    }

    fn elements(&self) -> usize {
        self.count * self.first.len()
    }
}
