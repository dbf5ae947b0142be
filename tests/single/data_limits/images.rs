//! IDX and CIFAR.

use std::io::{Read as _, repeat};
use std::time::Duration;

use ternflock::data;

use crate::heap::{bounded, scales};
use crate::made::{Files, gzip};

const IDX: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fn header(dimensions: &[u32]) -> Vec<u8> {
    let magic = 0x0800 + dimensions.len() as u32;
    std::iter::once(&magic).chain(dimensions).flat_map(|word| word.to_be_bytes()).collect()
}

/// The error message of opening `name` from `files`; empty if it succeeds.
#[track_caller]
fn open(what: &str, name: &str, files: &Files) -> (String, Duration) {
    let (outcome, time) = bounded(what, files.size(), || data::open(name, Some(files.path())));
    (outcome.err().map_or(String::new(), |error| error.to_string()), time)
}

/// `count` images of 100x100 and as many labels, all zero.
fn zeros(count: u32, is_compressed: bool) -> Files {
    let files = Files::new();
    for (index, name) in IDX.iter().enumerate() {
        let count = if index < 2 { count } else { 1 };
        let (header, size) = match index % 2 {
            0 => (header(&[count, 100, 100]), u64::from(count) * 10_000),
            _ => (header(&[count]), u64::from(count)),
        };
        let mut content = header.chain(repeat(0).take(size));
        let mut bytes = Vec::new();
        match is_compressed {
            true => bytes = gzip(content),
            false => drop(content.read_to_end(&mut bytes).unwrap()),
        }
        files.write(name, &bytes);
    }
    files
}

pub fn stay_in_bounds() {
    // Raw files of this size are accepted; compressed ones are not.
    assert_eq!(open("raw IDX", "idx", &zeros(5_000, false)).0, "");
    let message = open("compressed IDX", "idx", &zeros(50_000, true)).0;
    assert!(
        message.contains("train-images-idx3-ubyte: its first ") && message.contains("gzip -dc"),
        "{message}"
    );
    let [small, large] = [700, 2_800].map(|count| zeros(count, false));
    let time = |files| open("raw IDX", "idx", files).1;
    scales("raw IDX", &mut || time(&small), &mut || time(&large));
    claims();
    cifar();
}

/// Headers may claim any size.
fn claims() {
    for (dimensions, part) in [
        ([0, u32::MAX, u32::MAX], "impossible array"),
        ([u32::MAX, 0, 1], "impossible array"),
        ([u32::MAX, 1 << 15, 1], "but only 100 follow"),
        ([u32::MAX; 3], "impossible array"),
    ] {
        for is_compressed in [false, true] {
            let files = zeros(1, false);
            let bytes = [&header(&dimensions)[..], &[0; 100]].concat();
            files.write(IDX[0], &if is_compressed { gzip(&bytes[..]) } else { bytes });
            let message = open("IDX that claims much", "idx", &files).0;
            assert!(message.contains(part), "{message}");
        }
    }
}

fn cifar() {
    let names = (1..=5).map(|batch| format!("data_batch_{batch}.bin")).chain(["test_batch.bin".to_owned()]);
    let names: Vec<String> = names.collect();
    let write = |content: &[u8]| {
        let files = Files::new();
        names.iter().for_each(|name| drop(files.write(name, content)));
        files
    };
    let size = 30_730_000;
    let zeros = gzip(repeat(0).take(size));
    let message = open("compressed CIFAR", "cifar-10", &write(&zeros)).0;
    assert!(message.contains("data_batch_1.bin: its first ") && message.contains("gzip -dc"), "{message}");
    let message = open("short CIFAR", "cifar-10", &write(&[0; 3073])).0;
    assert!(message.contains("data_batch_1.bin: truncated in record 1"), "{message}");
    // Compressible just within the limit: an evenly distributed part of it is random.
    let mut state = 1u32;
    let mut bytes = vec![0; size as usize];
    for record in bytes.chunks_mut(3073) {
        record[1..241].iter_mut().for_each(|byte| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = (state >> 24) as u8;
        });
    }
    let bytes = gzip(&bytes[..]);
    assert!(bytes.len() < 3_000_000, "{}", bytes.len());
    assert_eq!(open("compressible CIFAR", "cifar-10", &write(&bytes)).0, "");
}
