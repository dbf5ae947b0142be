//! The vocabulary: which words there are, and each one's number.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::tokens::UNKNOWN;

/// The words a language model knows, by number: the most frequent first, of equally frequent ones the lesser by text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    words: Vec<String>,
    numbers: HashMap<String, u32>,
    unknown: u32,
}

impl Vocabulary {
    /// The vocabulary of at most `limit` words of a text whose tokens `each` gives away. `<unk>` is always among them; what
    /// is too rare for the others becomes it.
    pub fn build(limit: usize, each: impl FnOnce(&mut dyn FnMut(&str))) -> Vocabulary {
        let mut counts: HashMap<String, u64> = HashMap::from([(UNKNOWN.to_owned(), 0)]);
        each(&mut |token| match counts.get_mut(token) {
            Some(count) => *count += 1,
            None => drop(counts.insert(token.to_owned(), 1)),
        });
        let mut words: Vec<(String, u64)> = counts.into_iter().collect();
        words.sort_unstable_by(|(a, of_a), (b, of_b)| of_b.cmp(of_a).then_with(|| a.cmp(b)));
        if words.len() > limit {
            let unknown = words.iter().position(|(word, _)| word == UNKNOWN).unwrap_or_default();
            let last = limit.saturating_sub(1);
            if unknown > last {
                words.swap(last, unknown);
            }
            words.truncate(limit);
        }
        let words = words.into_iter().map(|(word, _)| word).collect();
        Vocabulary::of(words).expect("words of a map differ, and `<unk>` was put among them")
    }

    /// The vocabulary of `words` in their order. The message of an `Err` says why they are none.
    pub fn of(words: Vec<String>) -> Result<Vocabulary, String> {
        let mut numbers = HashMap::with_capacity(words.len());
        for (number, word) in words.iter().enumerate() {
            if numbers.insert(word.clone(), number as u32).is_some() {
                return Err(format!("its vocabulary has `{word}` twice"));
            }
        }
        let unknown = *numbers.get(UNKNOWN).ok_or(format!("its vocabulary has no `{UNKNOWN}`"))?;
        Ok(Vocabulary { words, numbers, unknown })
    }

    /// V.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Never: `<unk>` is there.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The words, by number.
    pub fn words(&self) -> &[String] {
        &self.words
    }

    /// The number of `token`, or of `<unk>`.
    pub fn number(&self, token: &str) -> u32 {
        self.numbers.get(token).copied().unwrap_or(self.unknown)
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

    /// What makes `other` another vocabulary, in words; nothing when it is the same.
    pub fn difference(&self, other: &Vocabulary) -> Option<String> {
        if self.words == other.words {
            return None;
        }
        let (mine, theirs) = (self.len(), other.len());
        let at = self.words.iter().zip(&other.words).position(|(a, b)| a != b);
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
        Vocabulary::build(limit, |give| text.split(' ').for_each(give))
    }

    #[test]
    fn words_come_by_frequency_then_by_text() {
        let vocabulary = build(10, "b a c c <eos> b d");
        assert_eq!(vocabulary.words(), ["b", "c", "<eos>", "a", "d", "<unk>"]);
        assert_eq!(["c", "<unk>", "e"].map(|word| vocabulary.number(word)), [1, 5, 5]);
    }

    /// As in the Penn Treebank's files, where rare words are `<unk>` already.
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
