//! How often each symbol occurs in a segment, in parts of [`TOTAL`]: the statistics that a coded segment carries.

use super::Damage;

/// The sum of all frequencies, a power of two. With more bits, the table of the decoder would leave the first-level cache.
pub(super) const TOTAL: u32 = 1 << BITS;

/// The binary logarithm of [`TOTAL`].
pub(super) const BITS: u32 = 12;

/// Bits of an entry in a message: 8 of the symbol, 12 of its frequency minus one.
const ENTRY: u32 = 20;

/// Entries per word of a message.
const PER_WORD: usize = 3;

/// The occurrences of each symbol.
pub(super) type Counts = [u32; 256];

/// The frequency of each symbol; 0 if it does not occur. The sum is [`TOTAL`].
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Frequencies([u16; 256]);

impl Frequencies {
    /// The frequencies that are nearly proportional to `counts`, of which at least one is not 0.
    ///
    /// Symbols that would have less than one part get one; the others share the rest in proportion.
    pub fn of(counts: &Counts) -> Self {
        let total = counts.iter().map(|count| u64::from(*count)).sum::<u64>();
        let is_rare = |count: u32| u64::from(count) * u64::from(TOTAL) < total;
        let rare = counts.iter().filter(|count| **count > 0 && is_rare(**count));
        let (parts, share) = rare
            .fold((u64::from(TOTAL), total), |(parts, share), count| (parts - 1, share - u64::from(*count)));
        let frequency = |count: u32| match count {
            0 => 0,
            count if is_rare(count) => 1,
            count => (u64::from(count) * parts / share).max(1) as u16,
        };
        let mut frequencies = counts.map(frequency);
        // Rounding down leaves some parts; symbols that were raised to one part may have taken too many.
        let mut rest = TOTAL as i32 - frequencies.iter().map(|f| i32::from(*f)).sum::<i32>();
        while rest != 0 {
            let largest = frequencies.iter_mut().max().expect("there are 256");
            let change = rest.max(-1);
            *largest = (i32::from(*largest) + change) as u16;
            rest -= change;
        }
        Frequencies(frequencies)
    }

    /// The symbols that occur, in ascending order, with their frequencies.
    pub fn occurring(&self) -> impl Iterator<Item = (u8, u16)> {
        (0..=u8::MAX).zip(self.0).filter(|(_, frequency)| *frequency > 0)
    }

    /// The number of symbols that occur.
    pub fn len(&self) -> usize {
        self.occurring().count()
    }

    /// The bits that an ideal coder with these frequencies needs for `counts` symbols.
    pub fn bits(&self, counts: &Counts) -> f64 {
        let bits = |(symbol, frequency)| {
            f64::from(counts[usize::from(symbol)]) * (f64::from(BITS) - f64::from(frequency).log2())
        };
        self.occurring().map(bits).sum()
    }

    /// The words that hold `symbols` entries.
    pub fn words(symbols: usize) -> usize {
        symbols.div_ceil(PER_WORD)
    }

    /// Writes the entries of the symbols that occur.
    pub fn write(&self, words: &mut [u64]) {
        words.fill(0);
        for (index, (symbol, frequency)) in self.occurring().enumerate() {
            let entry = u64::from(symbol) | u64::from(frequency - 1) << 8;
            words[index / PER_WORD] |= entry << (ENTRY * (index % PER_WORD) as u32);
        }
    }

    /// Reads `symbols` entries, at least one, of an alphabet of `alphabet` symbols.
    pub fn read(words: &[u64], symbols: usize, alphabet: usize) -> Result<Self, Damage> {
        let (mut frequencies, mut next, mut total) = ([0; 256], 0, 0);
        for index in 0..PER_WORD * words.len() {
            let entry = words[index / PER_WORD] >> (ENTRY * (index % PER_WORD) as u32);
            let (symbol, frequency) = ((entry & 0xff) as usize, (entry >> 8 & 0xfff) as u16 + 1);
            if index >= symbols {
                if entry & ((1 << ENTRY) - 1) != 0 {
                    return Err(Damage::Frequencies);
                }
                continue;
            }
            if symbol >= alphabet {
                return Err(Damage::Symbol);
            }
            if symbol < next {
                return Err(Damage::Frequencies);
            }
            frequencies[symbol] = frequency;
            (next, total) = (symbol + 1, total + u32::from(frequency));
        }
        let is_filled = words.iter().all(|word| word >> (ENTRY * PER_WORD as u32) == 0);
        if is_filled && total == TOTAL { Ok(Frequencies(frequencies)) } else { Err(Damage::Frequencies) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn counts() -> impl Strategy<Value = Vec<u32>> {
        let count = prop_oneof![4 => Just(0), 2 => 1..5_u32, 2 => 1..2000_u32, 1 => 1..4_000_000_u32];
        prop::collection::vec(count, 256).prop_filter("some symbol", |counts| counts.iter().any(|c| *c > 0))
    }

    proptest! {
        #[test]
        fn frequencies_add_up_give_every_symbol_a_part_and_are_read_as_written(counts in counts()) {
            let counts: Counts = counts.try_into().unwrap();
            let frequencies = Frequencies::of(&counts);
            prop_assert_eq!(frequencies.0.iter().map(|f| u32::from(*f)).sum::<u32>(), TOTAL);
            prop_assert!(counts.iter().zip(frequencies.0).all(|(count, f)| (*count > 0) == (f > 0)));
            let symbols = frequencies.len();
            let mut words = vec![u64::MAX; Frequencies::words(symbols)];
            frequencies.write(&mut words);
            prop_assert_eq!(Frequencies::read(&words, symbols, 256), Ok(frequencies));
        }

        /// 12 bits cost little: at most what the symbols that are raised to one part take from the others.
        #[test]
        fn bits_are_near_the_entropy(counts in counts()) {
            let counts: Counts = counts.try_into().unwrap();
            let total: f64 = counts.iter().map(|c| f64::from(*c)).sum();
            let entropy: f64 =
                counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) * (total / f64::from(*c)).log2()).sum();
            let bits = Frequencies::of(&counts).bits(&counts);
            prop_assert!(bits >= entropy - 1e-6 * total, "{bits} {entropy}");
            prop_assert!(bits <= entropy + 0.12 * total, "{bits} {entropy} {total}");
        }
    }

    #[test]
    fn wrong_entries_are_refused() {
        let mut counts = [0; 256];
        (counts[3], counts[5]) = (7, 1);
        let frequencies = Frequencies::of(&counts);
        let mut words = [0];
        frequencies.write(&mut words);
        let [right] = words;
        let read = |word: u64, symbols, alphabet| Frequencies::read(&[word], symbols, alphabet).err();
        assert_eq!(read(right, 2, 6), None);
        assert_eq!(read(right, 2, 5), Some(Damage::Symbol));
        // Another number of symbols, another sum, symbols in another order, and bits that belong to no entry.
        assert_eq!(read(right, 1, 256), Some(Damage::Frequencies));
        assert_eq!(read(right, 3, 256), Some(Damage::Frequencies));
        assert_eq!(read(right + (1 << 8), 2, 256), Some(Damage::Frequencies));
        assert_eq!(read(right >> 20 | (right & 0xfffff) << 20, 2, 256), Some(Damage::Frequencies));
        assert_eq!(read(right | 1 << 40, 2, 256), Some(Damage::Frequencies));
        assert_eq!(read(right | 1 << 63, 2, 256), Some(Damage::Frequencies));
    }
}
