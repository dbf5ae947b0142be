//! A random text for benchmarks, without files. Letters: V different tokens.
//!
//! A token is drawn with [`Kinds`], in which small numbers are the most frequent. Each kind of token has a
//! successor, which is drawn once in the same way. Half of the time, the next token is the successor of the
//! token before. So there is something to learn: a network that knows the token before can predict every
//! other token. Whether token i is a successor, and which token is drawn otherwise, are pure functions of
//! (part, i), so a longer text begins with the shorter one.

use super::{Subset, TextFeed, TextSet};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_job::SyntheticText;

/// The successors have separate random numbers from those of the subsets.
const SUCCESSORS: u16 = 3;

/// The training text as a feed for batches of `global_batch` sequences.
///
/// # Errors
/// If it is too short for one batch, or too long for memory.
pub fn synthetic_feed(how: &SyntheticText, global_batch: usize) -> Result<TextFeed> {
    TextFeed::new(draw(how, Subset::Train)?, how.vocabulary, how.sequence_length, global_batch)
}

/// One subset for evaluation, a tenth as long as the training text.
///
/// # Errors
/// As for [`synthetic_feed`].
pub fn synthetic_set(how: &SyntheticText, subset: Subset) -> Result<TextSet> {
    TextSet::new(draw(how, subset)?, how.vocabulary, how.sequence_length, how.evaluation_columns)
}

/// The tokens of `subset`.
fn draw(how: &SyntheticText, subset: Subset) -> Result<Vec<u32>> {
    let length = match subset {
        Subset::Train => how.tokens,
        Subset::Valid | Subset::Test => how.tokens.div_ceil(10),
    };
    let needed = size_of::<u32>() as u128 * length as u128;
    if let Some(available) = available_bytes().filter(|&available| needed > available) {
        let message = format!(
            "data.tokens: a text of {length} tokens takes {needed} bytes, and {available} are free; make it shorter"
        );
        return Err(Error::Usage(message));
    }
    let kinds = Kinds::new(how.vocabulary);
    let mut before = None;
    let token = |index: usize| {
        let [low, high, coin, _] = words(subset as u16, index);
        let token = match before {
            Some(before) if coin % 2 == 1 => kinds.successor(before),
            _ => kinds.kind(low, high),
        };
        before = Some(token);
        token
    };
    Ok((0..length).map(token).collect())
}

/// Four random words, always the same.
fn words(tensor: u16, index: usize) -> [u32; 4] {
    let stream = Stream { seed: 0, purpose: Purpose::SyntheticText, step: index as u64, subject: 0, tensor };
    stream.block(0)
}

/// The kinds of tokens, with frequencies like those of words (G. K. Zipf, 1949: the frequency falls as the
/// rank grows), in powers of two: one kind has the weight W, the next two have W/2 each, the next four have
/// W/4 each. Only integers are used, so that all machines draw the same.
struct Kinds {
    /// Octaves before the last one, which may be incomplete.
    octaves: u32,
    /// The sum of all weights; that of the last octave's kinds is 1.
    total: u64,
}

impl Kinds {
    /// `vocabulary` kinds, 1 to 2^24.
    fn new(vocabulary: usize) -> Kinds {
        let octaves = vocabulary.ilog2();
        let last = vocabulary as u64 - (1 << octaves) + 1;
        Kinds { octaves, total: (u64::from(octaves) << octaves) + last }
    }

    /// The kind for a point of 0..total.
    fn at(&self, point: u64) -> u32 {
        let octave = (point >> self.octaves) as u32;
        let place = point & ((1 << self.octaves) - 1);
        (1 << octave) - 1 + (place >> (self.octaves - octave)) as u32
    }

    /// The kind for 64 random bits.
    fn kind(&self, low: u32, high: u32) -> u32 {
        let bits = u64::from(high) << 32 | u64::from(low);
        self.at(((u128::from(bits) * u128::from(self.total)) >> 64) as u64)
    }

    /// The kind that follows `kind` half of the time.
    fn successor(&self, kind: u32) -> u32 {
        let [low, high, ..] = words(SUCCESSORS, kind as usize);
        self.kind(low, high)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn how(tokens: usize, vocabulary: usize) -> SyntheticText {
        SyntheticText { tokens, vocabulary, sequence_length: 5, evaluation_columns: 4 }
    }

    fn text(tokens: usize, vocabulary: usize) -> Vec<u32> {
        draw(&how(tokens, vocabulary), Subset::Train).unwrap()
    }

    /// A run must be able to resume with a later build.
    #[test]
    fn the_text_stays_what_it_was() {
        assert_eq!(text(12, 10_000), [13, 4464, 5965, 1500, 105, 38, 991, 6, 15, 1960, 6, 1259]);
        assert_eq!(text(12, 3), [0, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 2]);
    }

    #[test]
    fn parts_differ_and_a_longer_text_begins_with_a_shorter_one() {
        let subsets =
            [Subset::Train, Subset::Valid, Subset::Test].map(|subset| draw(&how(1001, 50), subset).unwrap());
        assert_eq!(subsets.each_ref().map(Vec::len), [1001, 101, 101]);
        assert_ne!(subsets[0][..101], subsets[1]);
        assert_ne!(subsets[1], subsets[2]);
        assert_eq!(text(3000, 50)[..1001], subsets[0]);
    }

    proptest! {
        /// The weights are exactly as documented, and no kind is left out.
        #[test]
        fn kinds_are_half_as_frequent_an_octave_on(vocabulary in 1usize..600) {
            let kinds = Kinds::new(vocabulary);
            let mut counts = vec![0u64; vocabulary];
            (0..kinds.total).for_each(|point| counts[kinds.at(point) as usize] += 1);
            for (kind, count) in counts.into_iter().enumerate() {
                prop_assert_eq!(count << (kind + 1).ilog2(), 1 << vocabulary.ilog2());
            }
        }

        #[test]
        fn the_last_kind_of_a_vocabulary_is_in_it(vocabulary in 1usize..=SyntheticText::LARGEST_VOCABULARY) {
            let kinds = Kinds::new(vocabulary);
            prop_assert_eq!(kinds.kind(0, 0), 0);
            prop_assert_eq!(kinds.kind(u32::MAX, u32::MAX) as usize, vocabulary - 1);
        }
    }

    /// Of n = 40000 pairs, half are successors, within four standard deviations of sqrt(n)/2. Of the others,
    /// some are successors by chance, with the frequency of the successor, which is at most 512/5097, that of
    /// the most frequent kind.
    #[test]
    fn half_of_the_tokens_follow_from_the_one_before() {
        let (kinds, text) = (Kinds::new(1000), text(40_001, 1000));
        let follows = text.windows(2).filter(|pair| pair[1] == kinds.successor(pair[0])).count();
        let (least, most) = (20_000 - 400, 20_000 + 400 + 20_400 * 512 / 5097);
        assert!((least..=most).contains(&follows), "{follows}");
    }

    #[test]
    fn what_is_too_short_or_too_long_is_refused() {
        let message = |result: Result<TextFeed>| result.err().unwrap().to_string();
        assert!(synthetic_feed(&how(24, 10), 4).is_ok());
        let short = message(synthetic_feed(&how(23, 10), 4));
        assert!(short.contains("has 23 tokens") && short.contains("needs 24"), "{short}");
        let long = message(synthetic_feed(&how(usize::MAX / 2, 10), 4));
        assert!(long.contains("data.tokens: a text of 9223372036854775807 tokens takes"), "{long}");
        assert!(synthetic_set(&how(1, 10), Subset::Valid).is_err(), "nothing to predict");
    }
}
