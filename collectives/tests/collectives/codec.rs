//! The codec: its definition, its statistics, and the path of gradients from the ranks to their mean.

use proptest::prelude::*;
use ternflock_collectives::all_reduce::{Algorithm, Coding, Plan, SEGMENT};
use ternflock_collectives::codec::{Layout, Moments, Rounding, decode, encode};
use ternflock_collectives::control;
use ternflock_collectives::planes::{self, BLOCK, TERNARY, WORD, width};
use ternflock_collectives::random::{Purpose, Stream};
use ternflock_collectives::topology::Topology;
use ternflock_collectives::transport::Transport;

use crate::{on_ranks, random};

const STREAM: Stream = Stream { seed: 42, purpose: Purpose::Ternary, step: 0, subject: 0, tensor: 0 };

/// The ternaries of `values` as integers.
pub fn ternaries(values: &[f32], clip: f32, scale: f32, stream: Stream) -> Vec<i32> {
    rounded(values, clip, scale, Rounding::Stochastic(&stream))
}

fn rounded(values: &[f32], clip: f32, scale: f32, rounding: Rounding) -> Vec<i32> {
    let layout = Layout::new([values.len()]);
    let mut payload = vec![0; layout.words(TERNARY)];
    encode(values, clip, scale, rounding, 0, &mut payload);
    (0..values.len()).map(|element| planes::get(&payload, TERNARY, element)).collect()
}

/// The 32 random bits of `element` by the definition.
fn draw(stream: &Stream, element: u64) -> f64 {
    f64::from(stream.half(element)) * 65536.0 + f64::from(stream.half((1 << 34) + element))
}

fn gradient(seed: u64, rank: usize, elements: usize) -> Vec<f32> {
    random(seed, rank).take(elements).map(|word| (word as i64 as f32) / 2.0_f32.powi(63)).collect()
}

proptest! {
    /// Rounding as a comparison of integers, in f64, one element at a time.
    #[test]
    fn every_element_follows_the_definition(
        values in prop::collection::vec(prop_oneof![-2.0_f32..2.0, -1e-3_f32..1e-3], 0..200),
        clip in prop_oneof![0.1_f32..3.0, Just(f32::INFINITY)],
        // Down to gradients whose scale has no reciprocal, and to denormal ones.
        exponent in prop_oneof![3 => Just(0), 1 => -147..120],
        step in 0..1000_u64,
    ) {
        let power = 2.0_f64.powi(exponent);
        let values: Vec<f32> = values.iter().map(|value| (f64::from(*value) * power) as f32).collect();
        let clip = (f64::from(clip) * power) as f32;
        let scale = Moments::of(&values).scale(clip);
        prop_assume!(scale > 0.0);
        let lift = if scale < 2.0_f32.powi(-95) { 2.0_f32.powi(64) } else { 1.0 };
        let reciprocal = 2.0_f32.powi(32) / (scale * lift);
        let short = f64::from((scale * lift) * reciprocal) < 2.0_f64.powi(32);
        let reciprocal = if short { reciprocal.next_up() } else { reciprocal };
        let stream = Stream { step, ..STREAM };
        for (element, ternary) in ternaries(&values, clip, scale, stream).into_iter().enumerate() {
            let threshold = values[element].abs().min(clip) * lift * reciprocal;
            let kept = draw(&stream, element as u64) + 0.5 < f64::from(threshold);
            let expected = if kept { values[element].signum() as i32 } else { 0 };
            prop_assert_eq!(ternary, expected, "element {} = {}", element, values[element]);
        }
    }

    #[test]
    fn rounding_to_the_nearest_follows_the_definition(
        values in prop::collection::vec(prop_oneof![-2.0_f32..2.0, Just(0.5), Just(-0.5)], 0..200),
        clip in prop_oneof![0.1_f32..3.0, Just(f32::INFINITY)],
        scale in prop_oneof![0.1_f32..3.0, Just(1.0)],
    ) {
        for (value, ternary) in values.iter().zip(rounded(&values, clip, scale, Rounding::Nearest)) {
            let kept = f64::from(value.abs().min(clip)) / f64::from(scale) > 0.5;
            prop_assert_eq!(ternary, if kept { value.signum() as i32 } else { 0 }, "{}", value);
        }
    }

    #[test]
    fn what_is_decoded_is_what_was_encoded_and_neighbours_are_untouched(
        lengths in prop::collection::vec(0..150_usize, 1..6), chosen in 0..6_usize,
    ) {
        let layout = Layout::new(lengths.iter().copied());
        let chosen = chosen % lengths.len();
        // Ones everywhere, to detect writes outside the words of the tensor.
        let mut payload = vec![u64::MAX; layout.words(TERNARY)];
        let values = gradient(7, 0, lengths[chosen]);
        encode(&values, f32::INFINITY, 1.0, Rounding::Stochastic(&STREAM), layout.first_word(chosen), &mut payload);
        let mut decoded = vec![f32::NAN; values.len()];
        decode(&payload, TERNARY, layout.first_word(chosen), 0.5, &mut decoded);
        let expected: Vec<f32> =
            ternaries(&values, f32::INFINITY, 1.0, STREAM).iter().map(|t| *t as f32 * 0.5).collect();
        prop_assert_eq!(decoded, expected);
        let first = layout.first_word(chosen) * WORD;
        let written = first..first + values.len().next_multiple_of(WORD);
        for element in 0..layout.blocks() * BLOCK {
            let ternary = planes::get(&payload, TERNARY, element);
            if !written.contains(&element) {
                prop_assert_eq!(ternary, -1, "element {} was written", element);
            } else if element >= first + values.len() {
                prop_assert_eq!(ternary, 0, "padding {} is not zero", element);
            }
        }
    }

    #[test]
    fn ranks_decode_the_mean_of_their_ternaries(
        world in 1..=9_usize, lengths in prop::collection::vec(0..700_usize, 0..5), seed in any::<u64>(),
    ) {
        let layout = Layout::new(lengths.iter().copied());
        let topology = Topology::flat(world);
        let plan = Plan { topology: &topology, blocks: layout.blocks(), segment: SEGMENT, coding: Coding::Never };
        let results = on_ranks(world, |rank| {
            let gradients: Vec<_> =
                lengths.iter().enumerate().map(|(tensor, n)| gradient(seed ^ tensor as u64, rank.rank(), *n)).collect();
            let clips: Vec<_> = gradients.iter().map(|g| Moments::of(g).clip(1.5)).collect();
            let mut scales: Vec<_> =
                gradients.iter().zip(&clips).map(|(g, c)| Moments::of(g).scale(*c).to_bits()).collect();
            control::max(rank, &mut scales).expect("max runs");
            let scales: Vec<_> = scales.into_iter().map(f32::from_bits).collect();

            let mut payload = vec![0; layout.words(TERNARY)];
            let stream = |tensor| Stream { seed, subject: rank.rank() as u32, tensor, ..STREAM };
            let mut ternary = Vec::new();
            for (tensor, gradient) in gradients.iter().enumerate() {
                let stream = stream(tensor as u16);
                let rounding = Rounding::Stochastic(&stream);
                encode(gradient, clips[tensor], scales[tensor], rounding, layout.first_word(tensor), &mut payload);
                ternary.push(ternaries(gradient, clips[tensor], scales[tensor], stream));
            }
            let mut sums = vec![0; layout.words(width(world))];
            Algorithm::RingTernary.sum(rank, plan, &payload, &mut sums).expect("the ring runs");
            let means: Vec<_> = lengths.iter().enumerate().map(|(tensor, elements)| {
                let mut mean = vec![0.0; *elements];
                let factor = scales[tensor] / world as f32;
                decode(&sums, width(world), layout.first_word(tensor), factor, &mut mean);
                mean
            }).collect();
            (ternary, scales, means)
        });
        let (_, scales, means) = &results[0].0;
        for (tensor, elements) in lengths.iter().enumerate() {
            for element in 0..*elements {
                let total: i32 = results.iter().map(|((ternary, ..), _)| ternary[tensor][element]).sum();
                prop_assert_eq!(means[tensor][element], total as f32 * (scales[tensor] / world as f32));
            }
        }
        for ((_, _, other), _) in &results {
            prop_assert_eq!(other, means);
        }
    }
}

#[test]
fn magnitudes_at_the_scale_and_above_are_always_kept() {
    // Among 200,000 elements, about three draw the largest upper half, for which the lower half decides. 2^32
    // / 0.3 is rounded down, 2^32 / 0.25 is exact.
    for scale in [0.25, 0.3, f32::from_bits(77)] {
        for values in [[scale, -scale], [2.0 * scale, -f32::MAX]] {
            let all = values.repeat(100_000);
            let expected = [1, -1].repeat(100_000);
            assert_eq!(ternaries(&all, f32::INFINITY, scale, STREAM), expected);
            assert_eq!(ternaries(&all, scale, scale, STREAM), expected);
            assert_eq!(rounded(&all, scale, scale, Rounding::Nearest), expected);
        }
    }
}

#[test]
fn the_smallest_scales_work_and_a_scale_of_zero_is_all_zero() {
    let tiny = f32::from_bits(3);
    assert_eq!(ternaries(&[tiny, -tiny, 0.0, -0.0], f32::INFINITY, tiny, STREAM), [1, -1, 0, 0]);
    let third: i32 = ternaries(&vec![f32::from_bits(1); 30_000], f32::INFINITY, tiny, STREAM).iter().sum();
    // Binomial, p = 1/3: five standard deviations are 408.
    assert!((third - 10_000).abs() < 408, "{third}");
    let halves =
        [2, -2, 1, -1, 0].map(|bits: i32| bits.signum() as f32 * f32::from_bits(bits.unsigned_abs()));
    assert_eq!(rounded(&halves, f32::INFINITY, tiny, Rounding::Nearest), [1, -1, 0, 0, 0]);
    for rounding in [Rounding::Stochastic(&STREAM), Rounding::Nearest] {
        assert_eq!(rounded(&[1.0, -1.0, 0.0], f32::INFINITY, 0.0, rounding), [0, 0, 0]);
    }
}

#[test]
fn what_is_not_finite_has_a_defined_place() {
    let values = [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
    for clip in [0.5, f32::INFINITY] {
        for rounding in [Rounding::Stochastic(&STREAM), Rounding::Nearest] {
            assert_eq!(rounded(&values, clip, 0.5, rounding), [0, 0, 1, -1]);
        }
    }
}

#[test]
fn sums_of_all_widths_decode() {
    for world in 1..=20_usize {
        for total in [-(world as i32), -1, 0, 1, world as i32] {
            let planes = width(world);
            let payload: Vec<u64> = (0..planes)
                .flat_map(|plane| [if total >> plane & 1 == 1 { u64::MAX } else { 0 }; 8])
                .collect();
            let mut values = [0.0; 100];
            decode(&payload, planes, 2, 0.25, &mut values);
            assert_eq!(values, [total as f32 * 0.25; 100]);
        }
    }
}
