//! Four IDX files. The input is split into the images and labels of both sets, at the lengths given by its first bytes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_data::open;
use ternflock_fuzz::{directory, write};

const FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

fuzz_target!(|input: &[u8]| {
    let Some((lengths, mut rest)) = input.split_first_chunk::<6>() else { return };
    for (number, name) in FILES.iter().enumerate() {
        let length = match lengths.get(2 * number..2 * number + 2) {
            Some(bytes) => usize::from(u16::from_le_bytes([bytes[0], bytes[1]])),
            None => rest.len(),
        };
        let (file, after) = rest.split_at(length.min(rest.len()));
        write(name, file);
        rest = after;
    }
    if let Ok(dataset) = open("idx", Some(directory())) {
        for images in [&dataset.train, &dataset.test] {
            assert_eq!(images.pixels.len(), images.len() * images.sample_size());
            assert!(images.labels.iter().all(|&label| usize::from(label) < images.classes));
        }
    }
});
