//! From random bits to perturbed weights.
//!
//! A weight uses 16 bits, so a block of the generator serves eight weights. Blocks are drawn [`SIDE`] at a
//! time, for a group of 64 weights. The k-th eight weights of a group use the k-th 16 bits of each block:
//! this is the order in vector registers, so nothing needs to be shuffled.

use std::sync::Arc;

use ternflock_base::rng::{SIDE, Stream};
use ternflock_tensor::{dot, for_each_row, rows, rows_mut, vectorise};

/// The number of weights per group of blocks.
const GROUP: usize = 8 * SIDE;

/// The number of weights that a thread processes at a time, a multiple of the group size.
const WIDTH: usize = 256 * GROUP;

/// Added to the norm of a filter's draws, so that it is not zero.
const EPSILON: f64 = 1e-6;

/// The distribution of a draw.
#[derive(Clone, Debug)]
pub enum Shape {
    /// On (-1, 1): the middles of 65536 equal parts of it.
    Uniform,
    /// Normal, of variance 1: the quantiles at the middles of 65536 equal parts of (0, 1).
    Normal(Arc<[f32]>),
}

#[inline(always)]
fn uniform(bits: u32) -> f32 {
    (bits as i32 as f32 - 32767.5) * (1.0 / 32768.0)
}

/// The 16 bits of weight `index` of a tensor: the definition that the kernels follow.
#[cfg(test)]
pub fn bits(stream: &Stream, index: usize) -> u16 {
    let (group, within) = (index / GROUP, index % GROUP);
    let (half, lane) = (within / SIDE, within % SIDE);
    (stream.block((group * SIDE + lane) as u32)[half / 2] >> (half % 2 * 16)) as u16
}

/// Writes `move_by(w, u)` for each weight w of `clean` and its draw u.
pub fn perturb_tensor(
    stream: &Stream,
    shape: &Shape,
    clean: &[f32],
    noisy: &mut [f32],
    move_by: impl Fn(f32, f32) -> f32 + Copy + Sync,
) {
    for_each_row((rows(clean, WIDTH), rows_mut(noisy, WIDTH)), |row, (clean, noisy)| {
        vectorise(
            #[inline(always)]
            || {
                let groups = clean.chunks(GROUP).zip(noisy.chunks_mut(GROUP));
                for (group, (clean, noisy)) in groups.enumerate() {
                    let block = ((row * (WIDTH / GROUP) + group) * SIDE) as u32;
                    one_group(stream, shape, block, clean, noisy, move_by);
                }
            },
        );
    });
}

/// The same for the at most 64 weights that the blocks from `block` on serve.
#[inline(always)]
fn one_group(
    stream: &Stream,
    shape: &Shape,
    block: u32,
    clean: &[f32],
    noisy: &mut [f32],
    move_by: impl Fn(f32, f32) -> f32,
) {
    let mut draws = [0.0f32; GROUP];
    let words = stream.side_by_side(block);
    for (half, draws) in draws.as_chunks_mut::<SIDE>().0.iter_mut().enumerate() {
        let (words, shift) = (&words[half / 2], half % 2 * 16);
        match shape {
            Shape::Uniform => {
                for lane in 0..SIDE {
                    draws[lane] = uniform(words[lane] >> shift & 0xFFFF);
                }
            }
            Shape::Normal(quantiles) => {
                for lane in 0..SIDE {
                    draws[lane] = quantiles[(words[lane] >> shift & 0xFFFF) as usize];
                }
            }
        }
    }
    if let (Ok(clean), Ok(noisy)) =
        (<&[f32; GROUP]>::try_from(clean), <&mut [f32; GROUP]>::try_from(&mut *noisy))
    {
        // The slices have equal lengths, so that the loop vectorises.
        noisy.iter_mut().zip(clean).zip(&draws).for_each(|((noisy, &w), &u)| *noisy = move_by(w, u));
    } else {
        noisy.iter_mut().zip(clean).zip(&draws).for_each(|((noisy, &w), &u)| *noisy = move_by(w, u));
    }
}

/// Adds to each filter, a row of `filter` weights, draws whose norm is `a` times that of the filter. If
/// `spares_zeros`, weights that are zero do not change, and their draws do not count.
pub fn perturb_filters(
    stream: &Stream,
    shape: &Shape,
    a: f32,
    (filter, spares_zeros): (usize, bool),
    clean: &[f32],
    noisy: &mut [f32],
) {
    match spares_zeros {
        true => perturb_tensor(stream, shape, clean, noisy, |w, u| if w == 0.0 { 0.0 } else { u }),
        false => perturb_tensor(stream, shape, clean, noisy, |_, u| u),
    }
    // Process many small filters at a time.
    let width = filter * (WIDTH / filter.max(1)).max(1);
    for_each_row((rows(clean, width), rows_mut(noisy, width)), |_, (clean, noisy)| {
        for (clean, noisy) in clean.chunks(filter).zip(noisy.chunks_mut(filter)) {
            let [length, drawn] = [clean, &*noisy].map(|values| dot(values, values).sqrt());
            let scale = (f64::from(a) * length / (drawn + EPSILON)) as f32;
            vectorise(
                #[inline(always)]
                || noisy.iter_mut().zip(clean).for_each(|(noisy, w)| *noisy = w + scale * *noisy),
            );
        }
    });
}
