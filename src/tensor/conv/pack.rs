//! Copies a block of samples out of images, so that a kernel reads it sequentially.
//!
//! In `[C, H, W, N]`, the values of 16 samples at one pixel are a cache line. The next pixel is N values away
//! and the next channel H W N, which is often a power of two, so that a cache can hold only a few of these
//! lines. In the packed copy, lines are contiguous in the order in which they are read. A value is packed a
//! few times and multiplied hundreds of times.

use crate::blocks::Block;
use crate::simd::vectorise;

/// Lines to copy: `[outer, middle, inner]` steps of each loop and the distances between them, in elements.
pub struct Lines {
    /// Numbers of steps: outer, middle, inner.
    pub count: [usize; 3],
    /// Distances in the images.
    pub from: [usize; 3],
    /// Distances in the packed copy.
    pub to: [usize; 3],
}

/// Copies lines of a block's samples from `images`, which begins at the first line, to `packed`. Values
/// without samples become 0.
pub fn pack(lines: &Lines, block: Block, lanes: usize, images: &[f32], packed: &mut [f32]) {
    match (block.vectors * lanes, block.samples) {
        (8, 8) => pack_whole::<8>(lines, images, packed),
        (16, 16) => pack_whole::<16>(lines, images, packed),
        (32, 32) => pack_whole::<32>(lines, images, packed),
        (width, samples) => each(lines, |from, to| {
            let line = &mut packed[to..to + width];
            line[..samples].copy_from_slice(&images[from..from + samples]);
            line[samples..].fill(0.0);
        }),
    }
}

fn pack_whole<const WIDTH: usize>(lines: &Lines, images: &[f32], packed: &mut [f32]) {
    vectorise(
        #[inline(always)]
        || {
            each(
                lines,
                #[inline(always)]
                |from, to| {
                    let line: &[f32; WIDTH] = images[from..].first_chunk().expect("a line is in the images");
                    *packed[to..].first_chunk_mut().expect("a line is in the copy") = *line;
                },
            )
        },
    );
}

/// Calls `copy` with the places of each line in the images and in the packed copy.
#[inline(always)]
pub fn each(lines: &Lines, mut copy: impl FnMut(usize, usize)) {
    let Lines { count, from, to } = lines;
    for outer in 0..count[0] {
        for middle in 0..count[1] {
            let (mut source, mut target) =
                (outer * from[0] + middle * from[1], outer * to[0] + middle * to[1]);
            for _ in 0..count[2] {
                copy(source, target);
                source += from[2];
                target += to[2];
            }
        }
    }
}
