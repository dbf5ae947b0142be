use super::*;
use proptest::prelude::*;

/// By the definition of rounding, without its bit arithmetic: the nearer neighbour, or the even one. The
/// neighbours of any finite bf16 value are adjacent integers as bits.
fn nearest(value: f32) -> u16 {
    let below = (value.to_bits() >> 16) as u16;
    let (lower, upper) = (f64::from(widen(below)), below + 1);
    // Infinity stands where the next power of two would be.
    let upper_value =
        if widen(upper).is_infinite() { 2f64.powi(128).copysign(lower) } else { f64::from(widen(upper)) };
    let (down, up) = ((f64::from(value) - lower).abs(), (upper_value - f64::from(value)).abs());
    if down < up || (down == up && below.is_multiple_of(2)) { below } else { upper }
}

#[test]
fn every_bf16_value_survives() {
    for bits in 0..=u16::MAX {
        let value = widen(bits);
        let expected = match value {
            _ if value.is_nan() => bits | 0x40,
            _ if value.is_subnormal() => bits & 0x8000,
            _ => bits,
        };
        assert_eq!(round(value), expected, "{bits:#06x}");
    }
}

/// Around each value, each tie, and the neighbours of both.
#[test]
fn rounding_is_to_nearest_even() {
    for upper in 0..=u16::MAX {
        for lower in [0, 1, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0x8002, 0xffff] {
            let value = f32::from_bits(u32::from(upper) << 16 | lower);
            if value.is_normal() {
                assert_eq!(round(value), nearest(value), "{value:e}");
            } else if value.is_nan() {
                assert!(widen(round(value)).is_nan());
                assert_eq!(round(value) >> 15, upper >> 15);
            } else {
                assert_eq!(round(value) & 0x7fff, (value.is_infinite() as u16) * 0x7f80);
            }
        }
    }
}

#[test]
fn slices_are_rounded_value_by_value() {
    let from: Vec<f32> = (0..1000u32).map(|i| f32::from_bits(i.wrapping_mul(0x9e37_79b9))).collect();
    let mut to = vec![1.0; from.len()];
    round_all(&from, &mut to);
    assert!(from.iter().zip(&to).all(|(from, to)| widen(round(*from)).to_bits() == to.to_bits()));

    let (mut values, mut stored) = (from.clone(), vec![0; from.len()]);
    store(&mut values, &mut stored);
    assert!(stored.iter().zip(&from).all(|(stored, from)| *stored == round(*from)));
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&values), bits(&to));
    values.fill(1.0);
    widen_all(&stored, &mut values);
    assert_eq!(bits(&values), bits(&to));
}

#[cfg(target_arch = "x86_64")]
mod instructions {
    use super::*;
    use crate::tiles::{self, Amx, Layout};
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bf16")]
    fn convert(values: [f32; 16]) -> [u16; 16] {
        // SAFETY: arrays and vectors of the same size, for which all bits are valid.
        unsafe { std::mem::transmute(_mm512_cvtneps_pbh(_mm512_loadu_ps(values.as_ptr()))) }
    }

    /// Pairs of (later k, earlier k), as kernels pack them.
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn add_pairs(sums: [f32; 16], a: [[u16; 2]; 16], b: [[u16; 2]; 16]) -> [f32; 16] {
        // SAFETY: arrays and vectors of the same size, for which all bits are valid.
        unsafe {
            let sums = _mm512_loadu_ps(sums.as_ptr());
            let [a, b] = [a, b].map(|pairs| std::mem::transmute::<[[u16; 2]; 16], __m512bh>(pairs));
            std::mem::transmute(_mm512_dpbf16_ps(sums, a, b))
        }
    }

    #[test]
    fn conversion_is_the_definition() {
        if !has_avx512_bf16() {
            return;
        }
        for upper in 0..=u16::MAX {
            let lower = [0, 1, 2, 3, 0x7ffd, 0x7ffe, 0x7fff, 0x8000, 0x8001, 0x8002, 0x8003, 0xfffc];
            let value = |at: usize| f32::from_bits(u32::from(upper) << 16 | lower[at % lower.len()]);
            let values = std::array::from_fn(value);
            // SAFETY: asked above.
            assert_eq!(unsafe { convert(values) }, values.map(round), "{upper:#06x}");
        }
    }

    /// The product of one pair of tiles.
    fn multiply_tiles(amx: Amx, [m, k]: [usize; 2], sums: &mut [f32], a: &[u32], b: &[u32]) {
        let mut shapes = [(m, 16); 8];
        (shapes[1], shapes[2]) = ((m, k), (k, 16));
        Layout::new(shapes).with(amx, || {
            // SAFETY: m rows of 16 sums, m rows of k pairs, and k rows of 16 pairs.
            unsafe {
                tiles::load::<0>(sums.as_ptr().cast(), 64);
                tiles::load::<1>(a.as_ptr(), 4 * k);
                tiles::load::<2>(b.as_ptr(), 64);
                tiles::multiply_add::<0, 1, 2>();
                tiles::store::<0>(sums.as_mut_ptr(), 64);
            }
        });
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Any bits: subnormal and huge values, infinities, NaN.
        #[test]
        fn pairs_are_two_multiply_adds(
            sums: [u32; 16],
            [a, b] in any::<[[[u16; 2]; 16]; 2]>(),
            exponents in 0u32..4,
        ) {
            if !has_avx512_bf16() {
                return Ok(());
            }
            // All exponents, or those near 1, near the smallest product, and near the smallest sum.
            let narrow = |bits: u32| match exponents {
                0 => bits,
                1 => bits & 0x83ff_ffff | 0x3c00_0000,
                2 => bits & 0x81ff_ffff | 0x1e00_0000,
                _ => bits & 0x81ff_ffff,
            };
            let sums = sums.map(|bits| f32::from_bits(narrow(bits)));
            let [a, b] = [a, b].map(|pairs| pairs.map(|pair| pair.map(|bits| (narrow(u32::from(bits) << 16) >> 16) as u16)));
            // SAFETY: asked above.
            let found = unsafe { add_pairs(sums, a, b) };
            for lane in 0..16 {
                let value = |bits: u16| flush(widen(bits));
                let sum = multiply_add(sums[lane], value(a[lane][1]), value(b[lane][1]));
                let sum = multiply_add(sum, value(a[lane][0]), value(b[lane][0]));
                prop_assert!(sum.to_bits() == found[lane].to_bits() || sum.is_nan() && found[lane].is_nan());
            }
        }

        /// Tiles of every shape, with arbitrary bits.
        #[test]
        fn tiles_add_products_as_defined(
            [m, k] in [1usize..=16, 1usize..=16],
            sums in prop::collection::vec(any::<u32>(), 256),
            [a, b] in [prop::collection::vec(any::<u32>(), 256), prop::collection::vec(any::<u32>(), 256)],
            exponents in 0u32..4,
        ) {
            let Some(amx) = Amx::detect() else { return Ok(()) };
            let narrow = |bits: u32| match exponents {
                0 => bits,
                1 => bits & 0x83ff_ffff | 0x3c00_0000,
                2 => bits & 0x81ff_ffff | 0x1e00_0000,
                _ => bits & 0x81ff_ffff,
            };
            let pair = |bits: u32| narrow(bits) & 0xffff_0000 | narrow(bits << 16) >> 16;
            let [a, b] = [a, b].map(|all| all.into_iter().map(pair).collect::<Vec<_>>());
            let sums: Vec<f32> = sums.into_iter().map(|bits| f32::from_bits(narrow(bits))).collect();
            let mut found = sums.clone();
            multiply_tiles(amx, [m, k], &mut found, &a, &b);
            let values = |bits: u32| [bits as u16, (bits >> 16) as u16].map(|half| flush(widen(half)));
            for (at, (&found, &sum)) in found.iter().zip(&sums).enumerate().take(16 * m) {
                let (row, column) = (at / 16, at % 16);
                let pairs = (0..k).map(|k_| (values(a[row * k + k_]), values(b[k_ * 16 + column])));
                let sum = add_products(sum, pairs);
                prop_assert!(sum.to_bits() == found.to_bits() || sum.is_nan() && found.is_nan(), "{sum:e} {found:e}");
            }
        }
    }
}
