//! Splits a text into tokens: words or characters, and `<eos>` at the end of each line.

use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_segmentation::UnicodeSegmentation;

use ternflock_job::{Level, Punctuation, Text};

/// The token at the end of every line.
pub const END_OF_LINE: &str = "<eos>";
/// The token that stands for all words outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// Passes the tokens of `text`, which is [prepared](super::clean), to `give`, one after another. `how` specifies how the
/// text is split. Tokens are slices of the text and are not copied.
pub fn tokens<'a>(text: &'a str, how: &Text, give: &mut dyn FnMut(&'a str)) {
    for line in text.lines() {
        match (how.level, how.punctuation) {
            (Level::Character, _) => characters(line, give),
            (Level::Word, Punctuation::Attached) => words(line, give),
            (Level::Word, Punctuation::Apart) => words(line, &mut |word| apart(word, give)),
        }
        give(END_OF_LINE);
    }
}

/// The words between white space. A zero-width space separates words too: in Khmer, for example, nothing else does.
fn words<'a>(line: &'a str, give: &mut dyn FnMut(&'a str)) {
    if line.is_ascii() {
        return line.split_whitespace().for_each(give);
    }
    let is_space = |character: char| character.is_whitespace() || character == '\u{200b}';
    line.split(is_space).map(trim).filter(|word| !word.is_empty()).for_each(give);
}

/// `word` without joiners that join nothing. At the ends of a word, joiners change no letter, except a joiner
/// after the last one, which Malayalam used for separate letters.
fn trim(word: &str) -> &str {
    word.trim_start_matches(['\u{200c}', '\u{200d}']).trim_end_matches('\u{200c}')
}

fn characters<'a>(text: &'a str, give: &mut dyn FnMut(&'a str)) {
    text.char_indices().for_each(|(at, character)| give(&text[at..at + character.len_utf8()]));
}

/// The parts of `word`: runs of letters and digits, with the apostrophes and hyphens between them, and single
/// marks. A word that is one of our special tokens is not split.
fn apart<'a>(word: &'a str, give: &mut dyn FnMut(&'a str)) {
    if word == UNKNOWN || word == END_OF_LINE {
        give(word);
    } else if word.is_ascii() {
        // Every byte is one character.
        parts(word, word.bytes().enumerate().map(|(at, byte)| (at, 1, kind(byte.into()))), give);
    } else {
        // A letter with its marks, or an emoji of several characters, is one cluster.
        let clusters = word.grapheme_indices(true);
        let kind = |cluster: &str| cluster.chars().next().map_or(Kind::Mark, kind);
        let mut give = |part: &'a str| {
            let part = trim(part);
            if !part.is_empty() {
                give(part);
            }
        };
        parts(word, clusters.map(|(at, cluster)| (at, cluster.len(), kind(cluster))), &mut give);
    }
}

/// The role of a grapheme cluster in a word.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Part of it.
    Letter,
    /// Part of it between two letters.
    Joint,
    /// A separate token.
    Mark,
}

fn kind(character: char) -> Kind {
    match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Kind::Letter,
        // Apostrophes and hyphens; Catalan's middle dot, Hebrew's geresh and gershayim, the hyphenation
        // point, as in UAX #29.
        '\'' | '\u{2019}' | '-' | '\u{b7}' | '\u{5f3}' | '\u{5f4}' | '\u{2027}' => Kind::Joint,
        ..'\u{80}' => Kind::Mark,
        // A combining mark is first only if there is nothing before it.
        _ if character.is_alphanumeric()
            || character.general_category_group() == GeneralCategoryGroup::Mark =>
        {
            Kind::Letter
        }
        _ => Kind::Mark,
    }
}

/// [`apart`] for a word whose clusters have these positions, lengths and kinds.
fn parts<'a>(
    word: &'a str,
    characters: impl Iterator<Item = (usize, usize, Kind)>,
    give: &mut dyn FnMut(&'a str),
) {
    let mut start = 0;
    let mut characters = characters.peekable();
    let mut before = Kind::Mark;
    while let Some((at, length, kind)) = characters.next() {
        let joins = kind == Kind::Joint
            && before == Kind::Letter
            && characters.peek().is_some_and(|(.., after)| *after == Kind::Letter);
        if kind != Kind::Letter && !joins {
            if start < at {
                give(&word[start..at]);
            }
            start = at + length;
            give(&word[at..start]);
        }
        before = kind;
    }
    if start < word.len() {
        give(&word[start..]);
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::UnicodeNormalization;

    use super::super::clean::{clean, lowercase};
    use super::super::test::how;
    use super::*;

    fn all(text: &str, how: &Text) -> Vec<String> {
        let mut all = Vec::new();
        let mut text = clean(text.to_owned(), &|_| Ok(())).unwrap();
        if how.lowercase {
            text = lowercase(text, &|_| Ok(())).unwrap();
        }
        tokens(&text, how, &mut |token| all.push(token.to_owned()));
        all
    }

    /// The tokens in lower case, with separate punctuation, and without the end of the only line.
    fn apart(text: &str) -> Vec<String> {
        let how = Text { lowercase: true, punctuation: Punctuation::Apart, ..how(Level::Word) };
        let mut all = all(text, &how);
        assert_eq!(all.pop().as_deref(), Some(END_OF_LINE));
        all
    }

    #[test]
    fn words_stand_between_white_space_and_lines_end() {
        let text = "  no it was n't <unk>\u{a0}monday \n\nN\n";
        let expected = ["no", "it", "was", "n't", "<unk>", "monday", "<eos>", "<eos>", "N", "<eos>"];
        assert_eq!(all(text, &how(Level::Word)), expected);
        // The last line does not need a line end, and line ends do not have to be those of Unix.
        assert_eq!(all("a\r\nb", &how(Level::Word)), ["a", "<eos>", "b", "<eos>"]);
        assert!(all("", &how(Level::Word)).is_empty());
    }

    #[test]
    fn characters_are_those_of_unicode() {
        assert_eq!(all("aß 語\n", &how(Level::Character)), ["a", "ß", " ", "語", "<eos>"]);
    }

    #[test]
    fn punctuation_can_be_apart_and_capitals_small() {
        let how = Text { lowercase: true, punctuation: Punctuation::Apart, ..how(Level::Word) };
        let text = "(Esau's men-servants' <unk>, É.)";
        let expected = ["(", "esau's", "men-servants", "'", "<unk>", ",", "é", ".", ")", "<eos>"];
        // A mark after `<unk>` makes it an ordinary word of marks.
        let found = all(&text.replace(",", " ,"), &how);
        assert_eq!(found, expected);
    }

    /// Words in scripts whose letters consist of several characters, and accents in both forms.
    #[test]
    fn marks_belong_to_the_letters_they_combine_with() {
        for (text, words) in [
            ("हिन्दी में, क्षेत्र।", &["हिन्दी", "में", ",", "क्षेत्र", "।"][..]),
            ("தமிழ்நாடு (தமிழ்)", &["தமிழ்நாடு", "(", "தமிழ்", ")"]),
            ("ที่นี่ \"น้ำ\"", &["ที่นี่", "\"", "น้ำ", "\""]),
            ("می\u{200c}خواهم، کتاب\u{200c}ها.", &["می\u{200c}خواهم", "،", "کتاب\u{200c}ها", "."]),
            ("\u{200c}ها\u{200c} (\u{200c}ها\u{200c}) \u{200c}", &["ها", "(", "ها", ")"]),
            ("അവന്\u{200d} ", &["അവന്\u{200d}"]),
            ("עִבְרִית צה״ל!", &["עִבְרִית", "צה״ל", "!"]),
            ("Café-crème, l’été; cooperate\u{300}.", &["café-crème", ",", "l’été", ";", "cooperatè", "."]),
            ("\u{130}stanbul'da x\u{323}\u{302}y", &["istanbul'da", "x\u{323}\u{302}y"]),
            ("col·lecció ·", &["col·lecció", "·"]),
            ("co\u{ad}op\u{2010}er\u{2011}ate\u{2010}", &["coop-er-ate", "-"]),
            ("\u{feff}In\u{feff}the \u{200f}x", &["inthe", "x"]),
            ("ខ្ញុំ\u{200b}ស្រឡាញ់", &["ខ្ញុំ", "ស្រឡាញ់"]),
            ("hi 👩\u{200d}🚀🇮🇳!?", &["hi", "👩\u{200d}🚀", "🇮🇳", "!", "?"]),
            ("\u{301}lone 3½ \u{301}", &["\u{301}lone", "3½", "\u{301}"]),
            ("中文，标点。", &["中文", "，", "标点", "。"]),
        ] {
            let expected: Vec<String> = words.iter().map(|word| word.nfc().collect()).collect();
            assert_eq!(apart(text), expected, "{text}");
            assert_eq!(apart(&text.nfd().collect::<String>()), expected, "{text} in form D");
        }
    }

    /// The tokens of plain ASCII have not changed since the first release: the rule applied to every character
    /// separately.
    #[test]
    fn ascii_is_cut_as_ever() {
        let text: String = (' '..='~').flat_map(|a| (' '..='~').map(move |b| format!("x{a}{b}y "))).collect();
        let mut expected = Vec::new();
        for word in text.to_ascii_lowercase().split_ascii_whitespace() {
            let bytes = word.as_bytes();
            let letter = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
            let mut start = 0;
            for at in 0..word.len() {
                let joins = matches!(bytes[at], b'\'' | b'-') && letter(at.wrapping_sub(1)) && letter(at + 1);
                if !letter(at) && !joins {
                    expected.extend((start < at).then(|| word[start..at].to_owned()));
                    expected.push(word[at..=at].to_owned());
                    start = at + 1;
                }
            }
            expected.extend((start < word.len()).then(|| word[start..].to_owned()));
        }
        assert_eq!(apart(&text), expected);
    }
}
