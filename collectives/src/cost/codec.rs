//! Measures the costs of encoding, decoding, coding, copying and adding on a rank while all others do the same.

use std::hint::black_box;
use std::time::Instant;

use super::{Costs, SAMPLES, median};
use crate::codec::{Moments, Rounding, decode, encode};
use crate::planes::{BLOCK, TERNARY, width, words};
use crate::random::{Purpose, Stream};
use crate::{Result, Transport, coding, control, kernels};

/// The number of blocks: float32 gradients of 2 MB, more than the private caches of most cores.
const BLOCKS: usize = 1024;

/// Passes per sample. With fewer, the sample would show how ranks that share a core alternate.
const PASSES: usize = 8;

/// Additions of planes per pass. One addition is much shorter than the other work.
const ADDITIONS: usize = 8;

/// The costs of this rank; those of the links are left at 0. All ranks work at once, so that they share
/// memory and cores as in an exchange. The kinds of work alternate, so that a disturbance affects one sample
/// of each kind and no median.
pub(super) fn measure(transport: &mut dyn Transport) -> Result<Costs> {
    let mut buffers = Buffers::new(transport.world());
    let (elements, sums) = (PASSES * BLOCKS * BLOCK, PASSES * ADDITIONS * buffers.next.len());
    let works: [fn(&mut Buffers); 8] = [
        |_| (),
        Buffers::encode,
        Buffers::decode,
        Buffers::copy,
        Buffers::code_planes,
        Buffers::restore_planes,
        Buffers::add_planes,
        Buffers::add_floats,
    ];
    let mut times = [[(0.0, 0.0); SAMPLES]; 8];
    for sample in 0..SAMPLES {
        for (work, times) in works.iter().zip(&mut times) {
            control::barrier(transport)?;
            let start = Instant::now();
            (0..PASSES).for_each(|_| work(&mut buffers));
            let alone = start.elapsed().as_secs_f64();
            // If there are more ranks than cores, they alternate: the time of the work is known only when all
            // ranks are done.
            control::barrier(transport)?;
            times[sample] = (alone, start.elapsed().as_secs_f64());
        }
    }
    let barrier = median(times[0].map(|(_, together)| together));
    let seconds = times.map(|samples| median(samples.map(|(alone, together)| alone.max(together - barrier))));
    let [_, encode, decode, copy, code_planes, restore_planes, add_planes, add_floats] = seconds;
    let [code_planes, restore_planes] =
        [code_planes, restore_planes].map(|seconds| seconds / (PASSES * buffers.ternary.len()) as f64);
    let [encode, decode, copy] = [encode, decode, copy].map(|seconds| seconds / elements as f64);
    let (add_planes, add_floats) = (add_planes / sums as f64, add_floats / (elements / 2) as f64);
    Ok(Costs {
        encode,
        decode,
        copy,
        code_planes,
        restore_planes,
        add_planes,
        add_floats,
        ..Costs::default()
    })
}

/// The buffers that the measured work reads and writes.
struct Buffers {
    values: Vec<f32>,
    floats: Vec<f32>,
    ternary: Vec<u64>,
    /// The code of the ternaries, and its length.
    coded: Vec<u64>,
    length: usize,
    restored: Vec<u64>,
    /// Sums over all ranks, and the width of theirs.
    sum: Vec<u64>,
    next: Vec<u64>,
    full: usize,
}

impl Buffers {
    fn new(world: usize) -> Self {
        // Any values with signs and spread.
        let value = |index: usize| ((index as u32).wrapping_mul(2_654_435_769) as i32) as f32;
        let (elements, full) = (BLOCKS * BLOCK, width(world));
        Buffers {
            values: (0..elements).map(value).collect(),
            floats: vec![0.0; elements],
            ternary: vec![0; words(BLOCKS, TERNARY)],
            coded: vec![0; words(BLOCKS, TERNARY)],
            length: 0,
            restored: vec![0; words(BLOCKS, TERNARY)],
            sum: vec![0; words(BLOCKS, full)],
            next: vec![0; words(BLOCKS, full)],
            full,
        }
    }

    fn encode(&mut self) {
        let stream = Stream { seed: 0, purpose: Purpose::Ternary, step: 0, subject: 0, tensor: 0 };
        let moments = Moments::of(black_box(&self.values));
        let clip = moments.clip(2.5);
        let (scale, rounding) = (moments.scale(clip), Rounding::Stochastic(&stream));
        encode(&self.values, clip, scale, rounding, 0, &mut self.ternary);
    }

    fn decode(&mut self) {
        decode(black_box(&self.sum), self.full, 0, 0.5, &mut self.floats);
    }

    fn copy(&mut self) {
        self.floats.copy_from_slice(black_box(&self.values));
        let means = black_box(&mut self.floats).iter_mut();
        means.zip(&self.values).for_each(|(mean, sum)| *mean = sum * 0.5);
    }

    /// After [`encode`](Buffers::encode): ternaries of which about half are 0. The time depends little on that.
    fn code_planes(&mut self) {
        let ternary = black_box(&self.ternary);
        self.length = coding::encode(kernels::best(), ternary, TERNARY, &mut self.coded).unwrap_or(0);
    }

    fn restore_planes(&mut self) {
        let coded = black_box(&self.coded[..self.length]);
        // The planes are not read, and a sample is measured whatever they are.
        let _ = black_box(coding::decode(kernels::best(), coded, TERNARY, &mut self.restored));
    }

    fn add_planes(&mut self) {
        let Buffers { sum, ternary, next, full, .. } = self;
        (0..ADDITIONS)
            .for_each(|_| kernels::best().add(black_box(sum), *full, ternary, TERNARY, next, *full));
    }

    fn add_floats(&mut self) {
        black_box(&mut self.floats).iter_mut().zip(&self.values).for_each(|(sum, own)| *sum += own);
    }
}
