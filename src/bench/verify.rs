//! What an average must be, computed on this rank alone from the gradients of all ranks, by the portable kernels: none of
//! the loops that are measured has a part in it, unless the machine has no others.

use ternflock_collectives::codec::{Moments, Rounding};
use ternflock_collectives::kernels;
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

use super::{CLIP_SIGMA, gradient, stream};

/// Whether `mean` is what `world` ranks must make of their ternaries, bit for bit.
pub fn is_ternary_mean(mean: &[f32], world: usize) -> bool {
    let portable = &kernels::available()[0];
    let (elements, mut values) = (mean.len(), Vec::new());
    let mut scale = 0.0_f32;
    let mut clips = vec![0.0; world];
    for (rank, clip) in clips.iter_mut().enumerate() {
        gradient(elements, rank, &mut values);
        let moments = Moments::by(portable, &values);
        *clip = moments.clip(CLIP_SIGMA);
        scale = scale.max(moments.scale(*clip));
    }
    let mut planes = vec![0; words(elements.div_ceil(BLOCK), TERNARY)];
    let (mut ternaries, mut sums) = (vec![0.0; elements], vec![0.0_f32; elements]);
    for (rank, clip) in clips.into_iter().enumerate() {
        gradient(elements, rank, &mut values);
        portable.encode(&values, clip, scale, Rounding::Stochastic(&stream(rank)), 0, &mut planes);
        // Integers up to P are exact in f32.
        portable.decode(&planes, TERNARY, 0, 1.0, &mut ternaries);
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

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENTS: usize = 1000;

    /// One rank's mean, by the kernels that are measured.
    fn mean() -> Vec<f32> {
        let (mut values, fastest) = (Vec::new(), kernels::best());
        gradient(ELEMENTS, 0, &mut values);
        let moments = Moments::by(fastest, &values);
        let clip = moments.clip(CLIP_SIGMA);
        let scale = moments.scale(clip);
        let mut planes = vec![0; words(ELEMENTS.div_ceil(BLOCK), TERNARY)];
        fastest.encode(&values, clip, scale, Rounding::Stochastic(&stream(0)), 0, &mut planes);
        fastest.decode(&planes, TERNARY, 0, scale, &mut values);
        values
    }

    #[test]
    fn a_mean_is_right_to_the_bit_or_wrong() {
        let mut mean = mean();
        assert!(is_ternary_mean(&mean, 1));
        mean[ELEMENTS - 1] = f32::from_bits(mean[ELEMENTS - 1].to_bits() ^ 1);
        assert!(!is_ternary_mean(&mean, 1));
    }

    #[test]
    fn a_sum_may_be_rounded_and_no_more() {
        let mut sums = Vec::new();
        gradient(ELEMENTS, 0, &mut sums);
        assert!(is_float_sum(&sums, 1));
        let bits = sums[7].to_bits();
        sums[7] = f32::from_bits(bits + 4);
        assert!(!is_float_sum(&sums, 1), "{bits:x}");
    }
}
