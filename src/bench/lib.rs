//! Measures training steps, the codec, the bias of compression, inference and all-reduces, on this machine and between
//! these ranks.
//! The results of codecs and sums are checked before they are timed. Tests compare those of layers with
//! references.

mod all_reduce;
mod averaging;
mod codec;
mod coder;
mod compression;
mod contender;
pub mod infer;
mod interference;
mod memory;
mod report;
pub mod scaling;
mod step;
mod vectors;

pub use all_reduce::{Plans, Ranks};
pub use codec::{Codec, codec, instruction_sets};
pub use coder::Coder;
pub use compression::{Compression, CompressionOptions, Figures, Rule, RuleFigures, TensorBias, compression};
pub use contender::Contender;
pub use interference::{Interference, Watch, Words};
pub use report::{Case, Report};
pub use step::{LayerTime, NoiseTime, StepTime, Stepper, default_batch, step};

use ternflock_base::rng::{Purpose, Stream};

/// The largest vector that the codec encodes: the streams for rounding have two words per element.
pub const MOST_ELEMENTS: usize = (1 << 34) - 1;

/// TernGrad's clipping factor c.
const CLIP_SIGMA: f32 = 2.5;

/// The stream with which `rank` rounds.
fn stream(rank: usize) -> Stream {
    Stream { seed: 0, purpose: Purpose::Ternary, step: 0, subject: rank as u32, tensor: 0 }
}

/// Values like those of a gradient, at most [`MOST_ELEMENTS`]: most are small, a few are large, and the mean
/// is 0. Each rank has its own values.
fn gradient(elements: usize, rank: usize, values: &mut Vec<f32>) {
    let stream = Stream { seed: 0, purpose: Purpose::Benchmark, step: 0, subject: rank as u32, tensor: 0 };
    values.clear();
    for block in 0..elements.div_ceil(4) {
        let uniform = |word: u32| word as i32 as f32 / 2.0_f32.powi(31);
        values.extend(stream.block(block as u32).map(uniform).map(|u| u * u * u));
    }
    values.truncate(elements);
}
