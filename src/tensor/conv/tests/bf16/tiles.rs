//! Convolutions with tiles give the same bits as the sums of the definition, added in the documented order.

use super::*;
use crate::bf16::add_products;
use crate::conv::tile_products::TileProducts;

/// Adds one row of a window to `sum`: (value, weight) for each position and an even number of channels.
fn add_row(sum: f32, row: &[(f32, f32)]) -> f32 {
    let words: Vec<([f32; 2], [f32; 2])> =
        row.chunks_exact(2).map(|word| ([word[0].0, word[1].0], [word[0].1, word[1].1])).collect();
    let count = words.len().div_ceil(16);
    let size = words.len().div_ceil(count.max(1));
    (0..count).fold(sum, |sum, step| {
        let first = (step * size).min(words.len() - size);
        // Words that the previous step has added have a weight of zero.
        let word = |at: usize| (words[at].0, if at < step * size { [0.0; 2] } else { words[at].1 });
        add_products(sum, (first..first + size).map(word))
    })
}

/// The sums of the definition in the order of tiles, one output at a time.
struct InOrder<'a> {
    shape: Shape,
    batch: usize,
    inputs: &'a Inputs,
}

impl InOrder<'_> {
    /// The value at `[channel, row, column, sample]` of images of `size`, rounded; zero in the padding.
    fn value(
        &self,
        images: &[f32],
        size: (usize, usize),
        at: (usize, Option<usize>, Option<usize>),
        n: usize,
    ) -> f32 {
        let inside = at.1.filter(|&h| h < size.0).zip(at.2.filter(|&v| v < size.1));
        inside.map_or(0.0, |(h, v)| widen(round(images[((at.0 * size.0 + h) * size.1 + v) * self.batch + n])))
    }

    fn weight(&self, f: usize, c: usize, r: usize, s: usize) -> f32 {
        let Window { kernel, .. } = self.shape.window;
        let channels = self.shape.group().channels;
        widen(round(self.inputs.0[1][((f * channels + c) * kernel.0 + r) * kernel.1 + s]))
    }

    fn forward(&self, f: usize, (p, q): (usize, usize), n: usize) -> f32 {
        let Window { size, kernel, stride, padding, .. } = self.shape.window;
        let (channels, group) = (self.shape.group().channels, f / (self.shape.filters / self.shape.groups));
        let mut sum = self.inputs.0[2][f];
        for r in 0..kernel.0 {
            let Some(h) = (p * stride.0 + r).checked_sub(padding.0).filter(|&h| h < size.0) else { continue };
            let mut row = Vec::new();
            for s in 0..kernel.1 {
                let v = (q * stride.1 + s).checked_sub(padding.1);
                row.extend((0..channels).map(|c| {
                    let x = self.value(&self.inputs.0[0], size, (group * channels + c, Some(h), v), n);
                    (x, self.weight(f, c, r, s))
                }));
                row.resize(row.len().next_multiple_of(2), (0.0, 0.0));
            }
            sum = add_row(sum, &row);
        }
        sum
    }

    fn data_gradient(&self, channel: usize, (h, v): (usize, usize), n: usize) -> f32 {
        let Window { kernel, stride, padding, output, .. } = self.shape.window;
        let (channels, filters) = (self.shape.group().channels, self.shape.filters / self.shape.groups);
        let (group, c) = (channel / channels, channel % channels);
        let mut sum = 0.0;
        for p in 0..output.0 {
            let Some(r) = (h + padding.0).checked_sub(p * stride.0).filter(|&r| r < kernel.0) else {
                continue;
            };
            let mut row = Vec::new();
            for s in (0..kernel.1).rev().filter(|&s| (v + padding.1) % stride.1 == s % stride.1) {
                let q = (v + padding.1).checked_sub(s).map(|q| q / stride.1);
                row.extend((group * filters..(group + 1) * filters).map(|f| {
                    let dy = self.value(&self.inputs.0[3], output, (f, Some(p), q), n);
                    (dy, self.weight(f, c, r, s))
                }));
                row.resize(row.len().next_multiple_of(2), (0.0, 0.0));
            }
            sum = add_row(sum, &row);
        }
        sum
    }
}

/// The bits of all values `[maps, rows, columns, samples]`.
fn each(
    maps: usize,
    size: (usize, usize),
    batch: usize,
    value: impl Fn(usize, (usize, usize), usize) -> f32,
) -> Vec<u32> {
    let at = |index: usize| {
        let (place, n) = (index / batch, index % batch);
        value(place / (size.0 * size.1), (place / size.1 % size.0, place % size.1), n).to_bits()
    };
    (0..maps * size.0 * size.1 * batch).map(at).collect()
}

fn check_order(shape: Shape, batch: usize, threads: usize) {
    if TileProducts::of(Precision::Bf16).is_none() || shape.filters == shape.groups {
        return;
    }
    let problem = Problem { shape, columns: None, batch, precision: Precision::Bf16 };
    let inputs = Inputs::of(&problem);
    let direct = Algorithm { least_batch: |_, _| Some(0), ..direct::ALGORITHM };
    let ([y, dx, _], _) = inputs.pass(&[direct], &problem, threads);
    let definition = InOrder { shape, batch, inputs: &inputs };
    let Window { channels, size, output, .. } = shape.window;
    assert_eq!(y, each(shape.filters, output, batch, |f, at, n| definition.forward(f, at, n)), "forward");
    let expected = each(channels, size, batch, |c, at, n| definition.data_gradient(c, at, n));
    assert_eq!(dx, expected, "data gradient");
}

proptest! {
    // The definition computes one product at a time, which is slow.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_of_tiles_have_the_stated_order(shape in shapes(), batch in 1usize..70, threads in 1usize..4) {
        check_order(shape, batch, threads);
    }

    /// Several tiles of filters, and several steps per window row, which can overlap.
    #[test]
    fn the_same_with_many_channels_and_filters(
        [channels, filters] in [1usize..70, 1usize..70],
        [size, kernel] in [3usize..6, 1usize..4],
        stride in 1usize..3,
        batch in 1usize..40,
    ) {
        let window = square(channels, size, kernel, stride, kernel / 2);
        check_order(Shape { window, filters, groups: 1 }, batch, 2);
    }

    /// Small integers are bf16 values, and all sums are exact.
    #[test]
    fn tiles_equal_im2col(shape in shapes(), batch in 1usize..80, bias: bool, threads in 1usize..3) {
        let Some(tiles) = TileProducts::of(Precision::Bf16) else { return Ok(()) };
        set_threads(threads).unwrap();
        check(shape, batch, bias, &mut Direct::new(shape, tiles, &mut Buffers::allocating()).unwrap());
    }
}

/// Several slabs of rows.
#[test]
fn large_shapes_by_tiles() {
    let Some(tiles) = TileProducts::of(Precision::Bf16) else { return };
    for (channels, filters, size, kernel, stride, padding) in [
        (3, 32, 32, 5, 1, 2),
        (50, 20, 32, 5, 1, 2),
        (16, 32, 32, 3, 2, 1),
        (130, 7, 17, 1, 1, 0),
        (96, 70, 13, 5, 3, 2),
    ] {
        let window = square(channels, size, kernel, stride, padding);
        let shape = Shape { window, filters, groups: 1 };
        check(shape, 53, true, &mut Direct::new(shape, tiles, &mut Buffers::allocating()).unwrap());
    }
}

/// Some outputs and pixels see only padding.
#[test]
fn all_small_shapes() {
    for (size, kernel, stride) in
        (1..5).flat_map(|size| (1..4).flat_map(move |k| (1..5).map(move |s| (size, k, s))))
    {
        for padding in (0..4).filter(|padding| size + 2 * padding >= kernel) {
            let window = square(3, size, kernel, stride, padding);
            check_order(Shape { window, filters: 2, groups: 1 }, 33, 1);
        }
    }
}
