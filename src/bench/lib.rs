//! How fast a training step is, the codec and the all-reduces, on this machine and between these ranks. No codec and no sum
//! is timed before its result has been checked; those of layers are held to references by the tests.

mod all_reduce;
mod averaging;
mod codec;
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
pub use contender::Contender;
pub use interference::{Interference, Watch, Words};
pub use report::{Case, Report};
pub use step::{LayerTime, NoiseTime, StepTime, Stepper, default_batch, step};

use ternflock_base::rng::{Purpose, Stream};

/// The largest vector that the codec encodes: the streams it rounds with have two words an element.
pub const MOST_ELEMENTS: usize = (1 << 34) - 1;

/// c, as TernGrad clips.
const CLIP_SIGMA: f32 = 2.5;

/// What `rank` rounds with.
fn stream(rank: usize) -> Stream {
    Stream { seed: 0, purpose: Purpose::Ternary, step: 0, subject: rank as u32, tensor: 0 }
}

/// Values like a gradient's, at most [`MOST_ELEMENTS`]: most of them small, a few large, the mean 0. Each rank has its own.
fn gradient(elements: usize, rank: usize, values: &mut Vec<f32>) {
    let stream = Stream { seed: 0, purpose: Purpose::Benchmark, step: 0, subject: rank as u32, tensor: 0 };
    values.clear();
    for block in 0..elements.div_ceil(4) {
        let uniform = |word: u32| word as i32 as f32 / 2.0_f32.powi(31);
        values.extend(stream.block(block as u32).map(uniform).map(|u| u * u * u));
    }
    values.truncate(elements);
}
