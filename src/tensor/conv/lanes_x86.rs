//! Adds the lanes of several vectors together. This takes half as many operations as adding those of one vector after
//! another, or fewer.

use std::arch::x86_64::*;

/// The number of lanes of an AVX-512 vector.
pub const LANES: usize = 16;

/// The number of lanes of an AVX2 vector.
pub const LANES_AVX2: usize = 8;

/// The same as [`add`] for AVX2: the lanes 2l and 2l + 1 of each half are added first, then the two results, then the
/// halves.
///
/// # Safety
/// The machine has AVX.
#[inline]
#[target_feature(enable = "avx")]
pub unsafe fn add_avx2(sums: &[[f32; LANES_AVX2]], totals: &mut [f32]) {
    assert_eq!(sums.len(), totals.len());
    for (sums, totals) in sums.chunks(4).zip(totals.chunks_mut(4)) {
        let vectors: [[f32; LANES_AVX2]; 4] =
            std::array::from_fn(|index| sums.get(index).copied().unwrap_or([0.0; LANES_AVX2]));
        // SAFETY: there are 8 lanes.
        let [a, b, c, d] = vectors.map(|lanes| unsafe { _mm256_loadu_ps(lanes.as_ptr()) });
        let halves = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
        let added = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps::<1>(halves));
        let mut values = [0.0; 4];
        // SAFETY: there are 4 values.
        unsafe { _mm_storeu_ps(values.as_mut_ptr(), added) };
        totals.iter_mut().zip(values).for_each(|(total, value)| *total += value);
    }
}

/// Adds the lanes of each vector of `sums` to the value of `totals` with the same index. In each quarter, lanes l and
/// l + 2 are added first, then the two results. Then neighbouring quarters are added, and then these two results.
///
/// # Safety
/// The machine has AVX-512 F.
#[inline]
#[target_feature(enable = "avx512f")]
pub unsafe fn add(sums: &[[f32; LANES]], totals: &mut [f32]) {
    assert_eq!(sums.len(), totals.len());
    let ((sixteens, rest), (totals, rest_totals)) =
        (sums.as_chunks::<LANES>(), totals.as_chunks_mut::<LANES>());
    for (sums, totals) in sixteens.iter().zip(totals) {
        let [first, second] = [0, 1].map(|half| add_eight(sums.as_chunks::<8>().0[half]));
        add_to(totals, add_quarters(first, second));
    }
    for (sums, totals) in rest.chunks(8).zip(rest_totals.chunks_mut(8)) {
        let sums = add_eight(std::array::from_fn(|index| sums.get(index).copied().unwrap_or([0.0; LANES])));
        add_to(totals, add_quarters(sums, sums));
    }
}

/// Adds the first values of a vector to `totals`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_to(totals: &mut [f32], added: __m512) {
    let mask = ((1u32 << totals.len()) - 1) as __mmask16;
    // SAFETY: the mask selects only existing values.
    unsafe {
        let total = _mm512_maskz_loadu_ps(mask, totals.as_ptr());
        _mm512_mask_storeu_ps(totals.as_mut_ptr(), mask, _mm512_add_ps(total, added));
    }
}

/// The sums of each pair of quarters of eight vectors: those of four vectors in a quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_eight(vectors: [[f32; LANES]; 8]) -> __m512 {
    // SAFETY: a vector and an array of its lanes have the same size.
    let [a, b, c, d, e, f, g, h] = vectors.map(|lanes| unsafe { _mm512_loadu_ps(lanes.as_ptr()) });
    add_quarters(add_four([a, b, c, d]), add_four([e, f, g, h]))
}

/// The sums of each quarter of four vectors: four neighbouring lanes per quarter.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_four([a, b, c, d]: [__m512; 4]) -> __m512 {
    let pair = |a, b| {
        let halves = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
        _mm512_castps_pd(halves)
    };
    let (ab, cd) = (pair(a, b), pair(c, d));
    let (low, high) = (_mm512_unpacklo_pd(ab, cd), _mm512_unpackhi_pd(ab, cd));
    _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high))
}

/// Adds neighbouring quarters: two quarters of `a`, then two of `b`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_quarters(a: __m512, b: __m512) -> __m512 {
    _mm512_add_ps(_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0xdd>(a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares `add` with the sum of the lanes of each vector, in the order of `sum`.
    fn check<const N: usize>(add: impl Fn(&[[f32; N]], &mut [f32]), sum: impl Fn([f32; N]) -> f32) {
        for count in 0..40 {
            let value = |at: usize| (at * at % 101) as f32 * 0.37 - 11.0;
            let sums: Vec<[f32; N]> =
                (0..count).map(|index| std::array::from_fn(|lane| value(index * N + lane))).collect();
            let mut totals: Vec<f32> = (0..count).map(value).collect();
            let expected: Vec<f32> =
                sums.iter().zip(&totals).map(|(lanes, total)| total + sum(*lanes)).collect();
            add(&sums, &mut totals);
            assert_eq!(totals, expected, "{count} vectors");
        }
    }

    #[test]
    fn any_number_of_vectors() {
        if is_x86_feature_detected!("avx512f") {
            // SAFETY: the machine has AVX-512.
            check(
                |sums, totals| unsafe { add(sums, totals) },
                |lanes| {
                    let quarter = |q: usize| (lanes[q] + lanes[q + 2]) + (lanes[q + 1] + lanes[q + 3]);
                    (quarter(0) + quarter(4)) + (quarter(8) + quarter(12))
                },
            );
        }
        if is_x86_feature_detected!("avx") {
            // SAFETY: the machine has AVX.
            check(
                |sums, totals| unsafe { add_avx2(sums, totals) },
                |lanes| {
                    let half = |h: usize| (lanes[h] + lanes[h + 1]) + (lanes[h + 2] + lanes[h + 3]);
                    half(0) + half(4)
                },
            );
        }
    }
}
