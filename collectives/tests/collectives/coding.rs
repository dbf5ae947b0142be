//! The entropy coder: every set of kernels gives the same bytes, planes come back as they were, and any bytes may be decoded.

use proptest::prelude::*;
use ternflock_collectives::coding::{decode, encode};
use ternflock_collectives::kernels::available;
use ternflock_collectives::planes::{WORDS, words};

use crate::random;

/// Planes of any content in which an element is other than 0 with a probability of `density`.
fn planes(seed: u64, blocks: usize, width: usize, density: f64) -> Vec<u64> {
    let mut planes = vec![0; words(blocks, width)];
    let mut random = random(seed, 0);
    let mut draw = || random.next().expect("there is no end");
    for block in planes.chunks_exact_mut(words(1, width)) {
        for word in 0..WORDS {
            let bit = |bit| u64::from((draw() as f64) < density * 2f64.powi(64)) << bit;
            let kept: u64 = (0..64).map(bit).sum();
            (0..width).for_each(|plane| block[plane * WORDS + word] = kept & draw());
        }
    }
    planes
}

fn densities() -> impl Strategy<Value = f64> {
    prop_oneof![2 => 0.0..0.02_f64, 3 => 0.0..0.6_f64, 1 => 0.0..=1.0_f64, 1 => Just(0.0), 1 => Just(1.0)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn planes_come_back_and_all_kernels_give_the_same_bytes(
        width in 2..=10_usize, blocks in 0..40_usize, density in densities(), seed in any::<u64>(),
    ) {
        let planes = planes(seed, blocks, width, density);
        let coded: Vec<Option<Vec<u64>>> = available().iter().map(|kernels| {
            let mut message = vec![u64::MAX; planes.len()];
            let length = encode(kernels, &planes, width, &mut message)?;
            message.truncate(length);
            Some(message)
        }).collect();
        for (kernels, coded) in available().iter().zip(&coded) {
            prop_assert_eq!(coded, &coded_by_portable(&planes, width), "{}", kernels.isa());
        }
        if let Some(message) = &coded[0] {
            prop_assert!(message.len() <= planes.len() - planes.len() / 8);
            for kernels in available() {
                let mut decoded = vec![u64::MAX; planes.len()];
                prop_assert_eq!(decode(kernels, message, width, &mut decoded), Ok(()), "{}", kernels.isa());
                prop_assert_eq!(&decoded, &planes, "{}", kernels.isa());
            }
        }
    }

    #[test]
    fn any_bytes_give_planes_or_an_error_and_the_same_on_all_kernels(
        width in 2..=10_usize, blocks in 1..12_usize, density in densities(), seed in any::<u64>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u64>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let planes = planes(seed, blocks, width, density);
        let mut message = vec![0; planes.len()];
        let length = encode(&available()[0], &planes, width, &mut message);
        message.truncate(length.unwrap_or(message.len()));
        for (index, word) in changes {
            let at = index.index(message.len());
            // One bit, or a whole word.
            message[at] ^= if word % 2 == 0 { word } else { 1 << (word >> 58) };
        }
        if let Some(cut) = cut {
            message.truncate(cut.index(message.len()));
        }
        let decoded: Vec<_> = available().iter().map(|kernels| {
            let mut decoded = vec![0; planes.len()];
            let outcome = decode(kernels, &message, width, &mut decoded);
            (outcome, outcome.is_ok().then_some(decoded))
        }).collect();
        prop_assert!(decoded.iter().all(|other| *other == decoded[0]), "{:?}", decoded);
    }
}

fn coded_by_portable(planes: &[u64], width: usize) -> Option<Vec<u64>> {
    let mut message = vec![0; planes.len()];
    let length = encode(&available()[0], planes, width, &mut message)?;
    message.truncate(length);
    Some(message)
}
