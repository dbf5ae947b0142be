//! A coded segment of any content: every set of kernels decodes it to the same planes or refuses it alike, and planes that
//! come out are coded and decoded to themselves.
//!
//! The input gives the width, the number of blocks, and the words of the message.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ternflock_collectives::coding::{decode, encode};
use ternflock_collectives::kernels::available;
use ternflock_collectives::planes::words;

fuzz_target!(|input: &[u8]| {
    let [width, blocks, rest @ ..] = input else { return };
    let (width, blocks) = (2 + usize::from(width % 9), usize::from(*blocks));
    let message: Vec<u64> = rest.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes)).collect();
    let mut planes = vec![0; words(blocks, width)];
    let outcome = decode(&available()[0], &message, width, &mut planes);
    for kernels in &available()[1..] {
        let mut others = vec![0; planes.len()];
        assert_eq!(decode(kernels, &message, width, &mut others), outcome, "{}", kernels.isa());
        assert!(outcome.is_err() || others == planes, "{}", kernels.isa());
    }
    let mut coded = vec![0; planes.len()];
    if let Some(length) = encode(&available()[0], &planes, width, &mut coded) {
        let mut decoded = vec![1; planes.len()];
        assert_eq!(decode(&available()[0], &coded[..length], width, &mut decoded), Ok(()));
        assert_eq!(decoded, planes);
    }
});
