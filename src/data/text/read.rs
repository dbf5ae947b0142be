//! Reads files as tokens of a vocabulary.

use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::clean::{clean, endless_marks, lowercase};
use super::count::Counts;
use super::room::{Allow, Room};
use super::tokens::tokens;
use super::{TextFeed, TextSet, Vocabulary};
use crate::{files, open, registry};
use ternflock_base::available::available_bytes;
use ternflock_base::error::{Error, Result};
use ternflock_base::io::read_start;
use ternflock_job::{Data, Text};

/// The subsets of a language data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subset {
    /// The training text, which determines the vocabulary.
    Train,
    /// The validation text, for evaluations during training.
    Valid,
    /// The test text, for the evaluation at the end.
    Test,
}

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
        let text = read(&path, bytes, self.how.lowercase, &|bytes| self.room.allow(bytes))?;
        self.room.hold(text.capacity());
        self.files.push((path, text));
        Ok(self.files.len() - 1)
    }

    /// The text of `subset` in file `at`, and the file's path.
    fn subset(&self, at: usize, subset: Subset) -> Result<(&Path, &str)> {
        let (path, text) = &self.files[at];
        let text = match self.how.held_out {
            Some(share) => cut(path, text, share, subset)?,
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
fn most_bytes() -> u64 {
    available_bytes().map_or(u64::MAX, |bytes| bytes as u64 / 2)
}

/// The text of the file at `path`, cleaned.
fn read(path: &Path, bytes: Vec<u8>, is_lowercase: bool, allow: Allow) -> Result<String> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = line_of(&error.as_bytes()[..at]);
        let byte = error.as_bytes()[at];
        Error::data(
            path,
            format!(
                "not UTF-8: byte {at} (on line {line}) is {byte:#04x}, which cannot stand there; convert the text, as with \
                 `iconv -t UTF-8`"
            ),
        )
    })?;
    if let Some(at) = text.find('\0') {
        return Err(Error::data(path, format!("byte {at} is NUL: this is not a text; give one in UTF-8")));
    }
    if let Some(at) = endless_marks(&text) {
        let message =
            format!("byte {at}: more than 1000 combining marks follow each other: this is not a text");
        return Err(Error::data(path, message));
    }
    let text = clean(text, allow)?;
    if text.trim().is_empty() {
        return Err(Error::data(path, "is empty: there is no text in it; give one that has words"));
    }
    if is_lowercase { lowercase(text, allow) } else { Ok(text) }
}

/// The number, starting at 1, of the line after `before`.
fn line_of(before: &[u8]) -> usize {
    let text = String::from_utf8_lossy(before).into_owned();
    clean(text, &|_| Ok(())).map_or(1, |text| text.split('\n').count())
}

/// The lines of `text` that belong to `subset`: the last `share` of them are the test text, and as many lines
/// before those are the validation text.
fn cut<'a>(path: &Path, text: &'a str, share: f64, subset: Subset) -> Result<&'a str> {
    let lines = text.lines().count();
    let held = ((lines as f64 * share).round() as usize).max(1);
    if lines < 2 * held + 1 {
        let message = format!(
            "has {lines} lines, too few to hold out {share} of them twice; give data.valid and data.test texts of their own"
        );
        return Err(Error::data(path, message));
    }
    let start = |line: usize| -> usize { text.split_inclusive('\n').take(line).map(str::len).sum() };
    let (valid, test) = (start(lines - 2 * held), start(lines - held));
    Ok(match subset {
        Subset::Train => &text[..valid],
        Subset::Valid => &text[valid..test],
        Subset::Test => &text[test..],
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use sha2::{Digest, Sha256};
    use unicode_normalization::UnicodeNormalization;

    use super::*;
    use crate::feed::TrainingFeed;
    use ternflock_job::{Level, Punctuation};

    use super::super::test::how;

    fn data(dataset: &str, text: Text) -> Data {
        Data {
            dataset: dataset.into(),
            dir: None,
            split: None,
            mean: None,
            std: None,
            augment: None,
            idx: None,
            synthetic: None,
            synthetic_text: None,
            text: Some(text),
        }
    }

    fn subset_of(texts: &mut Texts, subset: Subset) -> String {
        let at = texts.open(subset).unwrap();
        texts.subset(at, subset).unwrap().1.to_owned()
    }

    /// The text in the file at `path`, of at most `limit` bytes.
    fn text_of(path: &Path, limit: u64) -> Result<String> {
        let bytes = files::read_whole(path, limit)?.bytes;
        read(path, bytes, false, &|_| Ok(()))
    }

    #[test]
    fn one_text_is_cut_by_its_lines() {
        let directory = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..20).map(|line| format!("w{line} w\n")).collect();
        fs::write(directory.path().join("one.txt"), lines.concat()).unwrap();
        let how = Text { train: Some("one.txt".into()), held_out: Some(0.1), ..how(Level::Word) };
        let data = data("text", how.clone());
        let mut texts = Texts::new(&data, &how, Some(directory.path()));
        let mut subsets =
            || [Subset::Train, Subset::Valid, Subset::Test].map(|subset| subset_of(&mut texts, subset));
        let expected = [lines[..16].concat(), lines[16..18].concat(), lines[18..].concat()];
        assert_eq!(subsets(), expected);
        let corpus = Texts::new(&data, &how, Some(directory.path())).corpus().unwrap();
        // A file that has been read is not read again.
        fs::remove_file(directory.path().join("one.txt")).unwrap();
        assert_eq!(subsets(), expected);
        // Only the words of the training text: `<eos>`, `w` and `<unk>`.
        assert_eq!((corpus.vocabulary.len(), corpus.tokens.len()), (16 + 3, 16 * 3));
        let message = cut(Path::new("x"), "a\nb\n", 0.1, Subset::Test).unwrap_err().to_string();
        assert!(message.contains("has 2 lines") && message.contains("data.valid"), "{message}");
    }

    #[test]
    fn what_is_no_text_is_refused_with_its_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        let refusal = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            text_of(&path, u64::MAX).unwrap_err().to_string()
        };
        for (bytes, part) in [
            (&b""[..], "is empty"),
            (b" \n\n", "is empty"),
            (b"one\ntwo\nthr\xe9e\n", "byte 11 (on line 3) is 0xe9"),
            (b"cut \xc3", "byte 4 (on line 1) is 0xc3"),
            (b"one\rtwo\r\nthr\xe9e\n", "byte 12 (on line 3) is 0xe9"),
            (b"a\0b", "byte 1 is NUL"),
            (b"\xef\xbb\xbf\n", "is empty"),
            (b"\xff\xfea\0", "byte 0 (on line 1) is 0xff"),
            (
                ["ae".as_bytes(), "\u{301}".repeat(1001).as_bytes()].concat().as_slice(),
                "byte 2: more than 1000 combining",
            ),
        ] {
            let message = refusal(bytes);
            assert!(message.starts_with(&path.display().to_string()) && message.contains(part), "{message}");
        }
        fs::write(&path, "\u{feff}a\u{feff} b\r\n\u{feff}c").unwrap();
        let text = text_of(&path, u64::MAX).unwrap();
        assert_eq!(text, "a b\nc", "byte-order marks, of each file of several, are no part of the text");
        fs::write(&path, "ten bytes.").unwrap();
        let message = text_of(&path, 9).unwrap_err().to_string();
        assert!(message.contains("has more than 9 bytes"), "{message}");
        fs::remove_file(&path).unwrap();
        let message = text_of(&path, 9).unwrap_err().to_string();
        assert!(message.contains("cannot be read"), "{message}");
    }

    /// The same text, stored by different systems and editors, gives the same vocabulary and tokens.
    #[test]
    fn the_form_of_a_text_makes_no_other_words() {
        let directory = tempfile::tempdir().unwrap();
        let lines = "Café à l’été, naïve\nहिन्दी में क्षेत्र।\nİstanbul Ångström\n".repeat(20);
        let how = |level| Text {
            train: Some("text".into()),
            lowercase: true,
            punctuation: Punctuation::Apart,
            ..how(level)
        };
        for level in [Level::Word, Level::Character] {
            let how = how(level);
            let corpora = [
                lines.clone(),
                lines.nfd().collect(),
                lines.replace('\n', "\r\n"),
                lines.replace('\n', "\r"),
                lines.replace('\n', "\u{2028}"),
                lines.replace("Caf", "\u{feff}Caf"),
                lines.replace("stan", "\u{ad}stan\u{ad}"),
            ]
            .map(|text: String| {
                fs::write(directory.path().join("text"), text).unwrap();
                Texts::new(&data("text", how.clone()), &how, Some(directory.path())).corpus().unwrap()
            });
            for corpus in &corpora[1..] {
                assert_eq!(corpus.vocabulary.words(), corpora[0].vocabulary.words());
                assert_eq!(corpus.tokens, corpora[0].tokens);
            }
            let words = corpora[0].vocabulary.words();
            assert!(level == Level::Character || words.iter().any(|word| word == "istanbul"), "{words:?}");
        }
    }

    /// The number of tokens, the number of words, and the hash of all tokens in their order, by text.
    fn fingerprint(corpus: &Corpus) -> (usize, usize, String) {
        let text: String = corpus
            .tokens
            .iter()
            .flat_map(|&token| [&corpus.vocabulary.words()[token as usize], "\n"])
            .collect();
        let digest = Sha256::digest(text.as_bytes());
        let digest = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (corpus.tokens.len(), corpus.vocabulary.len(), digest)
    }

    /// How a text is read, and the [`fingerprint`] of the result.
    type Known = (Level, bool, Punctuation, usize, usize, &'static str);

    /// The fetched texts and the bundled one are plain ASCII, and their tokens are the same in every release,
    /// so that runs can resume with the next one.
    fn tokens_stay_what_they_were(dataset: &str, directory: Option<&Path>, known: &[Known]) {
        for &(level, lowercase, punctuation, tokens, words, hash) in known {
            let how = Text { lowercase, punctuation, vocabulary: 1 << 20, ..how(level) };
            let corpus = Texts::new(&data(dataset, how.clone()), &how, directory).corpus().unwrap();
            assert_eq!(fingerprint(&corpus), (tokens, words, hash.into()), "{level:?} {punctuation:?}");
        }
    }

    #[test]
    fn the_tokens_of_genesis_stay_what_they_were() {
        let known = [
            (
                Level::Word,
                true,
                Punctuation::Apart,
                41355,
                2327,
                "395724bf1a6f521d468695a5db72b68f2dcc08da50968dfd9492f64d4e2dc4fa",
            ),
            (
                Level::Word,
                false,
                Punctuation::Attached,
                35611,
                4058,
                "7488499add0ce13955c33680f77551a3bc5a718c01233853cd8da123e2de4a8c",
            ),
            (
                Level::Character,
                false,
                Punctuation::Attached,
                175707,
                61,
                "71f474dcc88d20f6adf50c43cfa5f7312129d7188f051c2d945d4f613a38cd17",
            ),
        ];
        tokens_stay_what_they_were("genesis", None, &known);
    }

    #[test]
    fn the_tokens_of_the_king_james_bible_stay_what_they_were() {
        let Ok(directory) = open::directory_of(registry::find("kjv").unwrap(), None) else {
            return eprintln!("skipped: the King James Bible is not here (ternflock data fetch kjv)");
        };
        // The vocabulary has one word more than the text: `<unk>`.
        let known = [
            (
                Level::Word,
                true,
                Punctuation::Apart,
                859_577,
                11_973,
                "ddcc863152a189bc9b3f81d6e6ff1a0c24318896d51bf3e188389ae1e1d1e1b8",
            ),
            (
                Level::Word,
                false,
                Punctuation::Attached,
                746_691,
                26_782,
                "b6be8172b029f444ec42762914334d95f1a25c67b1ebc5041d7cb2dda6d4982a",
            ),
            (
                Level::Character,
                false,
                Punctuation::Attached,
                3_761_794,
                64,
                "219dcbe91a6d4dfa6f2e2d6881f0d30b6e720e0499a29bd6adfd6b4994c68efc",
            ),
        ];
        tokens_stay_what_they_were("kjv", Some(&directory), &known);
    }

    /// The counts that papers on this data set give.
    #[test]
    fn the_penn_treebank_has_its_published_size() {
        let Ok(directory) = open::directory_of(registry::find("ptb").unwrap(), None) else {
            return eprintln!(
                "skipped: the files of the Penn Treebank are not here (ternflock data fetch ptb)"
            );
        };
        let how = Text { held_out: None, ..how(Level::Word) };
        let data = data("ptb", how.clone());
        let mut texts = Texts::new(&data, &how, Some(&directory));
        let corpus = texts.corpus().unwrap();
        // The hash has been the same in every release.
        let hash = "4a40fec3f235bc4e5711d5bef6ae4d3b7bd09edcda5e666772d2d4101ab28f1e";
        assert_eq!(fingerprint(&corpus), (929_589, 10_000, hash.into()));
        for (subset, tokens) in [(Subset::Valid, 73_760), (Subset::Test, 82_430)] {
            let mut count = 0;
            super::tokens(&subset_of(&mut texts, subset), &how, &mut |_| count += 1);
            assert_eq!(count, tokens);
        }
        // As in Zaremba's code and in TensorFlow's: (929589 / 20 - 1) / 35 steps per epoch.
        assert_eq!(corpus.into_feed(&how, 20).unwrap().samples() / 20, 1327);
    }
}
