//! The standard normal distribution of `f32`, without branches, so that a loop over it vectorises.
//!
//! Like [`super::exp`], it uses only additions, multiplications and divisions, none of them fused, so a
//! result has the same bits for every vector width. The tests check the errors.

use super::exp;

/// Φ(x), the probability that a standard normal number is at most x, and φ(x) = Φ'(x), its density. Relative
/// to their values, the errors are at most (8 + x²) 2^-24 for both, down to x = -13; below, both are 0 or
/// subnormal. NaN stays NaN.
///
/// With t = 1 / (1 + 0.33 |x|): Φ(-|x|) = t P(t) e^(-x²/2), the form of Hastings (Abramowitz and Stegun,
/// 7.1.26), with a polynomial P of degree 8. It minimises the largest relative error over |x| <= 13.3, 0.8
/// units of 2^-24 (a least-squares fit in Chebyshev polynomials, reweighted by Lawson's method). The tail is
/// computed, and not 1 minus something, so negative x lose no digits; the factor e^(-x²/2) rounds its
/// exponent, which the error x² 2^-24 is due to.
#[inline(always)]
pub fn normal(x: f32) -> (f32, f32) {
    /// 1 / sqrt(2 π).
    const PEAK: f32 = 0.398_942_3;
    let t = 1.0 / (1.0 + 0.33 * x.abs());
    let p = -2.133_641_5e-2;
    let p = p * t + 1.256_003e-1;
    let p = p * t + -2.722_764_3e-1;
    let p = p * t + 2.303_032_3e-1;
    let p = p * t + -6.032_958_3e-2;
    let p = p * t + 1.233_844_1e-1;
    let p = p * t + 1.106_808_3e-1;
    let p = p * t + 1.323_544_1e-1;
    let p = p * t + 1.316_192_9e-1;
    let bell = exp(x * x * -0.5);
    let tail = t * p * bell;
    // 1 - tail for positive x, 0 + tail for others. With bit operations, because the compiler turns a branch
    // into neither vector code nor a select.
    let positive = u32::from(x > 0.0).wrapping_neg();
    let one = f32::from_bits(1f32.to_bits() & positive);
    let signed = f32::from_bits(tail.to_bits() ^ (positive & (1 << 31)));
    (one + signed, PEAK * bell)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Φ(-a) for a >= 0: by its Taylor series (Abramowitz and Stegun, 26.2.11) below 3, and by its continued
    /// fraction (26.2.14) above.
    fn tail(a: f64) -> f64 {
        let density = (-a * a / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if a < 3.0 {
            let (mut term, mut sum) = (a, a);
            for k in 1..60 {
                term *= a * a / f64::from(2 * k + 1);
                sum += term;
            }
            0.5 - density * sum
        } else {
            density / (1..200).rev().fold(a, |below, k| a + f64::from(k) / below)
        }
    }

    #[test]
    fn the_reference_is_right() {
        // Abramowitz and Stegun, table 26.1: Φ(1), Φ(2), Φ(3); table 26.2: -log10 of Φ(-10).
        for (x, value) in
            [(1.0, 0.841_344_746_068_543), (2.0, 0.977_249_868_051_821), (3.0, 0.998_650_101_968_370)]
        {
            assert!((1.0 - tail(x) - value).abs() < 1e-15, "{x}");
        }
        assert!((-tail(10.0).log10() - 23.118_05).abs() < 1e-5);
    }

    #[test]
    fn errors_are_within_the_stated_bounds() {
        let positive = (0..13f32.to_bits()).step_by(9973).map(f32::from_bits);
        for x in positive.flat_map(|x| [x, -x]) {
            let (probability, density) = normal(x);
            let wide = f64::from(x);
            let expected = if x > 0.0 { 1.0 - tail(wide) } else { tail(-wide) };
            let bell = (-wide * wide / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
            let bound = (8.0 + wide * wide) * 2f64.powi(-24);
            let error = (f64::from(probability) / expected - 1.0).abs();
            assert!(error <= bound, "Φ({x}): {:.2} units of 2^-24", error * 2f64.powi(24));
            let error = (f64::from(density) / bell - 1.0).abs();
            assert!(error <= bound, "φ({x}): {:.2} units of 2^-24", error * 2f64.powi(24));
        }
    }

    #[test]
    fn ends_are_what_they_should_be() {
        assert_eq!(normal(0.0).0, 0.5);
        for large in [20.0, 1e30, f32::INFINITY] {
            assert_eq!((normal(large), normal(-large)), ((1.0, 0.0), (0.0, 0.0)), "{large}");
        }
        assert!(normal(f32::NAN).0.is_nan() && normal(f32::NAN).1.is_nan());
    }
}
