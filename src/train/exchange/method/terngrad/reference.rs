//! The reference mean of ternary gradients, from the portable kernels. It uses none of the loops that are
//! measured, unless the machine has no others.

use ternflock_base::rng::Purpose;
use ternflock_collectives::codec::{Moments, Rounding};
use ternflock_collectives::kernels;
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

use super::Key;

/// Whether `mean` is, bit for bit, the mean of all ranks' ternary gradients. See
/// [`Method::is_mean`](super::Method::is_mean).
pub fn is_mean(mean: &[f32], clip_sigma: f32, key: &Key, gradient: &dyn Fn(usize, &mut Vec<f32>)) -> bool {
    let portable = &kernels::available()[0];
    let (elements, mut values) = (mean.len(), Vec::new());
    let mut scale = 0.0_f32;
    let mut clips = vec![0.0; key.world];
    for (rank, clip) in clips.iter_mut().enumerate() {
        gradient(rank, &mut values);
        let moments = Moments::by(portable, &values);
        *clip = moments.clip(clip_sigma);
        scale = scale.max(moments.scale(*clip));
    }
    let mut planes = vec![0; words(elements.div_ceil(BLOCK), TERNARY)];
    let (mut ternaries, mut sums) = (vec![0.0; elements], vec![0.0_f32; elements]);
    for (rank, clip) in clips.into_iter().enumerate() {
        gradient(rank, &mut values);
        let stream = Key { rank, ..*key }.stream(Purpose::Ternary, 0);
        portable.encode(&values, clip, scale, Rounding::Stochastic(&stream), 0, &mut planes);
        // Integers up to P are exact in f32.
        portable.decode(&planes, TERNARY, 0, 1.0, &mut ternaries);
        sums.iter_mut().zip(&ternaries).for_each(|(sum, ternary)| *sum += ternary);
    }
    let factor = scale / key.world as f32;
    mean.iter().zip(sums).all(|(mean, sum)| mean.to_bits() == (sum * factor).to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENTS: usize = 1000;
    const CLIP_SIGMA: f32 = 2.5;
    const KEY: Key = Key { seed: 0, step: 0, rank: 0, world: 1 };

    fn gradient(_: usize, values: &mut Vec<f32>) {
        *values = (0..ELEMENTS).map(|index| ((index * 37 % 101) as f32 / 50.0 - 1.0).powi(3)).collect();
    }

    /// One rank's mean, by the kernels that are measured.
    fn mean() -> Vec<f32> {
        let (mut values, fastest) = (Vec::new(), kernels::best());
        gradient(0, &mut values);
        let moments = Moments::by(fastest, &values);
        let clip = moments.clip(CLIP_SIGMA);
        let scale = moments.scale(clip);
        let mut planes = vec![0; words(ELEMENTS.div_ceil(BLOCK), TERNARY)];
        fastest.encode(
            &values,
            clip,
            scale,
            Rounding::Stochastic(&KEY.stream(Purpose::Ternary, 0)),
            0,
            &mut planes,
        );
        fastest.decode(&planes, TERNARY, 0, scale, &mut values);
        values
    }

    #[test]
    fn a_mean_is_right_to_the_bit_or_wrong() {
        let mut mean = mean();
        assert!(is_mean(&mean, CLIP_SIGMA, &KEY, &gradient));
        mean[ELEMENTS - 1] = f32::from_bits(mean[ELEMENTS - 1].to_bits() ^ 1);
        assert!(!is_mean(&mean, CLIP_SIGMA, &KEY, &gradient));
    }
}
