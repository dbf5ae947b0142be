//! CIFAR-10 from a package that stores each file as one PNG image, with one row per sample, and the labels as
//! JSON. These are the same bytes in another order, so the result has the sha256 of the published files.

use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use png::{BitDepth, ColorType, Decoder};

use super::cifar::{CHANNELS, FILES, RECORDS, SIDE};
use ternflock_base::io::{create_log, open_regular, read_bytes};

/// The files of the package that [`convert`] needs.
pub(super) const OF_PACKAGE: &[&str] = &[
    "train_lables.json",
    "test_lables.json",
    "data_batch_1.png",
    "data_batch_2.png",
    "data_batch_3.png",
    "data_batch_4.png",
    "data_batch_5.png",
    "test_batch.png",
];

/// The maximum size per label in a list of labels: a digit and a separator.
const MOST_LABELS: u64 = 1 << 20;

/// The pixels of a sample, which are in one row of the PNG image.
const AREA: usize = SIDE * SIDE;

/// Writes the files of CIFAR-10 to `into`, converted from those of the package in `from`.
pub(super) fn convert(from: &Path, into: &Path) -> Result<(), String> {
    // The package's own spelling.
    let train = labels(&from.join("train_lables.json"), 5 * RECORDS)?;
    let test = labels(&from.join("test_lables.json"), RECORDS)?;
    for (index, name) in FILES.iter().enumerate() {
        let labels = if index == 5 { &test } else { &train[index * RECORDS..][..RECORDS] };
        let picture = from.join(name.replace(".bin", ".png"));
        let failed = |error: String| format!("{}: {error}", picture.display());
        write_records(&picture, labels, &into.join(name)).map_err(failed)?;
    }
    Ok(())
}

/// The `count` labels in the file at `path`.
fn labels(path: &Path, count: usize) -> Result<Vec<u8>, String> {
    let failed = |error: String| format!("{}: {error}", path.display());
    let text = read_bytes(path, MOST_LABELS).map_err(|error| failed(error.to_string()))?;
    let labels: Vec<u8> = serde_json::from_slice(&text).map_err(|error| failed(error.to_string()))?;
    if labels.len() != count {
        return Err(failed(format!("holds {} labels, not {count}", labels.len())));
    }
    Ok(labels)
}

/// Writes one record per label in `labels` and row of `picture`: the label, then the red, green and blue
/// planes of the row.
fn write_records(picture: &Path, labels: &[u8], to: &Path) -> Result<(), String> {
    let file = open_regular(picture).map_err(|error| error.to_string())?;
    let mut reader = Decoder::new(BufReader::new(file)).read_info().map_err(|error| error.to_string())?;
    let info = reader.info();
    let found = (info.width as usize, info.height as usize, info.color_type, info.bit_depth);
    if found != (AREA, labels.len(), ColorType::Rgb, BitDepth::Eight) || info.interlaced {
        return Err(format!("is not an image of {AREA}x{} with 8 bits per colour", labels.len()));
    }
    let mut out = BufWriter::new(create_log(to).map_err(|error| error.to_string())?);
    let mut record = vec![0; 1 + CHANNELS * AREA];
    for &label in labels {
        let row = reader.next_row().map_err(|error| error.to_string())?.ok_or("ends too early")?;
        record[0] = label;
        for (channel, plane) in record[1..].chunks_exact_mut(AREA).enumerate() {
            plane
                .iter_mut()
                .zip(row.data().chunks_exact(CHANNELS))
                .for_each(|(to, pixel)| *to = pixel[channel]);
        }
        out.write_all(&record).map_err(|error| error.to_string())?;
    }
    out.flush().map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::*;

    fn picture(path: &Path, width: u32, height: u32) {
        let mut encoder = png::Encoder::new(File::create(path).unwrap(), width, height);
        encoder.set_color(ColorType::Rgb);
        let bytes: Vec<u8> = (0..3 * width * height).map(|i| (i % 251) as u8).collect();
        encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    }

    #[test]
    fn rows_become_records_of_planes() {
        let directory = tempfile::tempdir().unwrap();
        let (png, bin) = (directory.path().join("a.png"), directory.path().join("a.bin"));
        picture(&png, AREA as u32, 2);
        write_records(&png, &[7, 3], &bin).unwrap();
        let bytes = fs::read(&bin).unwrap();
        assert_eq!(bytes.len(), 2 * (1 + 3 * AREA));
        let pixel = |row: usize, at: usize, channel: usize| ((row * 3 * AREA + 3 * at + channel) % 251) as u8;
        for (row, label) in [7, 3].into_iter().enumerate() {
            let record = &bytes[row * (1 + 3 * AREA)..][..1 + 3 * AREA];
            assert_eq!(record[0], label);
            for (at, &byte) in record[1..].iter().enumerate() {
                assert_eq!(byte, pixel(row, at % AREA, at / AREA));
            }
        }
    }

    #[test]
    fn what_is_not_the_package_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (png, bin) = (directory.path().join("a.png"), directory.path().join("a.bin"));
        picture(&png, 32, 2);
        assert_eq!(
            write_records(&png, &[0, 0], &bin).unwrap_err(),
            "is not an image of 1024x2 with 8 bits per colour"
        );
        fs::write(&png, "no picture").unwrap();
        assert!(write_records(&png, &[0], &bin).is_err());
        let message = convert(directory.path(), directory.path()).unwrap_err();
        assert!(message.contains("train_lables.json: No such file"), "{message}");
        let list = directory.path().join("list.json");
        fs::write(&list, "[1, 2, 3]").unwrap();
        assert!(labels(&list, 4).unwrap_err().ends_with("list.json: holds 3 labels, not 4"));
    }
}
