//! IDX, the format in which MNIST was published: a magic number, the dimensions as big-endian u32, then the
//! bytes.

mod names;

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use super::Images;
use super::files::{append, fill, open, read_error, reserved};
use ternflock_base::error::{Error, Result};
use ternflock_job::Idx;

pub(super) use names::holds_any;

/// The canonical names: training images and labels, test images and labels. Each may end in `.gz`; `names` has others.
pub(super) const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// Unsigned bytes in three dimensions: N, H, W.
const IMAGES: u32 = 0x0000_0803;
/// Unsigned bytes in one dimension: N.
const LABELS: u32 = 0x0000_0801;

/// The facts about a data set's labels that are known before they are read.
#[derive(Clone, Copy, Debug)]
pub(super) enum Labels<'a> {
    /// Labels are below this number.
    Below(usize),
    /// The settings of the job.
    Said(&'a Idx),
}

impl Labels<'_> {
    fn first(self) -> usize {
        match self {
            Labels::Below(_) => 0,
            Labels::Said(idx) => idx.first_label,
        }
    }

    fn classes(self) -> Option<usize> {
        match self {
            Labels::Below(classes) => Some(classes),
            Labels::Said(idx) => idx.classes,
        }
    }
}

/// Reads the training and the test set from the four files in `directory`.
///
/// If nothing else is known, the largest label determines the number of classes, whether or not it has training
/// samples.
///
/// # Errors
/// If a file is missing, unreadable or does not match its name, or if two files do not belong together.
pub(super) fn read(directory: &Path, labels: Labels) -> Result<(Images, Images)> {
    let paths = names::find(directory)?;
    let mut train = read_pair(&paths[0], &paths[1])?;
    let mut test = read_pair(&paths[2], &paths[3])?;
    if (train.height, train.width) != (test.height, test.width) {
        return Err(Error::data(
            &paths[2],
            format!(
                "images are {}x{}, but those of {} are {}x{}",
                test.height,
                test.width,
                paths[0].display(),
                train.height,
                train.width
            ),
        ));
    }
    let all = || train.labels.iter().chain(&test.labels).map(|&label| usize::from(label));
    let (lowest, largest) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
    let classes = labels.classes().unwrap_or_else(|| (largest + 1).saturating_sub(labels.first()).max(1));
    for (path, images) in [(&paths[1], &mut train), (&paths[3], &mut test)] {
        number(path, images, labels, classes, lowest)?;
    }
    Ok((train, test))
}

/// Converts the labels of `images`, from the file at `path`, to numbers of `classes` classes. `lowest` is the lowest
/// label of both sets.
fn number(path: &Path, images: &mut Images, labels: Labels, classes: usize, lowest: usize) -> Result<()> {
    let first = labels.first();
    let range = first..first + classes;
    if let Some((index, label)) =
        images.labels.iter().enumerate().find(|(_, label)| !range.contains(&usize::from(**label)))
    {
        let advice = match labels {
            Labels::Below(_) => String::new(),
            Labels::Said(_) if lowest < first => format!("; the lowest is {lowest}: lower data.first_label"),
            Labels::Said(_) if lowest > first => {
                format!("; the lowest is {lowest}: set data.first_label = {lowest}, or raise data.classes")
            }
            Labels::Said(_) => "; raise data.classes".to_owned(),
        };
        let message =
            format!("label {index} is {label}, but the classes are {first} to {}{advice}", range.end - 1);
        return Err(Error::data(path, message));
    }
    // This cannot overflow, because a label is a byte.
    images.labels.iter_mut().for_each(|label| *label -= first as u8);
    images.classes = classes;
    Ok(())
}

/// Reads the images, `[N, H, W]`, in the file at `path`, raw or compressed with gzip, and their sizes.
///
/// # Errors
/// If it cannot be read, is not an IDX file of images, or is damaged.
pub fn read_idx_images(path: &Path) -> Result<([usize; 3], Vec<u8>)> {
    read_array(path, IMAGES)
}

/// Reads `images` with their unconverted `labels`; the number of classes is not known yet.
fn read_pair(images: &Path, labels: &Path) -> Result<Images> {
    let ([samples, height, width], pixels) = read_array(images, IMAGES)?;
    let ([count], values) = read_array(labels, LABELS)?;
    if samples != count {
        return Err(Error::data(
            images,
            format!("holds {samples} images, but {} holds {count} labels", labels.display()),
        ));
    }
    Ok(Images { channels: 1, height, width, pixels, labels: values, classes: 0, full_scale: u8::MAX })
}

/// Reads an array of `D` dimensions from the file at `path`, whose magic number must be `magic`.
///
/// The memory is limited by the size of the file, however large the array is according to the header.
fn read_array<const D: usize>(path: &Path, magic: u32) -> Result<([usize; D], Vec<u8>)> {
    let mut reader = open(path)?;
    let found = read_u32(&mut reader).map_err(|error| header_error(path, &error))?;
    if found != magic {
        return Err(Error::data(path, wrong_magic(found, magic)));
    }
    let mut dimensions = [0; D];
    for dimension in &mut dimensions {
        *dimension = read_u32(&mut reader).map_err(|error| header_error(path, &error))? as usize;
    }
    let shape = dimensions.map(|dimension| dimension.to_string()).join("x");
    let size = dimensions
        .iter()
        .try_fold(1usize, |size, &dimension| size.checked_mul(dimension))
        .filter(|&size| size > 0 && size < isize::MAX as usize)
        .ok_or_else(|| {
            Error::data(path, format!("its header states an impossible array of {shape} bytes"))
        })?;

    let mut bytes = reserved(path, reader.most().map_or(0, |most| most.min(size as u64)))?;
    append(&mut bytes, (&mut reader).take(size as u64)).map_err(|error| read_error(path, &error))?;
    let held = bytes.len();
    if held < size {
        let message = format!("truncated: its header states {shape} = {size} bytes, but only {held} follow");
        return Err(Error::data(path, message));
    }
    if fill(&mut reader, &mut [0]).map_err(|error| read_error(path, &error))? > 0 {
        let message = format!("more bytes follow than the {shape} = {size} that its header states");
        return Err(Error::data(path, message));
    }
    Ok((dimensions, bytes))
}

fn header_error(path: &Path, error: &io::Error) -> Error {
    match error.kind() {
        ErrorKind::UnexpectedEof => Error::data(path, "truncated: it ends inside its header"),
        _ => read_error(path, error),
    }
}

fn read_u32(reader: &mut dyn Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_be_bytes(bytes))
}

fn wrong_magic(found: u32, expected: u32) -> String {
    let kind = |magic| match magic {
        IMAGES => "images",
        LABELS => "labels",
        _ => "another kind of IDX data",
    };
    if found >> 16 != 0 {
        return format!(
            "not an IDX file: it begins with {found:#010x}, not with {expected:#010x} ({})",
            kind(expected)
        );
    }
    format!(
        "mislabelled: it holds {} (magic {found:#010x}) where {} (magic {expected:#010x}) should be",
        kind(found),
        kind(expected)
    )
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};
    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    /// The bytes of an IDX file.
    fn idx(magic: u32, dimensions: &[u32], data: &[u8]) -> Vec<u8> {
        let header = std::iter::once(&magic).chain(dimensions).flat_map(|word| word.to_be_bytes());
        header.chain(data.iter().copied()).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Two training samples and one test sample of 2x3 pixels.
    fn sound() -> [Vec<u8>; 4] {
        [
            idx(IMAGES, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 250, 251, 252, 253, 254, 255]),
            idx(LABELS, &[2], &[2, 0]),
            idx(IMAGES, &[1, 2, 3], &[9; 6]),
            idx(LABELS, &[1], &[1]),
        ]
    }

    fn directory(files: &[Vec<u8>; 4]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in FILES.iter().zip(files) {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        directory
    }

    const ANY: Labels = Labels::Said(&Idx { classes: None, first_label: 0 });

    /// The error if file `which` of an intact directory holds `bytes` instead.
    fn refusal(which: usize, bytes: Vec<u8>) -> String {
        let mut files = sound();
        files[which] = bytes;
        let directory = directory(&files);
        let message = read(directory.path(), Labels::Below(3)).unwrap_err().to_string();
        assert!(message.contains(FILES[which]), "{message}");
        message
    }

    #[test]
    fn raw_and_compressed_files_hold_the_same() {
        let raw = directory(&sound());
        let (train, test) = read(raw.path(), ANY).unwrap();
        assert_eq!((train.channels, train.height, train.width, train.len()), (1, 2, 3, 2));
        assert_eq!(train.sample(1), [250, 251, 252, 253, 254, 255]);
        assert_eq!((train.labels.as_slice(), train.classes, train.full_scale), ([2, 0].as_slice(), 3, 255));
        assert_eq!((test.len(), test.classes), (1, 3));

        // Compressed, with and without the file extension.
        for ending in ["", ".gz"] {
            let compressed = tempfile::tempdir().unwrap();
            for (name, bytes) in FILES.iter().zip(sound()) {
                std::fs::write(compressed.path().join(format!("{name}{ending}")), gzip(&bytes)).unwrap();
            }
            assert_eq!(read(compressed.path(), ANY).unwrap(), (train.clone(), test.clone()), "{ending}");
        }
    }

    #[test]
    fn files_of_the_wrong_length_are_refused() {
        let [images, labels, ..] = sound();
        let mut longer = images.clone();
        longer.push(0);
        for (bytes, expected) in [
            (images[..27].to_vec(), "truncated: its header states 2x2x3 = 12 bytes, but only 11 follow"),
            (images[..10].to_vec(), "truncated: it ends inside its header"),
            (Vec::new(), "truncated: it ends inside its header"),
            (longer.clone(), "more bytes follow than the 2x2x3 = 12"),
            (gzip(&longer), "more bytes follow than the 2x2x3 = 12"),
        ] {
            let message = refusal(0, bytes);
            assert!(message.contains(expected), "{message}");
        }
        let whole = gzip(&labels);
        assert!(refusal(1, whole[..whole.len() - 9].to_vec()).contains("compressed data are truncated"));
        let mut flipped = gzip(&labels);
        let checksum = flipped.len() - 8;
        flipped[checksum] ^= 1;
        assert!(refusal(1, flipped).contains("compressed data are damaged"));
    }

    #[test]
    fn absurd_dimensions_are_refused() {
        let message = refusal(0, idx(IMAGES, &[u32::MAX; 3], &[0; 100]));
        assert!(message.contains("impossible array of 4294967295x4294967295x4294967295"), "{message}");
        // The header states 2^57 bytes, which is possible in theory. So memory must depend on the size of the
        // file and not on the header.
        let message = refusal(0, gzip(&idx(IMAGES, &[1 << 31, 1 << 13, 1 << 13], &[0; 100])));
        assert!(message.contains("but only 100 follow"), "{message}");
        let message = refusal(1, idx(LABELS, &[0], &[]));
        assert!(message.contains("impossible array of 0 bytes"), "{message}");
    }

    #[test]
    fn files_of_another_kind_are_refused() {
        let [images, labels, ..] = sound();
        let message = refusal(0, labels.clone());
        assert!(message.contains("it holds labels (magic 0x00000801) where images"), "{message}");
        let message = refusal(3, images.clone());
        assert!(message.contains("it holds images (magic 0x00000803) where labels"), "{message}");
        let message = refusal(0, idx(0x0D03, &[2, 2, 3], &[0; 48]));
        assert!(message.contains("it holds another kind of IDX data (magic 0x00000d03)"), "{message}");
        let message = refusal(1, b"<!DOCTYPE html>".to_vec());
        assert!(message.contains("not an IDX file"), "{message}");
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let message = refusal(0, idx(IMAGES, &[1, 2, 3], &[0; 6]));
        assert!(message.contains("holds 1 images, but ") && message.contains("holds 2 labels"), "{message}");
        assert!(message.contains(FILES[1]), "{message}");
        let message = refusal(2, idx(IMAGES, &[1, 3, 2], &[0; 6]));
        assert!(message.contains("images are 3x2, but those of") && message.contains("are 2x3"), "{message}");
        let message = refusal(1, idx(LABELS, &[2], &[2, 3]));
        assert!(message.contains("label 1 is 3, but the classes are 0 to 2"), "{message}");
    }

    /// Training labels 2 and 0, and the test label that is given.
    #[test]
    fn classes_are_those_of_both_sets_and_may_begin_at_one() {
        let read_as = |train: [u8; 2], test: u8, classes, first_label| {
            let mut files = sound();
            (files[1], files[3]) = (idx(LABELS, &[2], &train), idx(LABELS, &[1], &[test]));
            let read = read(directory(&files).path(), Labels::Said(&Idx { classes, first_label }));
            let labels = |(train, test): (Images, Images)| {
                assert_eq!(train.classes, test.classes);
                (train.classes, [train.labels, test.labels].concat())
            };
            read.map(labels).map_err(|error| error.to_string())
        };
        assert_eq!(
            read_as([2, 0], 4, None, 0),
            Ok((5, vec![2, 0, 4])),
            "without a training sample of 3 and 4"
        );
        assert_eq!(read_as([2, 0], 1, Some(10), 0), Ok((10, vec![2, 0, 1])));
        assert_eq!(read_as([26, 1], 2, None, 0), Ok((27, vec![26, 1, 2])));
        assert_eq!(read_as([26, 1], 2, None, 1), Ok((26, vec![25, 0, 1])));
        assert_eq!(read_as([26, 1], 2, Some(26), 1), Ok((26, vec![25, 0, 1])));
        assert_eq!(read_as([255, 0], 0, None, 0), Ok((256, vec![255, 0, 0])));
        for (refused, part) in [
            (
                read_as([26, 1], 2, Some(26), 0),
                "label 0 is 26, but the classes are 0 to 25; the lowest is 1: set data.first_label = 1, or raise data.classes",
            ),
            (read_as([2, 0], 1, Some(2), 0), "label 0 is 2, but the classes are 0 to 1; raise data.classes"),
            (read_as([1, 0], 5, Some(5), 0), "label 0 is 5, but the classes are 0 to 4; raise data.classes"),
            (
                read_as([2, 0], 1, None, 1),
                "label 1 is 0, but the classes are 1 to 2; the lowest is 0: lower data.first_label",
            ),
            (read_as([2, 0], 1, None, 9), "label 0 is 2, but the classes are 9 to 9; the lowest is 0: lower"),
        ] {
            let message = refused.unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let directory = directory(&sound());
        std::fs::remove_file(directory.path().join(FILES[3])).unwrap();
        let message = read(directory.path(), ANY).unwrap_err().to_string();
        assert!(message.contains("no file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz"), "{message}");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(which in 0usize..4, bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let mut files = sound();
            files[which] = bytes;
            prop_assert!(read(directory(&files).path(), ANY).is_err());
        }

        #[test]
        fn one_changed_header_byte_is_noticed(byte in 0usize..16, to in any::<u8>()) {
            let mut files = sound();
            prop_assume!(files[0][byte] != to);
            files[0][byte] = to;
            prop_assert!(read(directory(&files).path(), ANY).is_err());
        }
    }
}
