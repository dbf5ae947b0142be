//! Packs lines of images as pairs of bf16 values: word i of a line has value i of one line in its upper half,
//! and value i of another line in its lower half.

use super::avx512_bf16::Avx512Bf16;
use super::pack::{Lines, each};

/// One of the two lines of each pair.
#[derive(Clone, Copy)]
pub struct Half<'a> {
    /// The images from the first line on.
    pub images: &'a [f32],
    /// The values of a line; the rest is zero. Without any, the images are not read.
    pub samples: usize,
}

/// Packs pairs of lines of as many words as `vectors` vectors have.
pub fn pack_pairs(
    instructions: Avx512Bf16,
    lines: &Lines,
    vectors: usize,
    first: Half,
    second: Half,
    packed: &mut [f32],
) {
    if lines.count.iter().all(|&count| count > 0) {
        instructions.pack(lines, vectors, first, second, packed);
    }
}

/// Calls `pair` with the places of both halves of each pair of lines and of its `width` words, of which there
/// is at least one. The samples of a half are in its images, and the words in `packed`.
#[inline(always)]
pub fn each_pair(
    lines: &Lines,
    width: usize,
    first: &Half,
    second: &Half,
    packed: &mut [f32],
    pair: impl Fn(*const f32, *const f32, *mut f32),
) {
    let last = |distances: [usize; 3]| -> usize {
        distances.iter().zip(lines.count).map(|(distance, count)| distance * (count - 1)).sum()
    };
    for half in [first, second] {
        assert!(half.samples == 0 || last(lines.from) + half.samples <= half.images.len());
    }
    assert!(last(lines.to) + width <= packed.len());
    let (first, second, packed) = (first.images.as_ptr(), second.images.as_ptr(), packed.as_mut_ptr());
    each(
        lines,
        #[inline(always)]
        |from, to| pair(first.wrapping_add(from), second.wrapping_add(from), packed.wrapping_add(to)),
    );
}
