//! The codec on one core, beside a copy of the same vector.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;
use ternflock_collectives::codec::{Moments, Rounding};
use ternflock_collectives::kernels::{self, Kernels};
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

use super::{CLIP_SIGMA, gradient, quantile, stream};

/// Medians of the codec's times, in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Codec {
    /// Elements of the vector.
    pub elements: usize,
    /// The kernels' instruction set.
    pub isa: &'static str,
    /// Copying the vector of f32.
    pub memcpy_s: f64,
    /// Its moments, from which the scale follows; part of `encode_s`.
    pub moments_s: f64,
    /// From f32 to ternaries, the scale included.
    pub encode_s: f64,
    /// From sums of `plane_add_planes` planes to f32.
    pub decode_s: f64,
    /// Adding two payloads of `plane_add_planes` planes.
    pub plane_add_s: f64,
    /// Planes of each operand.
    pub plane_add_planes: usize,
}

/// Sums of 4 to 7 ranks.
const PLANES: usize = 4;

/// Instruction sets that this machine has, the fastest last.
pub fn instruction_sets() -> impl Iterator<Item = &'static str> {
    kernels::available().iter().map(Kernels::isa)
}

/// Times the kernels of instruction set `isa`, if this machine has it, on `elements` elements, `rounds` times, everything
/// in turn in each round.
pub fn codec(isa: &str, elements: usize, rounds: usize) -> Option<Codec> {
    let kernels = kernels::available().iter().find(|kernels| kernels.isa() == isa)?;
    Some(time(kernels, elements, rounds))
}

fn time(kernels: &Kernels, elements: usize, rounds: usize) -> Codec {
    let (mut values, blocks) = (Vec::new(), elements.div_ceil(BLOCK));
    gradient(elements, 0, &mut values);
    let mut decoded = vec![0.0; elements];
    let mut ternary = vec![0; words(blocks, TERNARY)];
    let sums = vec![0x5555_u64; words(blocks, PLANES)];
    let mut wider = vec![0; words(blocks, PLANES + 1)];
    let mut times: [Vec<f64>; 5] = Default::default();
    let (moments, stream) = (Moments::of(&values), stream(0));
    let clip = moments.clip(CLIP_SIGMA);
    let scale = moments.scale(clip);
    // The first round also touches the memory for the first time: it does not count.
    for round in 0..=rounds {
        let round_times = [
            timed(|| decoded.copy_from_slice(black_box(&values))),
            timed(|| _ = black_box(kernels.sums(black_box(&values)))),
            timed(|| kernels.encode(&values, clip, scale, Rounding::Stochastic(&stream), 0, &mut ternary)),
            timed(|| kernels.decode(black_box(&sums), PLANES, 0, 0.1, &mut decoded)),
            timed(|| kernels.add(black_box(&sums), PLANES, &sums, PLANES, &mut wider, PLANES + 1)),
        ];
        black_box((&decoded, &ternary, &wider));
        if round > 0 {
            times.iter_mut().zip(round_times).for_each(|(times, time)| times.push(time));
        }
    }
    let [memcpy_s, moments_s, rounding_s, decode_s, plane_add_s] = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        quantile(&times, 0.5)
    });
    let encode_s = moments_s + rounding_s;
    let (isa, plane_add_planes) = (kernels.isa(), PLANES);
    Codec { elements, isa, memcpy_s, moments_s, encode_s, decode_s, plane_add_s, plane_add_planes }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}
