//! Bilinear resizing with antialiasing, pixel for pixel as Pillow's `Image.resize(size, Image.BILINEAR)` does it for
//! images of 8 bits: first along rows, then along columns, with weights in fixed point (Pillow's `Resample.c`). Pillow 13
//! resizes the columns of some images first, so that a value may differ by 1.

use super::decode::Picture;

/// The bits after the point of a weight: a sum of products with bytes fits 32 bits.
const BITS: u32 = 32 - 8 - 2;

/// A part of a resized image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its first row.
    pub top: usize,
    /// Its first column.
    pub left: usize,
    /// Its rows.
    pub height: usize,
    /// Its columns.
    pub width: usize,
}

/// The part `window` of `picture` after resizing it to `height` rows and `width` columns. Only what the window needs is
/// computed.
pub fn resize(picture: &Picture, height: usize, width: usize, window: Window) -> Picture {
    let rows = Weights::new(picture.height, height, window.top..window.top + window.height);
    let columns = Weights::new(picture.width, width, window.left..window.left + window.width);
    let across = along_rows(picture, &columns, rows.used());
    let pixels = along_columns(&across, window.width * picture.channels, &rows);
    Picture { height: window.height, width: window.width, channels: picture.channels, pixels }
}

/// The weights by which values of one line contribute to each value of a resized line.
struct Weights {
    /// For each result: the first value that contributes.
    first: Vec<usize>,
    /// For each result: the weights of that value and of those after it.
    weights: Vec<Vec<i32>>,
}

impl Weights {
    /// For the results `window` of `from` values resized to `to`.
    fn new(from: usize, to: usize, window: std::ops::Range<usize>) -> Weights {
        let scale = from as f64 / to as f64;
        // The triangle is as wide as the distance of two results: that is the antialiasing.
        let support = scale.max(1.0);
        let mut all = Weights { first: Vec::new(), weights: Vec::new() };
        for result in window {
            let centre = (result as f64 + 0.5) * scale;
            // As in C, a cast rounds towards zero, and the negative numbers become 0.
            let first = (centre - support + 0.5) as usize;
            let end = ((centre + support + 0.5) as usize).min(from);
            let exact = (first..end).map(|at| triangle((at as f64 - centre + 0.5) * (1.0 / support)));
            let exact: Vec<f64> = exact.collect();
            let sum = exact.iter().fold(0.0, |sum, weight| sum + weight);
            let fixed = |weight: f64| (0.5 + weight / sum * f64::from(1 << BITS)) as i32;
            all.first.push(first);
            all.weights.push(exact.into_iter().map(fixed).collect());
        }
        all
    }

    /// The values that contribute to any result.
    fn used(&self) -> std::ops::Range<usize> {
        let end = self.first.last().zip(self.weights.last()).map_or(0, |(first, last)| first + last.len());
        self.first.first().copied().unwrap_or(0)..end
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &[i32])> {
        self.first.iter().copied().zip(self.weights.iter().map(Vec::as_slice))
    }
}

fn triangle(distance: f64) -> f64 {
    (1.0 - distance.abs()).max(0.0)
}

/// From the fixed point to a byte.
fn byte(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

const HALF: i32 = 1 << (BITS - 1);

/// Resizes the rows `rows` of `picture`.
fn along_rows(picture: &Picture, columns: &Weights, rows: std::ops::Range<usize>) -> Vec<u8> {
    let line = picture.width * picture.channels;
    let mut out = Vec::with_capacity(rows.len() * columns.first.len() * picture.channels);
    for row in picture.pixels[rows.start * line..rows.end * line].chunks_exact(line.max(1)) {
        match picture.channels {
            1 => row_of::<1>(row, columns, &mut out),
            _ => row_of::<3>(row, columns, &mut out),
        }
    }
    out
}

fn row_of<const C: usize>(row: &[u8], columns: &Weights, out: &mut Vec<u8>) {
    let pixels = row.as_chunks::<C>().0;
    for (first, weights) in columns.iter() {
        let mut sums = [HALF; C];
        for (pixel, &weight) in pixels[first..].iter().zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += i32::from(value) * weight;
            }
        }
        out.extend(sums.map(byte));
    }
}

/// Resizes the columns of `image`, whose rows have `line` bytes and begin at the first row that `rows` uses.
fn along_columns(image: &[u8], line: usize, rows: &Weights) -> Vec<u8> {
    let begin = rows.used().start;
    let mut out = Vec::with_capacity(rows.first.len() * line);
    let mut sums = vec![HALF; line];
    for (first, weights) in rows.iter() {
        sums.fill(HALF);
        for (row, &weight) in image[(first - begin) * line..].chunks_exact(line.max(1)).zip(weights) {
            sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += i32::from(value) * weight);
        }
        out.extend(sums.iter().map(|&sum| byte(sum)));
    }
    out
}
