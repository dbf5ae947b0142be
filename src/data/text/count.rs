//! Counts how often each word of a text occurs, in about 60 bytes per different word. Words are slices of the text, and
//! lists grow by a quarter, because a text may consist of different words only.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::room::Allow;
use super::tokens::UNKNOWN;
use ternflock_base::error::{Error, Result};

/// The maximum number of bytes per different word, here and in the vocabulary made from the counts.
const BYTES_PER_WORD: usize = 70;
/// The minimum growth of a list, in words.
const FEWEST: usize = 1024;

/// The words of a text and how often each occurs.
pub struct Counts<'a> {
    allow: Allow<'a>,
    refusal: Option<Error>,
    words: Vec<&'a str>,
    counts: Vec<u64>,
    places: HashTable<usize>,
    hasher: RandomState,
    tokens: usize,
}

impl<'a> Counts<'a> {
    /// Contains only `<unk>`, with a count of zero. `allow` is called as the number of words grows.
    pub fn new(allow: Allow<'a>) -> Counts<'a> {
        let mut counts = Counts {
            allow,
            refusal: None,
            words: Vec::new(),
            counts: Vec::new(),
            places: HashTable::new(),
            hasher: RandomState::new(),
            tokens: 0,
        };
        counts.count(UNKNOWN, 0);
        counts
    }

    /// Counts one occurrence of `word`.
    pub fn add(&mut self, word: &'a str) {
        self.tokens += 1;
        self.count(word, 1);
    }

    fn count(&mut self, word: &'a str, times: u64) {
        let Counts { words, counts, places, hasher, .. } = self;
        let hash = |&place: &usize| hasher.hash_one(words[place]);
        match places.entry(hasher.hash_one(word), |&place| words[place] == word, hash) {
            Entry::Occupied(place) => counts[*place.get()] += times,
            // After a refusal no new words are counted, because there will be no vocabulary.
            Entry::Vacant(_) if self.refusal.is_some() => {}
            Entry::Vacant(entry) => {
                entry.insert(words.len());
                if words.len() == words.capacity() {
                    let more = (words.len() / 4).max(FEWEST);
                    words.reserve_exact(more);
                    counts.reserve_exact(more);
                    self.refusal = (self.allow)(BYTES_PER_WORD * (words.len() + more)).err();
                }
                words.push(word);
                counts.push(times);
            }
        }
    }

    /// The number of words counted, including repetitions.
    ///
    /// # Errors
    /// The error of `allow`, if it refused.
    pub fn tokens(&mut self) -> Result<usize> {
        self.refusal.take().map_or(Ok(self.tokens), Err)
    }

    /// At most `limit` of the words, by descending frequency, then by text. `<unk>` is always included.
    pub fn most_frequent(self, limit: usize) -> Vec<String> {
        let Counts { words, counts, places, .. } = self;
        drop(places);
        let mut order: Vec<usize> = (0..words.len()).collect();
        order.sort_unstable_by(|&a, &b| counts[b].cmp(&counts[a]).then_with(|| words[a].cmp(words[b])));
        drop(counts);
        if order.len() > limit {
            let unknown = order.iter().position(|&place| words[place] == UNKNOWN).unwrap_or_default();
            let last = limit.saturating_sub(1);
            if unknown > last {
                order.swap(last, unknown);
            }
            order.truncate(limit);
        }
        order.into_iter().map(|place| words[place].to_owned()).collect()
    }
}
