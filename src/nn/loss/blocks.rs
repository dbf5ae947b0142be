//! Losses of values: the mean over outputs, computed block by block over all values of a batch.

use super::Tally;
use crate::targets::Targets;
use ternflock_tensor::{for_each_row, rows, rows_mut, vectorise};

/// The number of values that a thread processes at a time, and the number of blocks whose sums are on the stack.
const BLOCK: usize = 4096;
const BLOCKS: usize = 64;

/// The number of lanes for sums, which are then combined: a fixed order.
pub(super) const LANES: usize = 16;

/// A part of a batch: outputs, their targets, and the place of the first in the batch.
pub(super) struct Block<'a> {
    pub outputs: &'a [f32],
    pub values: &'a [f32],
    pub first: usize,
}

/// The tally of `outputs` against the values of `targets`. `one` has the sum of the losses of a block and writes its
/// gradient, before the division by the number of outputs, for the given weight. Sums are added in the order of the
/// blocks, for any number of threads.
pub(super) fn over_blocks(
    outputs: &[f32],
    targets: &Targets,
    weight: f32,
    mut gradient: Option<&mut [f32]>,
    one: impl Fn(Block, f32, Option<&mut [f32]>) -> f64 + Sync,
) -> Tally {
    let (values, width) = (&targets.values[..], targets.width);
    assert_eq!(outputs.len(), values.len(), "outputs and targets of {width} values");
    let scale = weight / width as f32;
    let mut total = 0.0;
    let parts = outputs.chunks(BLOCKS * BLOCK).zip(values.chunks(BLOCKS * BLOCK));
    for (part, (outputs, values)) in parts.enumerate() {
        let mut sums = [0.0; BLOCKS];
        let blocks = outputs.len().div_ceil(BLOCK);
        let (first, results) = (part * BLOCKS * BLOCK, rows_mut(&mut sums[..blocks], 1));
        let both = (rows(outputs, BLOCK), rows(values, BLOCK));
        match gradient.as_deref_mut() {
            None => for_each_row((both, results), |n, ((outputs, values), sum)| {
                sum[0] = one(Block { outputs, values, first: first + n * BLOCK }, scale, None);
            }),
            Some(gradient) => {
                let gradient = rows_mut(&mut gradient[first..][..outputs.len()], BLOCK);
                for_each_row((both, gradient, results), |n, ((outputs, values), gradient, sum)| {
                    sum[0] = one(Block { outputs, values, first: first + n * BLOCK }, scale, Some(gradient));
                });
            }
        }
        total += sums[..blocks].iter().sum::<f64>();
    }
    let samples = values.len().checked_div(width).unwrap_or(0) as u64;
    Tally { loss: if samples > 0 { total / width as f64 } else { 0.0 }, samples, ..Tally::default() }
}

/// The tally of a loss that is the mean over outputs of `loss(difference)`, whose derivative is `slope(difference)`; the
/// difference is output minus target.
///
/// # Panics
/// If the targets are classes, or if there are not as many as outputs.
pub fn of_differences(
    outputs: &[f32],
    targets: &Targets,
    weight: f32,
    gradient: Option<&mut [f32]>,
    loss: impl Fn(f64) -> f64 + Sync,
    slope: impl Fn(f32) -> f32 + Sync,
) -> Tally {
    over_blocks(outputs, targets, weight, gradient, |block, scale, gradient| {
        vectorise(
            #[inline(always)]
            || {
                let Block { outputs, values, .. } = block;
                if let Some(gradient) = gradient {
                    for ((to, output), value) in gradient.iter_mut().zip(outputs).zip(values) {
                        *to = scale * slope(output - value);
                    }
                }
                let one = |(output, value): (&f32, &f32)| loss(f64::from(output - value));
                let ((outputs, rest), (values, others)) =
                    (outputs.as_chunks::<LANES>(), values.as_chunks::<LANES>());
                let mut sums = [0.0f64; LANES];
                for (outputs, values) in outputs.iter().zip(values) {
                    for (sum, pair) in sums.iter_mut().zip(outputs.iter().zip(values)) {
                        *sum += one(pair);
                    }
                }
                sums.iter().sum::<f64>() + rest.iter().zip(others).map(one).sum::<f64>()
            },
        )
    })
}
