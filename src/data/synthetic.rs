//! Random images for benchmarks, without files. Each class has a pattern. A sample is half the pattern of its
//! class and half noise, so that a network has something to learn.

use super::{Dataset, Images};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_job::Synthetic;

/// What random numbers are drawn for. The subsets of a data set and the patterns have separate ones.
#[derive(Clone, Copy)]
enum Drawn {
    Train,
    Test,
    Patterns,
}

/// The number of bytes that the counters of the generator can distinguish.
const MOST_BYTES: u128 = 1 << 36;

/// Labels are bytes; further classes have no samples.
const MOST_LABELS: usize = 256;

/// The training samples, and a tenth as many test samples.
///
/// # Errors
/// If they would not fit into memory.
pub(super) fn load(synthetic: &Synthetic) -> Result<Dataset> {
    let [channels, height, width] = synthetic.shape;
    let labels = synthetic.classes.min(MOST_LABELS);
    let tests = synthetic.samples.div_ceil(10);
    let pictures = synthetic.samples.checked_add(tests).and_then(|all| all.checked_add(labels));
    let sides = [channels, height, width].into_iter().map(Some).chain([pictures]);
    let bytes = sides.into_iter().try_fold(1usize, |bytes, side| bytes.checked_mul(side?));
    let most = available_bytes().unwrap_or(u128::MAX).min(MOST_BYTES);
    if bytes.is_none_or(|bytes| bytes as u128 > most) {
        let message = format!(
            "data.samples, data.shape: {} images of {channels}x{height}x{width}, plus a tenth as many test images, \
             need {} bytes, and {most} are available; use fewer or smaller images",
            synthetic.samples,
            bytes.map_or("too many".to_owned(), |bytes| bytes.to_string())
        );
        return Err(Error::Usage(message));
    }
    let patterns = draw(Drawn::Patterns, labels, channels * height * width);
    let part = |part, samples| {
        let noise = draw(part, samples, channels * height * width);
        images(synthetic, &patterns, noise, samples)
    };
    Ok(Dataset {
        name: "synthetic",
        train: part(Drawn::Train, synthetic.samples),
        test: part(Drawn::Test, tests),
    })
}

/// Sample k belongs to class k modulo their number.
fn images(synthetic: &Synthetic, patterns: &[u8], mut pixels: Vec<u8>, samples: usize) -> Images {
    let [channels, height, width] = synthetic.shape;
    let size = channels * height * width;
    let labels = patterns.len() / size;
    for (index, sample) in pixels.chunks_exact_mut(size).enumerate() {
        let pattern = &patterns[index % labels * size..][..size];
        sample.iter_mut().zip(pattern).for_each(|(pixel, &other)| *pixel = *pixel / 2 + other / 2);
    }
    Images {
        channels,
        height,
        width,
        pixels,
        labels: (0..samples).map(|index| (index % labels) as u8).collect(),
        classes: synthetic.classes,
        full_scale: u8::MAX,
    }
}

/// `rows` rows of `size` random bytes, always the same.
fn draw(drawn: Drawn, rows: usize, size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(rows * size + 16);
    for row in 0..rows {
        let stream = Stream {
            seed: 0,
            purpose: Purpose::Synthetic,
            step: row as u64,
            subject: 0,
            tensor: drawn as u16,
        };
        let end = (row + 1) * size;
        for block in 0..size.div_ceil(16) as u32 {
            stream.block(block).iter().for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
        }
        bytes.truncate(end);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn synthetic(classes: usize, samples: usize) -> Synthetic {
        Synthetic { shape: [3, 5, 7], classes, samples }
    }

    #[test]
    fn samples_are_as_many_and_as_large_as_was_asked_for_and_always_the_same() {
        let data = load(&synthetic(10, 101)).unwrap();
        assert_eq!((data.train.len(), data.test.len(), data.train.sample_size()), (101, 11, 105));
        assert_eq!(data.train.pixels.len(), 101 * 105);
        assert_eq!(data, load(&synthetic(10, 101)).unwrap());
        assert_eq!((data.train.labels[100], data.train.classes), (0, 10));
        assert_ne!(data.train.sample(0), data.test.sample(0));
        assert_ne!(data.train.sample(0), data.train.sample(10));
    }

    /// Two samples of the same class share a pattern, so they are closer to each other than to other samples.
    #[test]
    fn classes_can_be_told_apart() {
        let images = load(&synthetic(2, 200)).unwrap().train;
        let distance = |a: usize, b: usize| -> u32 {
            images.sample(a).iter().zip(images.sample(b)).map(|(&a, &b)| u32::from(a.abs_diff(b))).sum()
        };
        let nearer =
            (0..100).filter(|&k| distance(2 * k, 2 * ((k + 1) % 100)) < distance(2 * k, 2 * k + 1)).count();
        assert!(nearer > 90, "{nearer} of 100");
    }

    #[test]
    fn more_classes_than_a_byte_counts_and_more_bytes_than_memory_has() {
        let images = load(&synthetic(1000, 300)).unwrap().train;
        assert_eq!((images.classes, images.labels[255], images.labels[256]), (1000, 255, 0));
        let message = load(&synthetic(10, usize::MAX / 2)).unwrap_err().to_string();
        assert!(
            message.contains("images of 3x5x7, plus a tenth as many test images, need too many bytes"),
            "{message}"
        );
        let huge = Synthetic { shape: [1, 1 << 20, 1 << 20], ..synthetic(10, 1) };
        let message = load(&huge).unwrap_err().to_string();
        assert!(
            message.contains("need 13194139533312 bytes"),
            "ten patterns, an image and a test image: {message}"
        );
    }
}
