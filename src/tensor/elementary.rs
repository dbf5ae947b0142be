//! exp, tanh and the logistic function of `f32`, without branches, so that a loop over them vectorises.
//!
//! They use only additions, multiplications and divisions, none of them fused, so a result has the same bits
//! for every vector width. The tests check the maximum relative errors: 2^-22 for [`exp`], 2^-21 for [`tanh`]
//! and 2^-22 for [`sigmoid`] (an `f32` is exact to 2^-24). NaN stays NaN.

/// Below this, e^x is not a normal `f32`.
const SMALLEST: f32 = -87.336_54;
/// Above this, the result is limited: e^x is finite up to 88.72, but the scale 2^n cannot represent more.
const LARGEST: f32 = 88.37;

/// e^x; 0 if that is below the smallest normal number, and limited to e^88.37.
///
/// x = n ln 2 + r with |r| at most ln 2 / 2; e^r by Cephes' polynomial (Moshier, `expf.c`), times 2^n, which
/// is assembled from its bits.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    // Adding 1.5 * 2^23 leaves the nearest whole number in the low bits.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts, the first so short that its products with n are exact.
    const HIGH: f32 = 0.693_359_4;
    const LOW: f32 = -2.121_944_4e-4;
    let within = if x > LARGEST { LARGEST } else { x };
    let within = if within < SMALLEST { SMALLEST } else { within };
    let shifted = within * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = within - n * HIGH - n * LOW;
    let p = 1.987_569_1e-4;
    let p = p * r + 1.398_199_9e-3;
    let p = p * r + 8.333_452e-3;
    let p = p * r + 4.166_579_6e-2;
    let p = p * r + 1.666_666_6e-1;
    let p = p * r + 5.000_000_3e-1;
    let scale = f32::from_bits(shifted.to_bits().wrapping_add(127) << 23);
    let y = (p * (r * r) + r + 1.0) * scale;
    if x < SMALLEST { 0.0 } else { y }
}

/// 1 / (1 + e^-x).
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// tanh x, by the rational approximation of degrees 13 and 6 that Eigen uses (`generic_fast_tanh_float`); beyond 7.9 it
/// is 1 to the last bit.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    const END: f32 = 7.905_311;
    let within = if x > END { END } else { x };
    let within = if within < -END { -END } else { within };
    let s = within * within;
    let p = -2.760_768_5e-16;
    let p = p * s + 2.000_188e-13;
    let p = p * s + -8.604_672e-11;
    let p = p * s + 5.122_297e-8;
    let p = p * s + 1.485_722_4e-5;
    let p = p * s + 6.372_619_3e-4;
    let p = p * s + 4.893_524_6e-3;
    let q = 1.198_258_4e-6;
    let q = q * s + 1.185_347_1e-4;
    let q = q * s + 2.268_434_7e-3;
    let q = q * s + 4.893_525e-3;
    let y = within * p / q;
    // The approximation's own end is a unit or two from 1, and p x vanishes where x is all there is.
    let y = if s < 1e-7 { x } else { y };
    let y = if x > END { 1.0 } else { y };
    if x < -END { -1.0 } else { y }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest error of `f` relative to `exact`, over every 997th `f32` in `range` of either sign.
    fn largest_error(f: fn(f32) -> f32, exact: fn(f64) -> f64, range: std::ops::RangeInclusive<f32>) -> f64 {
        let positive = (0..f32::MAX.to_bits()).step_by(997).map(f32::from_bits);
        let both = positive.flat_map(|x| [x, -x]).filter(|x| range.contains(x));
        both.fold(0.0, |worst: f64, x| {
            let exact = exact(f64::from(x));
            worst.max((f64::from(f(x)) - exact).abs() / exact.abs().max(f64::from(f32::MIN_POSITIVE)))
        })
    }

    #[test]
    fn errors_are_within_the_stated_bounds() {
        let sigmoid64 = |x: f64| 1.0 / (1.0 + (-x).exp());
        for (name, error, bound) in [
            ("exp", largest_error(exp, f64::exp, SMALLEST..=LARGEST), 2f64.powi(-22)),
            ("tanh", largest_error(tanh, f64::tanh, -100.0..=100.0), 2f64.powi(-21)),
            ("sigmoid", largest_error(sigmoid, sigmoid64, -87.0..=100.0), 2f64.powi(-22)),
        ] {
            assert!(error <= bound, "{name}: {:.2} units of 2^-24", error * 2f64.powi(24));
            println!("{name}: {:.2} units of 2^-24", error * 2f64.powi(24));
        }
    }

    #[test]
    fn ends_are_what_they_should_be() {
        assert_eq!((exp(0.0), tanh(0.0), sigmoid(0.0)), (1.0, 0.0, 0.5));
        assert_eq!((exp(-1e30), exp(f32::NEG_INFINITY)), (0.0, 0.0));
        assert!(exp(1e30).is_finite() && exp(1e30) > 2e38);
        assert_eq!((tanh(1e30), tanh(-1e30)), (1.0, -1.0));
        assert_eq!(sigmoid(1e30), 1.0);
        assert!(sigmoid(-1e30) > 0.0 && sigmoid(-1e30) < 1e-38);
        assert!(exp(f32::NAN).is_nan() && tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
    }
}
