//! The files of CIFAR-10: the first is the input, raw or compressed; the others are empty.
#![no_main]

use std::sync::Once;

use libfuzzer_sys::fuzz_target;
use ternflock_data::open;
use ternflock_fuzz::{directory, write};

const RECORDS: usize = 10_000;
const RECORD: usize = 3073;

fuzz_target!(|input: &[u8]| {
    static OTHERS: Once = Once::new();
    // An empty file is refused immediately, which leaves time for the checks before it.
    OTHERS.call_once(|| (2..6).for_each(|number| drop(write(&format!("data_batch_{number}.bin"), &[]))));
    write("data_batch_1.bin", input);
    let message = open("cifar-10", Some(directory())).unwrap_err().to_string();
    // Only a file of the right size passes the first check.
    let is_first = message.contains("data_batch_1.bin");
    assert!(is_first || input.starts_with(&[0x1f, 0x8b]) || input.len() == RECORDS * RECORD, "{message}");
});
