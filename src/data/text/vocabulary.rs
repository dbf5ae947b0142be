//! The vocabulary: the words and their numbers.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use xxhash_rust::xxh3::xxh3_64;

use super::count::Counts;
use super::tokens::UNKNOWN;
use ternflock_base::text::quote;

/// The words of a language model, by number: the most frequent first, and equally frequent ones in the order
/// of their text. Copies share one list.
#[derive(Clone, Debug)]
pub struct Vocabulary {
    words: Arc<Vec<String>>,
    numbers: Arc<HashTable<u32>>,
    hasher: RandomState,
    unknown: u32,
}

impl PartialEq for Vocabulary {
    fn eq(&self, other: &Vocabulary) -> bool {
        self.words == other.words
    }
}

impl Eq for Vocabulary {}

impl Vocabulary {
    /// The vocabulary of at most `limit` words of a text whose words were counted. `<unk>` is always
    /// included, and stands for the words that are too rare.
    pub(super) fn build(limit: usize, counts: Counts) -> Vocabulary {
        let words = counts.most_frequent(limit);
        Vocabulary::of(words).expect("words of a table differ, and `<unk>` was put among them")
    }

    /// The vocabulary of `words` in their order. The message of an `Err` is the reason why they are not a
    /// vocabulary.
    pub fn of(words: Vec<String>) -> Result<Vocabulary, String> {
        let hasher = RandomState::new();
        let hash = |&number: &u32| hasher.hash_one(words[number as usize].as_str());
        let mut numbers = HashTable::with_capacity(words.len());
        for (number, word) in words.iter().enumerate() {
            let is_same = |&other: &u32| words[other as usize] == *word;
            match numbers.entry(hasher.hash_one(word.as_str()), is_same, hash) {
                Entry::Occupied(_) => return Err(format!("its vocabulary has `{}` twice", quote(word))),
                Entry::Vacant(entry) => drop(entry.insert(number as u32)),
            }
        }
        let vocabulary =
            Vocabulary { words: Arc::new(words), numbers: Arc::new(numbers), hasher, unknown: 0 };
        let unknown = vocabulary.find(UNKNOWN).ok_or(format!("its vocabulary has no `{UNKNOWN}`"))?;
        Ok(Vocabulary { unknown, ..vocabulary })
    }

    fn find(&self, token: &str) -> Option<u32> {
        let is_same = |&number: &u32| self.words[number as usize] == token;
        self.numbers.find(self.hasher.hash_one(token), is_same).copied()
    }

    /// V.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Always false, because `<unk>` is included.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, by number.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The number of `token`, or of `<unk>`.
    pub fn number(&self, token: &str) -> u32 {
        self.find(token).unwrap_or(self.unknown)
    }

    /// The number of `<unk>`.
    pub fn unknown(&self) -> u32 {
        self.unknown
    }

    /// A hash of all words in their order.
    pub fn hash(&self) -> u64 {
        let hashes: Vec<u64> = self.words.iter().map(|word| xxh3_64(word.as_bytes())).collect();
        xxh3_64(bytemuck::cast_slice(&hashes))
    }

    /// The difference between this vocabulary and `other`, in words; `None` if they are equal.
    pub fn difference(&self, other: &Vocabulary) -> Option<String> {
        if self.words == other.words {
            return None;
        }
        let (mine, theirs) = (self.len(), other.len());
        let at = self.words.iter().zip(other.words.iter()).position(|(a, b)| a != b);
        let first = at.map_or(String::new(), |at| {
            format!(", and word {at} is `{}` in one, `{}` in the other", self.words[at], other.words[at])
        });
        Some(format!("{mine} words and {theirs}{first}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(limit: usize, text: &str) -> Vocabulary {
        let mut counts = Counts::new(&|_| Ok(()));
        text.split(' ').for_each(|word| counts.add(word));
        Vocabulary::build(limit, counts)
    }

    #[test]
    fn words_come_by_frequency_then_by_text() {
        let vocabulary = build(10, "b a c c <eos> b d");
        assert_eq!(vocabulary.words(), ["b", "c", "<eos>", "a", "d", "<unk>"]);
        assert_eq!(["c", "<unk>", "e"].map(|word| vocabulary.number(word)), [1, 5, 5]);
    }

    /// As in the files of the Penn Treebank, in which rare words are already `<unk>`.
    #[test]
    fn rare_words_make_room_for_unknown() {
        assert_eq!(build(3, "a a a b b c c d").words(), ["a", "b", "<unk>"]);
        assert_eq!(build(3, "<unk> <unk> a a a b b").words(), ["a", "<unk>", "b"]);
        assert_eq!(build(2, "<unk> <unk> a a a b b").words(), ["a", "<unk>"]);
        assert_eq!(build(1, "a").words(), ["<unk>"]);
    }

    #[test]
    fn what_is_stored_must_be_a_vocabulary() {
        let of = |words: &[&str]| Vocabulary::of(words.iter().map(|word| word.to_string()).collect());
        assert!(of(&["a", "b"]).unwrap_err().contains("no `<unk>`"));
        assert!(of(&["a", "<unk>", "a"]).unwrap_err().contains("`a` twice"));
        let (one, other) = (of(&["a", "<unk>"]).unwrap(), of(&["b", "<unk>", "c"]).unwrap());
        assert_eq!(one.difference(&one), None);
        let difference = one.difference(&other).unwrap();
        assert_eq!(difference, "2 words and 3, and word 0 is `a` in one, `b` in the other");
        assert_ne!(one.hash(), other.hash());
    }
}
