//! The digits that are part of the program, so that a first run needs no download: 1797 handwritten digits of
//! 8x8 pixels, values 0..=16. `digits/LICENSE.md` names their authors.

use std::io;

use flate2::read::GzDecoder;

use super::{Dataset, Images};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_start;

/// One line per sample: 64 pixels, row by row, then the label.
const CSV: &[u8] = include_bytes!("digits/digits.csv.gz");
const SIDE: usize = 8;
const FULL_SCALE: u8 = 16;
const CLASSES: usize = 10;
/// An upper limit on the bytes of the uncompressed file.
const MOST_BYTES: u64 = 1 << 24;
/// Every fifth sample is for testing. The order of the file mixes the writers, so both sets have all classes
/// and all writers.
const TEST_EVERY: usize = 5;

/// The digits: samples whose index modulo 5 is 4 are the test set (359), the others the training set (1438).
pub(super) fn load() -> Result<Dataset> {
    let text = read_start(GzDecoder::new(CSV), MOST_BYTES)
        .and_then(|text| String::from_utf8(text).map_err(io::Error::other))
        .map_err(|error| Error::data("digits", format!("the data inside the program is damaged: {error}")))?;
    let mut digits = Dataset { name: "digits", train: empty(), test: empty() };
    for (index, line) in text.lines().enumerate() {
        let part = if index % TEST_EVERY == TEST_EVERY - 1 { &mut digits.test } else { &mut digits.train };
        push(part, line).ok_or_else(|| {
            Error::data("digits", format!("line {} of the data inside the program is damaged", index + 1))
        })?;
    }
    Ok(digits)
}

fn empty() -> Images {
    Images {
        channels: 1,
        height: SIDE,
        width: SIDE,
        pixels: Vec::new(),
        labels: Vec::new(),
        classes: CLASSES,
        full_scale: FULL_SCALE,
    }
}

/// Appends the sample on `line`. Appends nothing and returns `None` if the line is not a sample.
fn push(images: &mut Images, line: &str) -> Option<()> {
    let values: Vec<u8> = line.split(',').map(|value| value.parse().ok()).collect::<Option<_>>()?;
    let (&label, pixels) = values.split_last()?;
    let sound = pixels.len() == SIDE * SIDE
        && pixels.iter().all(|&pixel| pixel <= FULL_SCALE)
        && usize::from(label) < CLASSES;
    sound.then(|| {
        images.pixels.extend(pixels);
        images.labels.push(label);
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fifth_sample_is_for_testing() {
        let digits = load().unwrap();
        assert_eq!((digits.train.len(), digits.test.len()), (1438, 359));
        // The file begins with the labels 0 1 2 3 4 5 6 7 8 9 0 ...: sample 4 is a four and sample 9 a nine.
        assert_eq!(digits.train.labels[..9], [0, 1, 2, 3, 5, 6, 7, 8, 0]);
        assert_eq!(digits.test.labels[..2], [4, 9]);
        assert_eq!(digits.train.sample(0)[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn each_part_has_all_classes() {
        let digits = load().unwrap();
        for (part, least) in [(&digits.train, 100), (&digits.test, 20)] {
            for class in 0..10 {
                let count = part.labels.iter().filter(|&&label| label == class).count();
                assert!(count >= least, "class {class}: {count}");
            }
        }
        assert_eq!(digits.train.pixels.iter().max(), Some(&16));
    }

    #[test]
    fn a_damaged_line_is_refused() {
        let good = format!("{}3", "16,".repeat(64));
        assert!(push(&mut empty(), &good).is_some());
        for bad in
            ["", "1,2,3", &good.replace('3', "10"), &good.replacen("16", "17", 1), &good.replace(',', ";")]
        {
            let mut images = empty();
            assert!(push(&mut images, bad).is_none(), "{bad}");
            assert!(images.is_empty() && images.pixels.is_empty());
        }
    }
}
