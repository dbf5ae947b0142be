//! The vectors that all-reduces are measured on.

use ternflock_collectives::codec::{Moments, Rounding, decode, encode};
use ternflock_collectives::planes::{BLOCK, TERNARY, width, words};
use xxhash_rust::xxh3::xxh3_64;

use super::contender::Contender;
use super::verify::{is_float_sum, is_ternary_mean};
use super::{CLIP_SIGMA, gradient, stream};

/// What a rank averages, and room for what comes of it.
pub struct Vectors {
    rank: usize,
    world: usize,
    /// This rank's gradient.
    pub values: Vec<f32>,
    /// The mean over ranks, or their sum.
    pub result: Vec<f32>,
    /// The gradient as ternaries.
    pub ternary: Vec<u64>,
    /// The sums of all ranks' ternaries.
    pub sums: Vec<u64>,
}

impl Vectors {
    /// Those of `elements` elements, of `rank` among `world`.
    pub fn new(elements: usize, rank: usize, world: usize) -> Vectors {
        let (mut values, blocks) = (Vec::new(), elements.div_ceil(BLOCK));
        gradient(elements, rank, &mut values);
        let result = values.clone();
        let (ternary, sums) = (vec![0; words(blocks, TERNARY)], vec![0; words(blocks, width(world))]);
        Vectors { rank, world, values, result, ternary, sums }
    }

    /// Sums in place begin with the values.
    pub fn reset(&mut self) {
        self.result.copy_from_slice(&self.values);
    }

    /// This rank's clip and scale.
    pub fn clip_and_scale(&self) -> (f32, f32) {
        let moments = Moments::of(&self.values);
        let clip = moments.clip(CLIP_SIGMA);
        (clip, moments.scale(clip))
    }

    /// From values to ternaries, at the scale of all ranks.
    pub fn encode(&mut self, clip: f32, scale: f32) {
        encode(&self.values, clip, scale, Rounding::Stochastic(&stream(self.rank)), 0, &mut self.ternary);
    }

    /// From sums to the mean, at the scale of all ranks.
    pub fn decode(&mut self, scale: f32) {
        decode(&self.sums, width(self.world), 0, scale / self.world as f32, &mut self.result);
    }

    /// What a ternary all-reduce computes besides adding, with this rank's scale in place of all ranks'.
    pub fn run_codec(&mut self) {
        let (clip, scale) = self.clip_and_scale();
        self.encode(clip, scale);
        self.decode(scale);
    }

    /// Of the result.
    pub fn hash(&self) -> u64 {
        xxh3_64(bytemuck::cast_slice(&self.result))
    }

    /// Whether the result is what `contender` must make of all ranks' values.
    pub fn is_right(&self, contender: Contender) -> bool {
        match contender {
            Contender::Ternary(_) => is_ternary_mean(&self.result, self.world),
            Contender::RingF32 | Contender::MpiAllreduceF32 => is_float_sum(&self.result, self.world),
        }
    }
}
