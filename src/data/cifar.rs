//! CIFAR-10's binary version (Krizhevsky 2009): each record has a label and 32x32 pixels as a red, a green
//! and a blue plane.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::files::{Content, fill, open, read_error, require};
use super::{Dataset, Images};
use ternflock_base::error::{Error, Result};

/// The five training files and the test file. Each may end in `.gz`.
pub(super) const FILES: [&str; 6] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
    "test_batch.bin",
];

/// sha256 of the raw files, in the order of [`FILES`].
pub(super) const SUMS: [&str; 6] = [
    "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
];

/// Records of each file.
pub(super) const RECORDS: usize = 10_000;
pub(super) const SIDE: usize = 32;
pub(super) const CHANNELS: usize = 3;
const PIXELS: usize = CHANNELS * SIDE * SIDE;
/// Bytes of a record.
const RECORD: usize = 1 + PIXELS;
const CLASSES: usize = 10;

/// Reads the training and the test set from the six files in `directory`.
///
/// # Errors
/// If a file is missing or unreadable, does not have [`RECORDS`] records, or has a label that is not a class.
pub(super) fn read(directory: &Path) -> Result<Dataset> {
    // All files are opened before memory for their contents is allocated.
    let files: Vec<(PathBuf, Content)> = FILES
        .iter()
        .map(|name| {
            let path = require(directory, name)?;
            let content = open_records(&path, RECORDS)?;
            Ok((path, content))
        })
        .collect::<Result<_>>()?;
    let mut train = empty(5 * RECORDS);
    let mut test = empty(RECORDS);
    for (index, (path, content)) in files.into_iter().enumerate() {
        append(if index == 5 { &mut test } else { &mut train }, &path, content, RECORDS)?;
    }
    Ok(Dataset { name: "cifar-10", train, test })
}

fn empty(capacity: usize) -> Images {
    Images {
        channels: CHANNELS,
        height: SIDE,
        width: SIDE,
        pixels: Vec::with_capacity(capacity * PIXELS),
        labels: Vec::with_capacity(capacity),
        classes: CLASSES,
        full_scale: u8::MAX,
    }
}

/// The remedy for files that are not those of CIFAR-10.
const AGAIN: &str = "use the files that `ternflock data fetch cifar-10` downloads";

/// The content of the file at `path`, which must have `records` records. A file that is too small is read to its end, so
/// that the error can report its size.
fn open_records(path: &Path, records: usize) -> Result<Content> {
    let expected = (records * RECORD) as u64;
    let mut content = open(path)?;
    if content.most().is_some_and(|most| most < expected) {
        let held = io::copy(&mut content, &mut io::sink()).map_err(|error| read_error(path, &error))?;
        return Err(cut_short(path, held as usize, records));
    }
    Ok(content)
}

fn cut_short(path: &Path, held: usize, records: usize) -> Error {
    let (record, expected) = (held / RECORD, records * RECORD);
    let message = format!(
        "truncated in record {record}: {records} records of {RECORD} bytes are {expected} bytes, but the \
         file has {held}; {AGAIN}"
    );
    Error::data(path, message)
}

/// Appends the `records` records that `content`, from the file at `path`, must have.
fn append(images: &mut Images, path: &Path, mut content: impl Read, records: usize) -> Result<()> {
    let mut record = [0; RECORD];
    for index in 0..records {
        let held = fill(&mut content, &mut record).map_err(|error| read_error(path, &error))?;
        if held < RECORD {
            return Err(cut_short(path, index * RECORD + held, records));
        }
        let label = record[0];
        if usize::from(label) >= CLASSES {
            let message =
                format!("record {index} has the label {label}, but the classes are 0 to 9; {AGAIN}");
            return Err(Error::data(path, message));
        }
        images.labels.push(label);
        images.pixels.extend_from_slice(&record[1..]);
    }
    if fill(&mut content, &mut [0]).map_err(|error| read_error(path, &error))? > 0 {
        let expected = records * RECORD;
        let message =
            format!("has more than the {expected} bytes of {records} records of {RECORD} bytes; {AGAIN}");
        return Err(Error::data(path, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tempfile::TempDir;

    use super::*;

    /// Record k has the label k modulo 10, and its pixels count from k.
    fn records(count: usize) -> Vec<u8> {
        let pixel = |record: usize, at: usize| (record + at % 251) as u8;
        (0..count)
            .flat_map(|k| std::iter::once((k % 10) as u8).chain((0..PIXELS).map(move |at| pixel(k, at))))
            .collect()
    }

    fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILES[1]);
        std::fs::write(&path, bytes).unwrap();
        (directory, path)
    }

    fn refusal(bytes: &[u8]) -> String {
        let (_directory, path) = file(bytes);
        open_records(&path, 3)
            .and_then(|content| append(&mut empty(3), &path, content, 3))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn records_become_labels_and_planes() {
        let bytes = records(3);
        let (_directory, path) = file(&bytes);
        let mut images = empty(6);
        (0..2).for_each(|_| append(&mut images, &path, open_records(&path, 3).unwrap(), 3).unwrap());
        assert_eq!((images.len(), &images.labels[..]), (6, &[0, 1, 2, 0, 1, 2][..]));
        assert_eq!(images.sample(4), &bytes[RECORD + 1..2 * RECORD]);
    }

    #[test]
    fn wrong_lengths_and_labels_are_refused_with_their_record() {
        let bytes = records(3);
        let message = refusal(&bytes[..2 * RECORD + 7]);
        assert!(message.contains("data_batch_2.bin: truncated in record 2: 3 records of 3073"), "{message}");
        assert!(message.contains("are 9219 bytes, but the file has 6153; use the files"), "{message}");
        assert!(refusal(&[]).contains("truncated in record 0"));
        assert!(refusal(&records(4)).contains("has more than the 9219 bytes of 3 records"));
        let mut bad = bytes;
        bad[2 * RECORD] = 10;
        assert!(refusal(&bad).contains("record 2 has the label 10, but the classes are 0 to 9"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let (directory, _) = file(&records(1));
        let message = read(directory.path()).unwrap_err().to_string();
        assert!(message.contains("there is no file data_batch_1.bin or data_batch_1.bin.gz"), "{message}");
    }
}
