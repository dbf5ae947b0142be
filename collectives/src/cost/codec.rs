//! What it costs a rank to encode, decode, copy and add while all others do the same.

use std::hint::black_box;
use std::time::Instant;

use super::{Costs, SAMPLES, median};
use crate::codec::{Moments, Rounding, decode, encode};
use crate::kernels;
use crate::philox::{Purpose, Stream};
use crate::planes::{BLOCK, TERNARY, width, words};
use crate::{Result, Transport, small};

/// Blocks that are worked on: float32 gradients of 2 MB, more than most caches of one core hold.
const BLOCKS: usize = 1024;

/// Passes of a sample over what is so fast that one says little.
const PASSES: usize = 8;

/// The costs of this rank beside those of the links. All ranks work at once, so that what they share, memory and cores,
/// is shared as in an exchange.
pub(super) fn measure(transport: &mut dyn Transport) -> Result<Costs> {
    let full = width(transport.world());
    let elements = BLOCKS * BLOCK;
    // Any values with signs and spread.
    let value = |index: usize| ((index as u32).wrapping_mul(2_654_435_769) as i32) as f32;
    let values: Vec<f32> = (0..elements).map(value).collect();
    let mut floats = vec![0.0; elements];
    let mut ternary = vec![0; words(BLOCKS, TERNARY)];
    let (sum, mut next) = (vec![0; words(BLOCKS, full)], vec![0; words(BLOCKS, full)]);
    let stream = Stream { seed: 0, purpose: Purpose::Ternary, step: 0, subject: 0, tensor: 0 };

    let barrier = samples(|| {
        let start = Instant::now();
        small::barrier(transport)?;
        Ok(start.elapsed().as_secs_f64())
    })?;
    let mut each = |parts: usize, work: &mut dyn FnMut()| -> Result<f64> {
        let sample = samples(|| {
            small::barrier(transport)?;
            let start = Instant::now();
            work();
            let alone = start.elapsed().as_secs_f64();
            // More ranks than cores take turns: only when all are done it shows what the work takes.
            small::barrier(transport)?;
            Ok(alone.max(start.elapsed().as_secs_f64() - barrier))
        })?;
        Ok(sample / parts as f64)
    };
    let encode = each(elements, &mut || {
        let moments = Moments::of(black_box(&values));
        let clip = moments.clip(2.5);
        encode(&values, clip, moments.scale(clip), Rounding::Stochastic(&stream), 0, &mut ternary);
    })?;
    let decode = each(elements, &mut || decode(black_box(&sum), full, 0, 0.5, &mut floats))?;
    let copy = each(elements, &mut || {
        floats.copy_from_slice(black_box(&values));
        black_box(&mut floats).iter_mut().zip(&values).for_each(|(mean, sum)| *mean = sum * 0.5);
    })?;
    let add_planes = each(PASSES * next.len(), &mut || {
        for _ in 0..PASSES {
            kernels::best().add(black_box(&sum), full, &ternary, TERNARY, &mut next, full);
        }
    })?;
    let add_floats = each(elements / 2, &mut || {
        black_box(&mut floats).iter_mut().zip(&values).for_each(|(sum, own)| *sum += own);
    })?;
    Ok(Costs { encode, decode, copy, add_planes, add_floats, ..Costs::default() })
}

/// The median of what `sample` returns.
fn samples(mut sample: impl FnMut() -> Result<f64>) -> Result<f64> {
    let mut times = [0.0; SAMPLES];
    for time in &mut times {
        *time = sample()?;
    }
    Ok(median(times))
}
