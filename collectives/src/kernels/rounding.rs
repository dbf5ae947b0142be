//! The rounding of a magnitude to 0 or 1, which all encoding kernels share.

use crate::random::{HALVES, Stream};

/// How a gradient becomes a ternary.
#[derive(Clone, Copy, Debug)]
pub enum Rounding<'a> {
    /// Stochastic: to 1 with a probability equal to the magnitude divided by the scale, so the expected value
    /// is the gradient. The draws come from this stream.
    Stochastic(&'a Stream),
    /// The same for a part of a tensor, which begins at this word of 64 elements: an element is rounded as in the whole
    /// tensor.
    StochasticFrom(&'a Stream, usize),
    /// To the nearest: to 1 above half the scale. The error of an element is at most half the scale and at
    /// most its own magnitude. It is biased, so it needs error feedback.
    Nearest,
}

impl<'a> Rounding<'a> {
    /// For stochastic rounding: the stream, and the word of the tensor that values begin at.
    pub(crate) fn draws(&self) -> Option<(&'a Stream, usize)> {
        match *self {
            Rounding::Stochastic(stream) => Some((stream, 0)),
            Rounding::StochasticFrom(stream, start) => Some((stream, start)),
            Rounding::Nearest => None,
        }
    }
}

/// A threshold above every 32-bit draw.
const ALWAYS: f32 = (1_u64 << u32::BITS) as f32;

/// The same for the upper 16 bits of draws.
const HIGH: f32 = (1_u32 << u16::BITS) as f32;

/// 2^-95. For scales that are smaller, `ALWAYS / scale` overflows.
const TINY: f32 = f32::from_bits((127 - 95) << 23);

/// The factor that lifts small scales, and all magnitudes with them; it is exact.
const LIFT: f32 = (1_u128 << 64) as f32;

/// Converts magnitudes to thresholds, which are 2^32 times the probability of being kept.
#[derive(Clone, Copy)]
pub(super) struct Thresholds {
    clip: f32,
    /// A power of two; 1 except for tiny scales.
    pub lift: f32,
    /// 2^32 divided by the lifted scale.
    reciprocal: f32,
}

impl Thresholds {
    /// For a `scale` above 0.
    pub fn new(clip: f32, scale: f32) -> Self {
        let lift = if scale < TINY { LIFT } else { 1.0 };
        let scale = scale * lift;
        let nearest = ALWAYS / scale;
        // The rounded reciprocal may be too small by less than one unit in the last place. A magnitude equal
        // to the scale would then not always be kept.
        let reciprocal = if scale * nearest < ALWAYS { nearest.next_up() } else { nearest };
        Thresholds { clip, lift, reciprocal }
    }

    /// The threshold of `value`; NaN for NaN.
    #[inline]
    pub fn of(&self, value: f32) -> f32 {
        clipped(value, self.clip) * self.lift * self.reciprocal
    }

    /// For kernels: the factor from magnitudes to the upper halves of thresholds, and the largest upper half.
    /// Only valid without a lift. A rounded product is monotonic in its factors, so clipping may follow the
    /// multiplication and needs no separate step.
    pub fn upper(&self) -> (f32, f32) {
        let factor = self.reciprocal / HIGH;
        let clip = self.clip * factor;
        (factor, if clip < HIGH { clip } else { HIGH })
    }

    /// Whether `value`, element `index` of the tensor, is kept with the draw `high`.
    #[inline]
    pub fn keep(&self, value: f32, high: u16, stream: &Stream, index: u64) -> bool {
        let threshold = self.of(value);
        // The conversion rounds down, saturates, and gives 0 for NaN. The lower half matters only for a draw
        // with the same upper half.
        let bound = (threshold / HIGH) as u16;
        if high != bound {
            return high < bound;
        }
        let draw = u32::from(high) << u16::BITS | u32::from(stream.half(HALVES / 2 + index));
        f64::from(draw) + 0.5 < f64::from(threshold)
    }
}

/// The magnitude of `value`, at most `clip`. Not `f32::min`, which would replace NaN by a number.
#[inline]
pub(super) fn clipped(value: f32, clip: f32) -> f32 {
    let magnitude = value.abs();
    if clip < magnitude { clip } else { magnitude }
}

/// Whether rounding to the nearest keeps `value`. Doubling a float is exact, or gives infinity, which is
/// above any scale.
#[inline]
pub(super) fn nearest(value: f32, clip: f32, scale: f32) -> bool {
    2.0 * clipped(value, clip) > scale
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Floats above zero, denormal ones included.
    fn positive() -> impl Strategy<Value = f32> {
        prop_oneof![1..f32::INFINITY.to_bits(), 1..f32::MIN_POSITIVE.to_bits()].prop_map(f32::from_bits)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn a_threshold_is_as_near_as_documented(scale in positive(), part in 0.0_f32..=1.0) {
            let value = scale * part;
            let exact = f64::from(value) / f64::from(scale) * f64::from(ALWAYS);
            let threshold = f64::from(Thresholds::new(f32::INFINITY, scale).of(value));
            // The bound, plus the error of the exact value in f64. Thresholds that underflow are far below
            // 1/2.
            let bound = 3.0 * 2.0_f64.powi(-24) * exact * (1.0 + 1e-7) + f64::from(f32::MIN_POSITIVE);
            prop_assert!((threshold - exact).abs() <= bound, "{threshold} for {exact}");
        }

        #[test]
        fn the_scale_itself_is_above_every_draw(scale in positive()) {
            prop_assert!(Thresholds::new(f32::INFINITY, scale).of(scale) >= ALWAYS);
            prop_assert!(Thresholds::new(scale, scale).of(f32::INFINITY) >= ALWAYS);
        }
    }

    #[test]
    fn some_reciprocals_must_be_lifted() {
        let short = (1..1000).filter(|scale| *scale as f32 * (ALWAYS / *scale as f32) < ALWAYS).count();
        assert!(short > 0, "the step to the next float would be for nothing");
    }
}
