//! A text as tokens: words or characters, and `<eos>` where a line ends.

use crate::job::{Level, Punctuation, Text};

/// The token at the end of every line.
pub const END_OF_LINE: &str = "<eos>";
/// The token that stands for all words outside the vocabulary.
pub const UNKNOWN: &str = "<unk>";

/// Gives the tokens of `text` to `give`, one after the other, as `how` says.
pub fn tokens(text: &str, how: &Text, give: &mut dyn FnMut(&str)) {
    for line in text.lines() {
        let small;
        let line = if how.lowercase {
            small = line.to_lowercase();
            &small
        } else {
            line
        };
        match (how.level, how.punctuation) {
            (Level::Character, _) => characters(line, give),
            (Level::Word, Punctuation::Attached) => line.split_whitespace().for_each(&mut *give),
            (Level::Word, Punctuation::Apart) => {
                line.split_whitespace().for_each(|word| apart(word, give));
            }
        }
        give(END_OF_LINE);
    }
}

fn characters(text: &str, give: &mut dyn FnMut(&str)) {
    text.char_indices().for_each(|(at, character)| give(&text[at..at + character.len_utf8()]));
}

/// The parts of `word`: runs of letters and digits, with the apostrophes and hyphens between them, and single marks. A word
/// that is a token of ours stays whole.
fn apart(word: &str, give: &mut dyn FnMut(&str)) {
    if word == UNKNOWN || word == END_OF_LINE {
        return give(word);
    }
    let mut start = 0;
    let mut characters = word.char_indices().peekable();
    let mut before = None;
    while let Some((at, character)) = characters.next() {
        let after = characters.peek().map(|(_, after)| *after);
        let letter = |neighbour: Option<char>| neighbour.is_some_and(char::is_alphanumeric);
        let joins = matches!(character, '\'' | '\u{2019}' | '-') && letter(before) && letter(after);
        if !character.is_alphanumeric() && !joins {
            if start < at {
                give(&word[start..at]);
            }
            start = at + character.len_utf8();
            give(&word[at..start]);
        }
        before = Some(character);
    }
    if start < word.len() {
        give(&word[start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::test::how;
    use super::*;

    fn all(text: &str, how: &Text) -> Vec<String> {
        let mut all = Vec::new();
        tokens(text, how, &mut |token| all.push(token.to_owned()));
        all
    }

    #[test]
    fn words_stand_between_white_space_and_lines_end() {
        let text = "  no it was n't <unk>\u{a0}monday \n\nN\n";
        let expected = ["no", "it", "was", "n't", "<unk>", "monday", "<eos>", "<eos>", "N", "<eos>"];
        assert_eq!(all(text, &how(Level::Word)), expected);
        // The last line need not end, nor need lines end as on Unix.
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
}
