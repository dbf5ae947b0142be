//! NumPy files as samples.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::Facts;
use crate::samples::Selection;
use ternflock_nn::{Shape, TargetKind, Targets};

/// The bytes of a NumPy file of version 1.
pub(super) fn npy(descr: &str, shape: &[usize], numbers: &[u8]) -> Vec<u8> {
    let lengths: String = shape.iter().map(|length| format!("{length}, ")).collect();
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({lengths}), }}");
    header += &" ".repeat(63 - (10 + header.len()) % 64);
    header.push('\n');
    let mut file = b"\x93NUMPY\x01\x00".to_vec();
    file.extend((header.len() as u16).to_le_bytes());
    file.extend(header.bytes());
    file.extend(numbers);
    file
}

fn floats(numbers: impl IntoIterator<Item = f32>) -> Vec<u8> {
    numbers.into_iter().flat_map(f32::to_le_bytes).collect()
}

/// A directory, and the settings of a job that reads `x.npy` and `y.npy` in it.
pub(super) struct Files {
    pub directory: TempDir,
    pub how: job::Arrays,
}

impl Files {
    pub fn new(inputs: &[u8], targets: &[u8]) -> Files {
        let files = |names: &[&str]| ArrayFiles(names.iter().map(|&name| name.to_owned()).collect());
        let how = job::Arrays {
            inputs: files(&["x.npy"]),
            targets: files(&["y.npy"]),
            axes: None,
            validation_files: None,
            test_files: None,
            classes: None,
            first_label: 0,
        };
        let made = Files { directory: tempfile::tempdir().unwrap(), how };
        made.write("x.npy", inputs).write("y.npy", targets);
        made
    }

    pub fn write(&self, name: &str, bytes: &[u8]) -> &Files {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn open(&self) -> Result<Sources> {
        self.open_for(None)
    }

    fn open_for(&self, task: Option<TaskKind>) -> Result<Sources> {
        open("npy", &self.how, task, Some(self.directory.path()))
    }

    fn refused(&self) -> String {
        self.open().err().unwrap().to_string()
    }
}

fn read(samples: &dyn Samples, numbers: &[usize]) -> (Vec<f32>, Targets) {
    let mut inputs = vec![f32::NAN; numbers.len() * samples.input().elements()];
    let mut targets = Targets::of_labels(vec![99]);
    samples.read(numbers, &mut inputs, &mut targets).unwrap();
    (inputs, targets)
}

#[test]
fn integers_are_classes_and_may_be_many() {
    let inputs = npy("<f4", &[3, 2], &floats([0.0, 1.0, 10.0, 11.0, 20.0, 21.0]));
    let labels: Vec<u8> = [300i16, 1, 0].into_iter().flat_map(i16::to_be_bytes).collect();
    let mut files = Files::new(&inputs, &npy(">i2", &[3], &labels));
    let samples = files.open().unwrap().train;
    assert_eq!((samples.input(), samples.target()), (Shape::Vector { features: 2 }, TargetKind::Class(301)));
    assert_eq!(samples.labels(), Some(vec![300, 1, 0]));
    let (values, targets) = read(&*samples, &[2, 0, 1]);
    assert_eq!(values, [20.0, 21.0, 0.0, 1.0, 10.0, 11.0]);
    assert_eq!(targets, Targets::of_labels(vec![0, 300, 1]));
    files.how.classes = Some(300);
    let message = files.refused();
    assert!(message.contains("y.npy: the label in row 0 is 300, but the classes are 0 to 299"), "{message}");
    files.how.classes = None;
    files.how.first_label = 1;
    assert!(files.refused().contains("row 2 is 0, but labels start at 1"), "{}", files.refused());
}

#[test]
fn integers_are_values_if_the_task_says_so() {
    let inputs = npy("<f4", &[2], &floats([0.0, 1.0]));
    let numbers: Vec<u8> = [-3i16, 500].into_iter().flat_map(i16::to_le_bytes).collect();
    let files = Files::new(&inputs, &npy("<i2", &[2], &numbers));
    let train = files.open_for(Some(TaskKind::Regression)).unwrap().train;
    assert_eq!((train.target(), train.labels()), (TargetKind::Values(1), None));
    let (_, targets) = read(&*train, &[1, 0]);
    assert_eq!((targets.width, targets.values, targets.labels), (1, vec![500.0, -3.0], vec![]));
    let message = files.open_for(Some(TaskKind::Classification)).err().unwrap().to_string();
    assert!(message.contains("for values to predict, set task.kind = \"regression\""), "{message}");
}

#[test]
fn floats_are_values() {
    let inputs = npy("|u1", &[2, 1, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 255]);
    let numbers: Vec<u8> = [0.5f64, -1.0, 2.0, 1e-3].into_iter().flat_map(f64::to_be_bytes).collect();
    let files = Files::new(&inputs, &npy(">f8", &[2, 2], &numbers));
    let samples = files.open().unwrap().train;
    assert_eq!(samples.input(), Shape::Image { channels: 1, height: 2, width: 2 });
    assert_eq!((samples.target(), samples.labels()), (TargetKind::Values(2), None));
    let (values, targets) = read(&*samples, &[1, 1]);
    // Bytes of images are those of an image file.
    assert_eq!(values, [4.0, 5.0, 6.0, 255.0, 4.0, 5.0, 6.0, 255.0].map(|byte| byte / 255.0));
    assert_eq!((targets.width, targets.values), (2, vec![2.0, 1e-3, 2.0, 1e-3]));
    assert!(targets.labels.is_empty());
}

#[test]
fn files_follow_each_other_and_sets_may_have_their_own() {
    let inputs = |from: u8, rows: usize| npy("|u1", &[rows], &(from..from + rows as u8).collect::<Vec<_>>());
    let mut files = Files::new(&inputs(0, 2), &npy("|u1", &[5], &[0, 1, 1, 0, 1]));
    files
        .write("x2.npy", &inputs(2, 3))
        .write("tx.npy", &inputs(9, 1))
        .write("ty.npy", &npy("|u1", &[1], &[1]));
    files.how.inputs = ArrayFiles(vec!["x.npy".into(), "x2.npy".into()]);
    let own = |name: &str| ArrayFiles(vec![name.into()]);
    files.how.test_files = Some(job::TestFiles { inputs: own("tx.npy"), targets: own("ty.npy") });
    let sources = files.open().unwrap();
    assert_eq!(read(&*sources.train, &[4, 1, 2]).0, [4.0, 1.0, 2.0]);
    assert_eq!(read(&*sources.train, &[1, 2, 3]).0, [1.0, 2.0, 3.0]);
    let test = sources.test.unwrap();
    assert_eq!((test.len(), test.target()), (1, TargetKind::Class(2)));
    files.write("ty.npy", &npy("|u1", &[1], &[2]));
    assert!(files.refused().contains("ty.npy: the label in row 0 is 2, but the classes are 0 to 1"));
    files.write("ty.npy", &npy("<f4", &[1], &floats([2.0])));
    assert!(files.refused().contains("tx.npy: holds vectors of 1 with 1 value, but"), "{}", files.refused());
    files.write("x2.npy", &npy("<f4", &[3, 2], &floats([0.0; 6])));
    assert!(files.refused().contains("x2.npy: has rows of shape [2], but those of"), "{}", files.refused());
}

#[test]
fn what_cannot_be_trained_on_is_named_with_its_place() {
    let labels = npy("|u1", &[2], &[0, 1]);
    let mut numbers = [0.0; 6];
    let refused = |numbers: &[f32], shape: &[usize]| {
        Files::new(&npy("<f4", shape, &floats(numbers.iter().copied())), &labels).refused()
    };
    numbers[5] = f32::NAN;
    assert!(refused(&numbers, &[2, 3]).contains("x.npy: row 1, column 2 (counted from 0) is NaN"));
    numbers[4] = f32::INFINITY;
    let message = refused(&numbers, &[2, 3, 1]);
    assert!(message.contains("row 1, element [1, 0] (counted from 0) is infinite"), "{message}");
    assert!(refused(&[0.0; 3], &[3]).contains("x.npy: holds 3 samples, but"));
    assert!(refused(&[], &[2, 0]).contains("x.npy: is empty: 2 samples of shape [0]"));
    let whole = npy("<f4", &[2, 1], &floats([0.0, 1.0]));
    for (bytes, part) in [
        (&whole[..whole.len() - 1], "truncated: its header states 8 bytes, but only 7 follow"),
        (&[&whole[..], &[0]].concat(), "9 bytes follow its header, which states 8"),
        (&whole[..40], "truncated: it ends inside its header"),
        (b"PK\x03\x04", "use dataset = \"npz\""),
        (b"", "is not a NumPy file"),
        (&npy("<f4", &[usize::MAX, 2], &[]), "an impossible array"),
    ] {
        let message = Files::new(bytes, &labels).refused();
        assert!(message.contains(part), "{message}");
    }
    let message = Files::new(&whole, &npy("<f4", &[2, 2, 2], &floats([0.0; 8]))).refused();
    assert!(message.contains("y.npy: has targets of shape [2, 2] per sample"), "{message}");
}

#[test]
fn facts_change_with_the_contents() {
    let files =
        |x: f32, label: u8| Files::new(&npy("<f4", &[2], &floats([0.0, x])), &npy("|u1", &[2], &[1, label]));
    let facts = |x, label| files(x, label).open().unwrap().train.facts();
    assert_eq!(facts(1.0, 0), facts(1.0, 0));
    let differ = |a: Facts, b: Facts| -> Vec<&str> {
        a.into_iter().zip(b).filter(|(a, b)| a != b).map(|(a, _)| a.0).collect()
    };
    assert_eq!(differ(facts(1.0, 0), facts(2.0, 0)), ["contents"]);
    assert_eq!(differ(facts(1.0, 0), facts(1.0, 1)), ["labels"]);
}

#[test]
fn arrays_of_an_archive_are_read_where_they_are() {
    use std::io::Write as _;
    use zip::CompressionMethod::{Deflated, Stored};
    let directory = tempfile::tempdir().unwrap();
    let mut archive = zip::ZipWriter::new(fs::File::create(directory.path().join("a:b.npz")).unwrap());
    let inputs = npy("<f4", &[3, 2], &floats([0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    for (name, how) in [("other.npy", Stored), ("x.npy", Stored), ("packed.npy", Deflated)] {
        let options = zip::write::SimpleFileOptions::default().compression_method(how);
        archive.start_file(name, options).unwrap();
        archive.write_all(&inputs).unwrap();
    }
    archive.finish().unwrap();
    let array = npz::open("a:b.npz:x", Some(directory.path())).unwrap();
    let mut row = [0.0; 2];
    array.floats(2, &mut row).unwrap();
    assert_eq!((array.shape(), row), (&[3, 2][..], [4.0, 5.0]));
    let refused = |name: &str| npz::open(name, Some(directory.path())).err().unwrap().to_string();
    let message = refused("a:b.npz:packed");
    assert!(message.contains("`packed` is compressed") && message.contains("np.savez instead"), "{message}");
    assert!(refused("a:b.npz:othr").contains("has no array `othr`; did you mean `other`?"));
    assert!(refused("x.npz").contains("must name a file and an array in it"));
}

proptest! {
    /// Whatever rows are read in whatever order, each is the one with its number.
    #[test]
    fn rows_are_found_by_number(
        rows in 1usize..50, size in 1usize..9, wanted in proptest::collection::vec(any::<u16>(), 0..30), cut in any::<u16>()
    ) {
        let value = |row: usize, column: usize| (row * 10 + column) as f32;
        let all: Vec<f32> = (0..rows).flat_map(|row| (0..size).map(move |column| value(row, column))).collect();
        let cut = usize::from(cut) % (rows + 1);
        let part = |from: usize, to: usize| {
            let numbers: Vec<u8> =
                all[from * size..to * size].iter().flat_map(|&x| f64::from(x).to_be_bytes()).collect();
            npy(">f8", &[to - from, size], &numbers)
        };
        let targets = npy("<f4", &[rows], &floats((0..rows).map(|row| row as f32)));
        let mut files = Files::new(&part(0, cut), &targets);
        files.write("x2.npy", &part(cut, rows));
        files.how.inputs = ArrayFiles(vec!["x.npy".into(), "x2.npy".into()]);
        let samples = files.open().unwrap().train;
        let numbers: Vec<usize> = wanted.iter().map(|&number| usize::from(number) % rows).collect();
        let (inputs, targets) = read(&*samples, &numbers);
        let expected: Vec<f32> =
            numbers.iter().flat_map(|&row| (0..size).map(move |column| value(row, column))).collect();
        prop_assert_eq!(inputs, expected);
        prop_assert_eq!(targets.values, numbers.iter().map(|&row| row as f32).collect::<Vec<_>>());
        prop_assert_eq!(Selection::all(samples).numbers.len(), rows);
    }
}
