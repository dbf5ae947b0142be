//! Sums in an order that depends only on the number of terms.

/// Number of parallel partial sums.
const LANES: usize = 32;
/// Number of terms that are summed in f32, 64 per lane; these sums are added in f64.
const CHUNK: usize = 64 * LANES;

/// The K sums of the terms `of` the elements at each place of S slices of equal length. Call it inside
/// `vectorise`.
#[inline(always)]
pub fn sums<const S: usize, const K: usize>(
    slices: [&[f32]; S],
    of: impl Fn([f32; S]) -> [f32; K],
) -> [f64; K] {
    let count = slices[0].len();
    let mut all = [0.0f64; K];
    for first in (0..count).step_by(CHUNK) {
        let chunks = slices.map(|slice| slice[first..count.min(first + CHUNK)].as_chunks::<LANES>());
        let mut lanes = [[0.0f32; LANES]; K];
        for block in 0..chunks[0].0.len() {
            let blocks = chunks.map(|(blocks, _)| &blocks[block]);
            for lane in 0..LANES {
                let terms = of(blocks.map(|block| block[lane]));
                lanes.iter_mut().zip(terms).for_each(|(sums, term)| sums[lane] += term);
            }
        }
        for lane in 0..chunks[0].1.len() {
            let terms = of(chunks.map(|(_, rest)| rest[lane]));
            lanes.iter_mut().zip(terms).for_each(|(sums, term)| sums[lane] += term);
        }
        all.iter_mut().zip(&mut lanes).for_each(|(all, lanes)| *all += total(lanes));
    }
    all
}

/// Halves are added to each other, so that few additions wait for another.
#[inline(always)]
fn total(lanes: &mut [f32; LANES]) -> f64 {
    let mut half = LANES / 2;
    while half > 0 {
        let (low, high) = lanes.split_at_mut(half);
        low.iter_mut().zip(high).for_each(|(low, high)| *low += *high);
        half /= 2;
    }
    f64::from(lanes[0])
}
