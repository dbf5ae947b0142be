//! Reads files as tokens of a vocabulary.

use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::count::Counts;
use super::decode::decode;
use super::room::{Allow, Room};
use super::subset::Subset;
use super::tokens::tokens;
use super::{TextFeed, TextSet, Vocabulary};
use crate::{files, open, registry};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_start;
use ternflock_job::{Data, Text};

/// A training text and its vocabulary.
#[derive(Debug)]
pub struct Corpus {
    /// The vocabulary.
    pub vocabulary: Vocabulary,
    /// Its file, for error messages.
    pub path: PathBuf,
    /// The tokens, by number.
    pub tokens: Vec<u32>,
}

impl Corpus {
    /// The text as a feed for batches of `global_batch` sequences.
    ///
    /// # Errors
    /// If it is too short for one batch.
    pub fn into_feed(self, how: &Text, global_batch: usize) -> Result<TextFeed> {
        let blame = |error: Error| Error::data(&self.path, error.to_string());
        let feed = TextFeed::new(self.tokens, self.vocabulary.len(), how.sequence_length, global_batch);
        feed.map(|feed| feed.with_unknown(self.vocabulary.unknown())).map_err(blame)
    }
}

/// The texts of a language data set. A file is opened and read once, even if it holds several subsets, because
/// a pipe cannot be read again.
pub struct Texts<'a> {
    data: &'a Data,
    how: &'a Text,
    dir: Option<&'a Path>,
    /// The files read so far.
    files: Vec<(PathBuf, String)>,
    room: Room,
}

impl<'a> Texts<'a> {
    /// The texts of `data`, whose files are in `dir` or in their usual place. Nothing is read yet.
    pub fn new(data: &'a Data, how: &'a Text, dir: Option<&'a Path>) -> Texts<'a> {
        Texts { data, how, dir, files: Vec::new(), room: Room::default() }
    }

    /// Reads the training text and builds the vocabulary from it.
    ///
    /// # Errors
    /// If the file is missing, unreadable, not UTF-8 or empty.
    pub fn corpus(&mut self) -> Result<Corpus> {
        let at = self.open(Subset::Train)?;
        let (how, (path, text)) = (self.how, self.subset(at, Subset::Train)?);
        let allow = |bytes| self.room.allow(bytes);
        let mut counts = Counts::new(&allow);
        tokens(text, how, &mut |token| counts.add(token));
        let count = counts.tokens()?;
        let vocabulary = Vocabulary::build(how.vocabulary, counts);
        let tokens = encode(text, how, &vocabulary, count, &allow)?;
        let path = path.to_owned();
        self.room.hold(tokens.capacity() * size_of::<u32>());
        Ok(Corpus { vocabulary, path, tokens })
    }

    /// Reads one subset for evaluation, as tokens of `vocabulary`.
    ///
    /// # Errors
    /// As for [`Texts::corpus`], and if the text is too short.
    pub fn set(&mut self, subset: Subset, vocabulary: &Vocabulary) -> Result<TextSet> {
        let at = self.open(subset)?;
        let (how, (path, text)) = (self.how, self.subset(at, subset)?);
        let mut count = 0;
        tokens(text, how, &mut |_| count += 1);
        let tokens = encode(text, how, vocabulary, count, &|bytes| self.room.allow(bytes))?;
        let held = tokens.capacity() * size_of::<u32>();
        let set = TextSet::new(tokens, vocabulary.len(), how.sequence_length, how.evaluation_columns);
        let set = set
            .map(|set| set.with_unknown(vocabulary.unknown()))
            .map_err(|error| Error::data(path, error.to_string()));
        self.room.hold(held);
        set
    }

    /// Reads the file of `subset` unless it has been read. Returns its index among the files.
    fn open(&mut self, subset: Subset) -> Result<usize> {
        let is_inside = self.data.dataset == "genesis";
        let path = match is_inside {
            true => "genesis, inside the program".into(),
            false => path_of(self.data, self.how, self.dir, subset)?,
        };
        if let Some(at) = self.files.iter().position(|(known, _)| *known == path) {
            return Ok(at);
        }
        let bytes = match is_inside {
            true => genesis(&path)?,
            false => {
                let whole = files::read_whole(&path, most_bytes())?;
                self.room.read(&path, &whole);
                self.room.allow(whole.bytes.len())?;
                whole.bytes
            }
        };
        let text = decode(&path, bytes, self.how.lowercase, &|bytes| self.room.allow(bytes))?;
        self.room.hold(text.capacity());
        self.files.push((path, text));
        Ok(self.files.len() - 1)
    }

    /// The text of `subset` in file `at`, and the file's path.
    fn subset(&self, at: usize, subset: Subset) -> Result<(&Path, &str)> {
        let (path, text) = &self.files[at];
        let text = match self.how.held_out {
            Some(share) => subset.cut(path, text, share)?,
            None => text,
        };
        Ok((path, text))
    }
}

/// The `count` tokens of `text`, as numbers.
fn encode(text: &str, how: &Text, vocabulary: &Vocabulary, count: usize, allow: Allow) -> Result<Vec<u32>> {
    allow(count.saturating_mul(size_of::<u32>()))?;
    let mut numbers = Vec::with_capacity(count);
    tokens(text, how, &mut |token| numbers.push(vocabulary.number(token)));
    Ok(numbers)
}

/// The text that is part of the program, so that a first run needs no download: the first book of the King
/// James Bible, one verse per line, in the public domain.
const GENESIS: &[u8] = include_bytes!("genesis.txt.gz");

fn genesis(path: &Path) -> Result<Vec<u8>> {
    read_start(GzDecoder::new(GENESIS), u64::MAX).map_err(|error| files::read_error(path, &error))
}

/// The file that holds `subset`; if the data set has one text, the file of that text.
fn path_of(data: &Data, how: &Text, dir: Option<&Path>, subset: Subset) -> Result<PathBuf> {
    if data.dataset != "text" {
        let entry = registry::find(&data.dataset)?;
        let name = entry.format.files()[if how.held_out.is_some() { 0 } else { subset as usize }];
        let directory = open::directory_of(entry, dir)?;
        return files::require(&directory, name);
    }
    let subset = if how.held_out.is_some() { Subset::Train } else { subset };
    let (key, path) = match subset {
        Subset::Train => ("train", &how.train),
        Subset::Valid => ("valid", &how.valid),
        Subset::Test => ("test", &how.test),
    };
    let path = path.as_ref().ok_or_else(|| Error::Usage(format!("data.{key} is not set")))?;
    Ok(dir.map_or_else(|| path.clone(), |dir| dir.join(path)))
}

/// The maximum size of a text: a text that takes half of the memory leaves no room for its tokens.
pub(super) fn most_bytes() -> u64 {
    available_bytes().map_or(u64::MAX, |bytes| bytes as u64 / 2)
}

#[cfg(test)]
mod tests;
