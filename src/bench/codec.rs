//! The codec on one core, compared with a copy of the same vector.

use std::hint::black_box;
use std::time::Instant;

use serde::Serialize;
use ternflock_collectives::codec::{Moments, Rounding};
use ternflock_collectives::kernels::{self, Kernels, Sums};
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

use super::coder::{Coder, coder};
use super::{CLIP_SIGMA, Interference, Watch, gradient, memory, stream};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;
use ternflock_base::text::plural;

/// Medians of the codec's times, in seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Codec {
    /// Elements of the vector.
    pub elements: usize,
    /// The kernels' instruction set.
    pub isa: &'static str,
    /// Whether the kernels gave the same bits as the portable ones on the entire vector; otherwise nothing is
    /// timed.
    pub verified: bool,
    /// Copying the f32 vector.
    pub memcpy_s: f64,
    /// Computing its moments, which determine the scale; part of `encode_s`.
    pub moments_s: f64,
    /// From f32 to ternaries, including the scale.
    pub encode_s: f64,
    /// From sums of `plane_add_planes` planes to f32.
    pub decode_s: f64,
    /// Adding two payloads of `plane_add_planes` planes.
    pub plane_add_s: f64,
    /// Planes of each operand.
    pub plane_add_planes: usize,
    /// Coding segments, each of one message.
    pub coder: Vec<Coder>,
    /// Interference from other work while it was timed.
    pub interference: Interference,
}

/// Sums of 4 to 7 ranks.
pub(super) const PLANES: usize = 4;

/// The factor with which sums are decoded.
const FACTOR: f32 = 0.1;

/// Instruction sets that this machine has, the fastest last.
pub fn instruction_sets() -> impl Iterator<Item = &'static str> {
    kernels::available().iter().map(Kernels::isa)
}

/// Times the kernels of the instruction set `isa` on `elements` elements, fewer than 2^34, in `rounds`
/// rounds. Each round runs every measurement once. `None` if this machine does not have the instruction set.
///
/// # Errors
/// [`Error::Usage`] for more elements than fit into memory, [`Error::Disagree`] if a kernel's result differs from that of
/// the portable ones.
pub fn codec(isa: &str, elements: usize, rounds: usize) -> Result<Option<Codec>> {
    let Some(kernels) = kernels::available().iter().find(|kernels| kernels.isa() == isa) else {
        return Ok(None);
    };
    memory::check(&plural(elements, "element"), memory::codec_bytes(elements), available_bytes())?;
    let inputs = Inputs::new(elements);
    let mut outputs = Outputs::new(elements);
    outputs.fill(kernels, &inputs);
    let mut expected = Outputs::new(elements);
    expected.fill(&kernels::available()[0], &inputs);
    let wrong = outputs.differences(&expected);
    if !wrong.is_empty() {
        let what = wrong.join(", ");
        return Err(Error::Disagree(format!("wrong results of {isa}, please report it: {what}")));
    }
    drop(expected);
    let watch = Watch::start();
    let coder = coder(kernels, elements, rounds)?;
    Ok(Some(time(kernels, &inputs, &mut outputs, coder, rounds, watch)))
}

/// `outputs` is filled, so that its memory has been touched before.
fn time(
    kernels: &Kernels,
    inputs: &Inputs,
    outputs: &mut Outputs,
    coder: Vec<Coder>,
    rounds: usize,
    watch: Watch,
) -> Codec {
    let Inputs { values, clip, scale, sums } = inputs;
    let Outputs { ternary, decoded, wider, .. } = outputs;
    let mut times: [Vec<f64>; 5] = Default::default();
    let stream = stream(0);
    for _ in 0..rounds {
        let memcpy = timed(|| decoded.copy_from_slice(black_box(values)));
        let moments = timed(|| _ = black_box(kernels.sums(black_box(values))));
        let rounding =
            timed(|| kernels.encode(values, *clip, *scale, Rounding::Stochastic(&stream), 0, ternary));
        let decode = timed(|| kernels.decode(black_box(sums), PLANES, 0, FACTOR, decoded));
        let add = timed(|| kernels.add(black_box(sums), PLANES, sums, PLANES, wider, PLANES + 1));
        black_box((&decoded, &ternary, &wider));
        for (times, time) in times.iter_mut().zip([memcpy, moments, moments + rounding, decode, add]) {
            times.push(time);
        }
    }
    let [memcpy_s, moments_s, encode_s, decode_s, plane_add_s] = times.map(median);
    Codec {
        elements: values.len(),
        isa: kernels.isa(),
        verified: true,
        memcpy_s,
        moments_s,
        encode_s,
        decode_s,
        plane_add_s,
        plane_add_planes: PLANES,
        coder,
        interference: watch.finish(),
    }
}

pub(super) fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The input of the kernels.
struct Inputs {
    values: Vec<f32>,
    clip: f32,
    scale: f32,
    /// Sums of `PLANES` planes, with every integer that fits.
    sums: Vec<u64>,
}

impl Inputs {
    fn new(elements: usize) -> Inputs {
        let mut values = Vec::new();
        gradient(elements, 0, &mut values);
        let moments = Moments::by(&kernels::available()[0], &values);
        let clip = moments.clip(CLIP_SIGMA);
        let scale = moments.scale(clip);
        // Each word is xorshifted and multiplied, as in splitmix64, so that words differ.
        let word = |index: u64| {
            let mixed = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9)
        };
        let sums = (1..=words(elements.div_ceil(BLOCK), PLANES) as u64).map(word).collect();
        Inputs { values, clip, scale, sums }
    }
}

/// The output of the kernels.
struct Outputs {
    sums: Sums,
    ternary: Vec<u64>,
    decoded: Vec<f32>,
    wider: Vec<u64>,
}

impl Outputs {
    fn new(elements: usize) -> Outputs {
        let blocks = elements.div_ceil(BLOCK);
        let (ternary, wider) = (vec![0; words(blocks, TERNARY)], vec![0; words(blocks, PLANES + 1)]);
        Outputs { sums: Sums::default(), ternary, decoded: vec![0.0; elements], wider }
    }

    fn fill(&mut self, kernels: &Kernels, inputs: &Inputs) {
        let Inputs { values, clip, scale, sums } = inputs;
        self.sums = kernels.sums(values);
        kernels.encode(values, *clip, *scale, Rounding::Stochastic(&stream(0)), 0, &mut self.ternary);
        kernels.decode(sums, PLANES, 0, FACTOR, &mut self.decoded);
        kernels.add(sums, PLANES, sums, PLANES, &mut self.wider, PLANES + 1);
    }

    /// The kernels whose results differ in any bit.
    fn differences(&self, other: &Outputs) -> Vec<&'static str> {
        let bits = |sums: &Sums| (sums.largest, sums.sum.map(f64::to_bits), sums.squares.map(f64::to_bits));
        let differ = [
            ("sums", bits(&self.sums) != bits(&other.sums)),
            ("encode", self.ternary != other.ternary),
            ("decode", words_of(&self.decoded) != words_of(&other.decoded)),
            ("add", self.wider != other.wider),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect()
    }
}

/// Compared as bits, because -0 equals 0.
fn words_of(floats: &[f32]) -> &[u32] {
    bytemuck::cast_slice(floats)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ELEMENTS: usize = 1000;

    fn outputs() -> Outputs {
        let mut outputs = Outputs::new(ELEMENTS);
        outputs.fill(kernels::best(), &Inputs::new(ELEMENTS));
        outputs
    }

    #[test]
    fn a_single_wrong_bit_is_seen_and_named() {
        let right = outputs();
        assert!(outputs().differences(&right).is_empty());
        let assert_seen = |name: &str, spoil: fn(&mut Outputs)| {
            let mut wrong = outputs();
            spoil(&mut wrong);
            assert_eq!(wrong.differences(&right), [name]);
        };
        assert_seen("sums", |wrong| {
            wrong.sums.squares[15] = f64::from_bits(wrong.sums.squares[15].to_bits() ^ 1)
        });
        assert_seen("encode", |wrong| *wrong.ternary.last_mut().unwrap() ^= 1 << 63);
        assert_seen("decode", |wrong| wrong.decoded[ELEMENTS - 1] = -wrong.decoded[ELEMENTS - 1]);
        assert_seen("add", |wrong| wrong.wider[0] ^= 1);
    }

    #[test]
    fn sums_hold_every_integer_of_their_planes() {
        let inputs = Inputs::new(ELEMENTS);
        let mut seen = [false; 1 << PLANES];
        for element in 0..ELEMENTS {
            let integer = ternflock_collectives::planes::get(&inputs.sums, PLANES, element);
            seen[(integer + (1 << (PLANES - 1))) as usize] = true;
        }
        assert_eq!(seen, [true; 1 << PLANES]);
    }
}
