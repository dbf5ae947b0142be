//! Compares every instruction set's kernels bit for bit with the portable ones, which come first. If a set
//! has no own loop (decoding above 8 planes, addition), this does not test the arithmetic; `integers` does.

use proptest::prelude::*;
use ternflock_collectives::kernels::{Kernels, Rounding, available};
use ternflock_collectives::planes::{self, TERNARY, WORD, WORDS, width};
use ternflock_collectives::random::{Purpose, Stream};

/// Any bit pattern, with frequent special values.
fn float() -> impl Strategy<Value = f32> {
    let special = prop::sample::select(vec![
        0.0,
        -0.0,
        f32::NAN,
        -f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN,
        f32::MIN_POSITIVE,
        f32::from_bits(1),
        f32::from_bits(0x8000_0001),
        1.0,
        -1.0,
    ]);
    prop_oneof![4 => -2.0_f32..2.0, 2 => any::<u32>().prop_map(f32::from_bits), 1 => special]
}

fn stream() -> impl Strategy<Value = Stream> {
    // Kernels exist only for rounding.
    let purpose = prop_oneof![3 => Just(Purpose::Ternary), 1 => Just(Purpose::Test)];
    (any::<u64>(), purpose, 0..1_u64 << 40, any::<u32>(), any::<u16>())
        .prop_map(|(seed, purpose, step, subject, tensor)| Stream { seed, purpose, step, subject, tensor })
}

/// Random words.
fn payload(seed: u64, words: usize) -> Vec<u64> {
    let stream = Stream { seed, purpose: Purpose::Test, step: 0, subject: 0, tensor: 0 };
    let half = |i: usize| u64::from(stream.word(i as u64));
    (0..words).map(|i| half(2 * i) << 32 | half(2 * i + 1)).collect()
}

fn others() -> (&'static Kernels, &'static [Kernels]) {
    let (portable, others) = available().split_first().expect("there is always a portable set");
    assert_eq!(portable.isa(), "portable");
    (portable, others)
}

#[test]
#[cfg(target_arch = "x86_64")]
fn this_machine_has_all_kernels_it_can_run() {
    let all: Vec<&str> = available().iter().map(Kernels::isa).collect();
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512dq");
    assert_eq!(all.contains(&"avx2"), is_x86_feature_detected!("avx2"), "{all:?}");
    assert_eq!(all.contains(&"avx512"), avx512, "{all:?}");
}

fn compare_ternaries(
    values: &[f32],
    clip: f32,
    scale: f32,
    rounding: Rounding,
    first: usize,
) -> Result<(), TestCaseError> {
    let blocks = (first + values.len().div_ceil(WORD)).div_ceil(WORDS);
    let encode = |kernels: &Kernels| {
        // Words that belong to no value must not change.
        let mut payload = vec![0xA5A5_A5A5_A5A5_A5A5; planes::words(blocks, TERNARY)];
        kernels.encode(values, clip, scale, rounding, first, &mut payload);
        payload
    };
    let (portable, others) = others();
    others.iter().try_for_each(|kernels| {
        prop_assert_eq!(encode(kernels), encode(portable), "{}", kernels.isa());
        Ok(())
    })
}

proptest! {
    #[test]
    fn sums_are_the_same(values in prop::collection::vec(float(), 0..200)) {
        let bits = |kernels: &Kernels| {
            let sums = kernels.sums(&values);
            let all = sums.sum.into_iter().chain(sums.squares);
            // The payload and the sign of a NaN are unspecified.
            (sums.largest, all.map(|sum| if sum.is_nan() { u64::MAX } else { sum.to_bits() }).collect::<Vec<_>>())
        };
        let (portable, others) = others();
        others.iter().try_for_each(|kernels| {
            prop_assert_eq!(bits(kernels), bits(portable), "{}", kernels.isa());
            Ok(())
        })?;
    }

    #[test]
    fn ternaries_are_the_same(
        values in prop::collection::vec(float(), 0..300), clip in float(), scale in float(), stream in stream(),
        first in 0..20_usize, nearest in any::<bool>(),
    ) {
        let rounding = if nearest { Rounding::Nearest } else { Rounding::Stochastic(&stream) };
        compare_ternaries(&values, clip, scale, rounding, first)?;
    }

    /// Values whose thresholds have the upper half that is drawn for them, at some places or everywhere.
    #[test]
    fn ternaries_are_the_same_where_the_lower_half_decides(
        lower in prop::collection::vec(0..256_u32, 0..300), every in 1..100_usize, stream in stream(),
        exponent in -140..100_i32, first in 0..20_usize,
    ) {
        let scale = 2.0_f64.powi(exponent);
        let values: Vec<f32> = lower.iter().enumerate().map(|(element, lower)| {
            let upper = f64::from(stream.half(element as u64));
            let part = if element % every == 0 { (upper + f64::from(*lower) / 256.0) / 65536.0 } else { 0.3 };
            (part * scale) as f32
        }).collect();
        compare_ternaries(&values, f32::INFINITY, scale as f32, Rounding::Stochastic(&stream), first)?;
    }

    #[test]
    fn decoded_values_are_the_same(
        ranks in 1..1000_usize, elements in 0..300_usize, first in 0..20_usize, factor in float(), seed in any::<u64>(),
    ) {
        let width = width(ranks);
        let blocks = (first + elements.div_ceil(WORD)).div_ceil(WORDS);
        let payload = payload(seed, planes::words(blocks, width));
        let decode = |kernels: &Kernels| {
            let mut values = vec![1.5_f32; elements];
            kernels.decode(&payload, width, first, factor, &mut values);
            let bits = |v: f32| if v.is_nan() { u32::MAX } else { v.to_bits() };
            values.into_iter().map(bits).collect::<Vec<_>>()
        };
        let (portable, others) = others();
        others.iter().try_for_each(|kernels| {
            prop_assert_eq!(decode(kernels), decode(portable), "{}", kernels.isa());
            Ok(())
        })?;
    }

    #[test]
    fn added_planes_are_the_same(j in 1..300_usize, k in 1..300_usize, blocks in 0..4_usize, seed in any::<u64>()) {
        let a = payload(seed, planes::words(blocks, width(j)));
        let b = payload(!seed, planes::words(blocks, width(k)));
        let add = |kernels: &Kernels| {
            let mut sum = vec![0; planes::words(blocks, width(j + k))];
            kernels.add(&a, width(j), &b, width(k), &mut sum, width(j + k));
            sum
        };
        let (portable, others) = others();
        others.iter().try_for_each(|kernels| {
            prop_assert_eq!(add(kernels), add(portable), "{}", kernels.isa());
            Ok(())
        })?;
    }
}
