//! Compares planes with plain integers, at every width that up to 4,096 ranks need. Above 8 planes the
//! kernels of an instruction set are the portable loop, so comparing the two would test nothing. The
//! reference here shares no code with either.

use proptest::prelude::*;
use ternflock_collectives::kernels::{Kernels, available};
use ternflock_collectives::planes::{TERNARY, WORD, width, words};

use crate::random;

const MOST_RANKS: usize = 4096;

/// Converts integers to planes, one bit at a time: the two's complement of each, from the lowest bit to the sign, in
/// blocks of 512 elements with 8 words per plane.
fn lay(values: &[i32], width: usize) -> Vec<u64> {
    let mut payload = vec![0u64; values.len().div_ceil(512) * width * 8];
    for (element, value) in values.iter().enumerate() {
        for plane in 0..width {
            let bit = (value >> plane & 1) as u64;
            payload[(element / 512 * width + plane) * 8 + element % 512 / 64] |= bit << (element % 64);
        }
    }
    payload
}

/// Sums that `ranks` ranks can produce: the extremes, zero, their neighbours, and random others.
fn sums(seed: u64, ranks: usize, count: usize) -> Vec<i32> {
    let most = ranks as i32;
    let special = [most, -most, most - 1, 1 - most, 0, 1, -1, most / 2, -most / 2];
    let draw = |(at, word): (usize, u64)| match special.get(at) {
        Some(&value) => value,
        None => (word % (2 * ranks as u64 + 1)) as i32 - most,
    };
    random(seed, 0).take(count).enumerate().map(draw).collect()
}

/// The values that `kernels` decode from the planes of `integers`, each times `factor`, starting at word `first` of a
/// payload.
fn check_decode(kernels: &Kernels, integers: &[i32], ranks: usize, first: usize, factor: f32) {
    let mut all = vec![0; first * WORD];
    all.extend(integers);
    let mut values = vec![f32::NAN; integers.len()];
    kernels.decode(&lay(&all, width(ranks)), width(ranks), first, factor, &mut values);
    for (element, (value, integer)) in values.iter().zip(integers).enumerate() {
        // The integer is exact, followed by one product.
        let expected = *integer as f32 * factor;
        let isa = kernels.isa();
        assert_eq!(
            value.to_bits(),
            expected.to_bits(),
            "{isa}: element {element} of {ranks} ranks: {integer}"
        );
    }
}

fn check_add(kernels: &Kernels, seed: u64, (j, k): (usize, usize), blocks: usize) {
    let (a, b) = (sums(seed, j, 512 * blocks), sums(!seed, k, 512 * blocks));
    let expected: Vec<i32> = a.iter().zip(&b).map(|(a, b)| a + b).collect();
    let mut sum = vec![u64::MAX; words(blocks, width(j + k))];
    kernels.add(&lay(&a, width(j)), width(j), &lay(&b, width(k)), width(k), &mut sum, width(j + k));
    assert!(sum == lay(&expected, width(j + k)), "{}: sums over {j} and {k} ranks", kernels.isa());
}

/// For each width, the narrowest and the widest sums, with every kernel.
#[test]
fn every_width_decodes_and_adds() {
    for exponent in 0..=MOST_RANKS.ilog2() {
        let narrowest = 1usize << exponent;
        for ranks in [narrowest, (2 * narrowest - 1).min(MOST_RANKS)] {
            for kernels in available() {
                check_decode(kernels, &sums(ranks as u64, ranks, 700), ranks, 3, 1.0 / ranks as f32);
                if ranks > 1 {
                    check_add(kernels, ranks as u64, (ranks / 2, ranks - ranks / 2), 2);
                    check_add(kernels, ranks as u64, (ranks - 1, 1), 1);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn decoded_values_are_the_integers_times_the_factor(
        ranks in 1..=MOST_RANKS, elements in 0..700_usize, first in 0..20_usize, factor in -4.0_f32..4.0, seed in any::<u64>(),
    ) {
        for kernels in available() {
            check_decode(kernels, &sums(seed, ranks, elements), ranks, first, factor);
        }
    }

    #[test]
    fn added_planes_are_the_planes_of_the_sum(
        both in 2..=MOST_RANKS, part in any::<prop::sample::Index>(), blocks in 0..4_usize, seed in any::<u64>(),
    ) {
        let j = 1 + part.index(both - 1);
        for kernels in available() {
            check_add(kernels, seed, (j, both - j), blocks);
        }
    }
}

/// The ternaries of 4,096 ranks, added one after another as in a ring. At every number of ranks the sums equal those of
/// integers, and sums of one sign reach the limits of each width.
#[test]
fn ternaries_of_4096_ranks_add_up() {
    let elements = 512;
    for kernels in available() {
        let mut sum = vec![0i32; elements];
        let mut payload: Vec<u64> = Vec::new();
        for rank in 0..MOST_RANKS {
            let mut draws = random(7, rank);
            // Half of them have the same sign on all ranks.
            let ternary = |element: usize, word: u64| match element % 4 {
                0 => 1,
                1 => -1,
                _ => (word % 3) as i32 - 1,
            };
            let own: Vec<i32> = (0..elements).zip(&mut draws).map(|(at, word)| ternary(at, word)).collect();
            sum.iter_mut().zip(&own).for_each(|(sum, own)| *sum += own);
            let (before, after) = (width(rank.max(1)), width(rank + 1));
            if rank == 0 {
                payload = lay(&own, TERNARY);
            } else {
                let mut wider = vec![0; words(1, after)];
                kernels.add(&payload, before, &lay(&own, TERNARY), TERNARY, &mut wider, after);
                payload = wider;
            }
            // Compare everything where a width begins and ends.
            if (rank + 1).is_power_of_two() || (rank + 2).is_power_of_two() {
                assert!(payload == lay(&sum, after), "{}: {} ranks", kernels.isa(), rank + 1);
            }
        }
        assert_eq!((sum[0], sum[1]), (4096, -4096));
        let mut values = vec![0.0; elements];
        kernels.decode(&payload, width(MOST_RANKS), 0, 1.0 / MOST_RANKS as f32, &mut values);
        let exact = |sum: &i32| *sum as f32 / MOST_RANKS as f32;
        assert_eq!(values, sum.iter().map(exact).collect::<Vec<_>>());
    }
}
