//! Texts by their files, and tokens that stay the same in every release.

use std::fs;

use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;

use super::*;
use crate::feed::TrainingFeed;
use ternflock_job::{Level, Punctuation};

use super::super::test::how;

fn data(dataset: &str, text: Text) -> Data {
    Data {
        samples: None,
        arrays: None,
        dataset: dataset.into(),
        dir: None,
        split: None,
        mean: None,
        std: None,
        augment: None,
        idx: None,
        csv: None,
        windows: None,
        synthetic: None,
        synthetic_text: None,
        text: Some(text),
    }
}

fn subset_of(texts: &mut Texts, part: Subset) -> String {
    let at = texts.open(part).unwrap();
    texts.subset(at, part).unwrap().1.to_owned()
}

#[test]
fn one_text_is_cut_by_its_lines() {
    let directory = tempfile::tempdir().unwrap();
    let lines: Vec<String> = (0..20).map(|line| format!("w{line} w\n")).collect();
    fs::write(directory.path().join("one.txt"), lines.concat()).unwrap();
    let how = Text { train: Some("one.txt".into()), held_out: Some(0.1), ..how(Level::Word) };
    let data = data("text", how.clone());
    let mut texts = Texts::new(&data, &how, Some(directory.path()));
    let mut parts = || [Subset::Train, Subset::Valid, Subset::Test].map(|part| subset_of(&mut texts, part));
    let expected = [lines[..16].concat(), lines[16..18].concat(), lines[18..].concat()];
    assert_eq!(parts(), expected);
    let corpus = Texts::new(&data, &how, Some(directory.path())).corpus().unwrap();
    // A file that has been read is not read again.
    fs::remove_file(directory.path().join("one.txt")).unwrap();
    assert_eq!(parts(), expected);
    // Only the words of the training text: `<eos>`, `w` and `<unk>`.
    assert_eq!((corpus.vocabulary.len(), corpus.tokens.len()), (16 + 3, 16 * 3));
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
    let text: String =
        corpus.tokens.iter().flat_map(|&token| [&corpus.vocabulary.words()[token as usize], "\n"]).collect();
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
        return eprintln!("skipped: the files of the Penn Treebank are not here (ternflock data fetch ptb)");
    };
    let how = Text { held_out: None, ..how(Level::Word) };
    let data = data("ptb", how.clone());
    let mut texts = Texts::new(&data, &how, Some(&directory));
    let corpus = texts.corpus().unwrap();
    // The hash has been the same in every release.
    let hash = "4a40fec3f235bc4e5711d5bef6ae4d3b7bd09edcda5e666772d2d4101ab28f1e";
    assert_eq!(fingerprint(&corpus), (929_589, 10_000, hash.into()));
    for (part, tokens) in [(Subset::Valid, 73_760), (Subset::Test, 82_430)] {
        let mut count = 0;
        super::tokens(&subset_of(&mut texts, part), &how, &mut |_| count += 1);
        assert_eq!(count, tokens);
    }
    // As in Zaremba's code and in TensorFlow's: (929589 / 20 - 1) / 35 steps per epoch.
    assert_eq!(corpus.into_feed(&how, 20).unwrap().samples() / 20, 1327);
}
