//! What an average must be, computed on this rank alone from the gradients of all ranks.

use ternflock_collectives::codec::{Moments, Rounding, encode};
use ternflock_collectives::kernels;
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

use super::{CLIP_SIGMA, gradient, stream};

/// Whether `mean` is what `world` ranks must make of their ternaries, bit for bit.
pub fn is_ternary_mean(mean: &[f32], world: usize) -> bool {
    let (elements, mut values) = (mean.len(), Vec::new());
    let mut scale = 0.0_f32;
    let mut clips = vec![0.0; world];
    for (rank, clip) in clips.iter_mut().enumerate() {
        gradient(elements, rank, &mut values);
        let moments = Moments::of(&values);
        *clip = moments.clip(CLIP_SIGMA);
        scale = scale.max(moments.scale(*clip));
    }
    let mut planes = vec![0; words(elements.div_ceil(BLOCK), TERNARY)];
    let (mut ternaries, mut sums) = (vec![0.0; elements], vec![0.0_f32; elements]);
    for (rank, clip) in clips.into_iter().enumerate() {
        gradient(elements, rank, &mut values);
        encode(&values, clip, scale, Rounding::Stochastic(&stream(rank)), 0, &mut planes);
        // Integers up to P are exact in f32. These are the plain loops, not those that are measured.
        kernels::available()[0].decode(&planes, TERNARY, 0, 1.0, &mut ternaries);
        sums.iter_mut().zip(&ternaries).for_each(|(sum, ternary)| *sum += ternary);
    }
    let factor = scale / world as f32;
    mean.iter().zip(sums).all(|(mean, sum)| mean.to_bits() == (sum * factor).to_bits())
}

/// Whether `sums` are those of `world` ranks' gradients but for the rounding of P - 1 additions in some order, each at
/// most 2^-24 of the sum of magnitudes, and of second order.
pub fn is_float_sum(sums: &[f32], world: usize) -> bool {
    let mut exact = vec![(0.0_f64, 0.0_f64); sums.len()];
    let mut values = Vec::new();
    for rank in 0..world {
        gradient(sums.len(), rank, &mut values);
        for ((sum, magnitude), value) in exact.iter_mut().zip(&values) {
            *sum += f64::from(*value);
            *magnitude += f64::from(value.abs());
        }
    }
    sums.iter().zip(exact).all(|(sum, (exact, magnitude))| {
        (f64::from(*sum) - exact).abs() <= world as f64 * 2.0_f64.powi(-24) * magnitude
    })
}
