//! Random numbers without state: each draw is a pure function of (seed, purpose, step, rank or sample,
//! tensor, index). They come from the counter-based generator that the codec uses too
//! (docs/adr/0002-one-generator.md).

use std::convert::Infallible;

use rand::TryRng;
pub use ternflock_collectives::random::{Purpose, SIDE, Stream};

/// Reads a [`Stream`] from its first word on, as the generator that `rand` and `rand_distr` draw from.
#[derive(Clone, Debug)]
pub struct Reader {
    stream: Stream,
    block: u32,
    words: [u32; 4],
    used: usize,
}

impl Reader {
    /// A reader at the first word of `stream`.
    pub fn new(stream: Stream) -> Self {
        Reader { stream, block: 0, words: [0; 4], used: 4 }
    }
}

impl TryRng for Reader {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        if self.used == 4 {
            self.words = self.stream.block(self.block);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        Ok(self.words[self.used - 1])
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let low = u64::from(self.try_next_u32()?);
        Ok(low | u64::from(self.try_next_u32()?) << 32)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for part in bytes.chunks_mut(4) {
            let word = self.try_next_u32()?.to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::Rng;

    #[test]
    fn a_reader_reads_its_stream_in_order() {
        let stream = Stream { seed: 1, purpose: Purpose::Test, step: 0, subject: 0, tensor: 0 };
        let mut reader = Reader::new(stream);
        for index in 0..10 {
            assert_eq!(reader.next_u32(), stream.word(index));
        }
        assert_eq!(reader.next_u64(), u64::from(stream.word(10)) | u64::from(stream.word(11)) << 32);
    }
}
