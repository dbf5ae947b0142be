//! The statistics of a tensor that encoding needs.

use crate::kernels::{self, Kernels, LANES, Sums};

/// A standard deviation that is this small compared with the mean is rounding error of f32 and of the sums
/// below.
const NEGLIGIBLE: f64 = 1.0 / (1_u64 << 32) as f64;

/// The largest magnitude and the standard deviation of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// Largest magnitude.
    pub max_abs: f32,
    /// Standard deviation about the mean, of the elements as a population ([`Moments::of`]) or of those in touched rows
    /// ([`Moments::of_touched_rows`]). 0 if it is below 2^-16 times the mean.
    pub sigma: f32,
    /// Index of the first element that is NaN or infinite. If there is one, the other fields are meaningless.
    pub non_finite: Option<usize>,
}

impl Moments {
    /// The moments of `values`; all zero if there are none.
    pub fn of(values: &[f32]) -> Self {
        Moments::by(kernels::best(), values)
    }

    /// The moments of a gradient that is zero except in some rows, such as that of an embedding: `values` are rows of
    /// `width`, and the standard deviation is that of the elements in *touched* rows, which are those with an element
    /// that is not zero. Over all elements it would measure how few rows were touched: with a share f of them touched,
    /// it is about sqrt(f) times as large, and clipping at a multiple of it cuts off most of what is there.
    ///
    /// # Panics
    /// If `width` is 0.
    pub fn of_touched_rows(values: &[f32], width: usize) -> Self {
        let touched = values.chunks(width).filter(|row| is_touched(row)).map(<[f32]>::len).sum();
        // Rows of zeros add nothing to the sums.
        Moments::from_sums(&kernels::best().sums(values), values, touched)
    }

    /// [`Moments::of`], with the kernels of one instruction set.
    pub fn by(kernels: &Kernels, values: &[f32]) -> Self {
        Moments::from_sums(&kernels.sums(values), values, values.len())
    }

    /// The moments of `values`, of which `count` matter and the others are zero, from their sums.
    fn from_sums(sums: &Sums, values: &[f32], count: usize) -> Self {
        // The bits of magnitudes have the same order as the floats, with infinity and then NaN above all
        // others.
        let max_abs = f32::from_bits(sums.largest.into_iter().max().unwrap_or(0));
        if !max_abs.is_finite() {
            let non_finite = values.iter().position(|value| !value.is_finite());
            return Moments { max_abs, sigma: f32::NAN, non_finite };
        }
        let count = count.max(1) as f64;
        let mean = tree(sums.sum) / count;
        let variance = tree(sums.squares) / count - mean * mean;
        let spread = variance > NEGLIGIBLE * mean * mean;
        Moments { max_abs, sigma: if spread { variance.sqrt() as f32 } else { 0.0 }, non_finite: None }
    }

    /// The threshold at `factor` standard deviations (the paper's c, 2.5 there); infinite for a `factor` of
    /// 0, which turns clipping off, and for a tensor with a standard deviation of 0, which has no outliers to
    /// clip.
    pub fn clip(&self, factor: f32) -> f32 {
        let clip = factor * self.sigma;
        if clip > 0.0 { clip } else { f32::INFINITY }
    }

    /// This rank's scale: the largest magnitude after clipping at `clip`. The scale to encode with is the maximum of
    /// these over all ranks.
    pub fn scale(&self, clip: f32) -> f32 {
        self.max_abs.min(clip)
    }
}

/// Whether an element of `row` is not zero. Without an early exit, so that the compiler vectorises the loop: nearly all
/// rows are zero.
fn is_touched(row: &[f32]) -> bool {
    row.iter().fold(0, |bits, value| bits | value.to_bits() << 1) != 0
}

/// Adds lanes 8 apart, then 4, 2 and 1.
fn tree(mut lanes: [f64; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            lanes[lane] += lanes[lane + half];
        }
        half /= 2;
    }
    lanes[0]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agree_with_the_definition_in_two_passes(values in prop::collection::vec(-1e3_f32..1e3, 1..300)) {
            let count = values.len() as f64;
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / count;
            let variance = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / count;
            let moments = Moments::of(&values);
            prop_assert_eq!(moments.max_abs, values.iter().fold(0.0, |m: f32, v| m.max(v.abs())));
            prop_assert_eq!(moments.non_finite, None);
            // The two sums have relative errors of about n ulp of f64, and their difference has those of the
            // larger one. A variance that is not negligible then has a relative error of about n 2^-53 2^32,
            // far below f32's 2^-24 for n < 300 unless the values are nearly equal.
            let tolerance = variance.sqrt() * 1e-6 + mean.abs() * 2.0_f64.powi(-16);
            prop_assert!((f64::from(moments.sigma) - variance.sqrt()).abs() <= tolerance);
        }
    }

    proptest! {
        #[test]
        fn of_touched_rows_are_those_of_the_rows_alone(
            rows in prop::collection::vec(prop::collection::vec(-1e3_f32..1e3, 7), 1..20), gap in 1..5_usize,
        ) {
            let zeros = vec![-0.0_f32; 7 * gap];
            let scattered: Vec<f32> = rows.iter().flat_map(|row| [&row[..], &zeros].concat()).collect();
            let (found, expected) = (Moments::of_touched_rows(&scattered, 7), Moments::of(&rows.concat()));
            prop_assert_eq!((found.max_abs, found.non_finite), (expected.max_abs, None));
            // The same sums in another order.
            prop_assert!((found.sigma - expected.sigma).abs() <= 1e-6 * expected.sigma.max(found.sigma));
            prop_assert_eq!(Moments::of_touched_rows(&rows.concat(), 7), expected);
        }
    }

    #[test]
    fn a_zero_in_a_touched_row_counts_and_a_matrix_of_zeros_has_no_spread() {
        let sigma = Moments::of_touched_rows(&[3.0, 0.0, 0.0, 0.0, 0.0, -3.0], 2).sigma;
        assert_eq!(sigma, 4.5_f64.sqrt() as f32);
        let nothing = Moments::of_touched_rows(&[0.0; 6], 2);
        assert_eq!((nothing, nothing.clip(2.5)), (Moments::of(&[]), f32::INFINITY));
        // The last row may be incomplete, and a value that is not finite is found in any row.
        assert_eq!(Moments::of_touched_rows(&[0.0, 0.0, 2.0], 2), Moments::of(&[2.0]));
        assert_eq!(Moments::of_touched_rows(&[0.0, 0.0, 0.0, f32::NAN], 2).non_finite, Some(3));
    }

    #[test]
    fn the_first_non_finite_element_is_named() {
        let mut values = vec![1.0_f32; 40];
        values[37] = f32::NEG_INFINITY;
        assert_eq!(Moments::of(&values).non_finite, Some(37));
        values[5] = -f32::NAN;
        assert_eq!(Moments::of(&values).non_finite, Some(5));
    }

    #[test]
    fn the_range_of_f32_does_not_overflow_or_vanish() {
        let (big, small) = (f32::MAX, f32::from_bits(1));
        assert_eq!(Moments::of(&[big, -big]), Moments { max_abs: big, sigma: big, non_finite: None });
        assert_eq!(Moments::of(&[small, -small]), Moments { max_abs: small, sigma: small, non_finite: None });
        assert_eq!(Moments::of(&[]), Moments { max_abs: 0.0, sigma: 0.0, non_finite: None });
    }

    #[test]
    fn clipping_is_off_without_a_factor_or_without_spread() {
        let spread = Moments::of(&[-1.0, 1.0]);
        assert_eq!(spread.clip(0.5), 0.5);
        assert_eq!(spread.scale(spread.clip(0.5)), 0.5);
        assert_eq!(spread.scale(spread.clip(2.5)), 1.0);
        assert_eq!(spread.clip(0.0), f32::INFINITY);
        let constant = Moments::of(&vec![0.1_f32; 100_003]);
        assert_eq!(constant.sigma, 0.0);
        assert_eq!(constant.scale(constant.clip(2.5)), 0.1);
    }
}
