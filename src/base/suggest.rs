//! Suggests the known name that was probably meant by a misspelled one.

use super::text::quote;

/// The longest word that is compared with others, in letters: the distance of long words takes time and memory.
const LONGEST_COMPARED: usize = 64;

/// The candidate that `word` was probably meant to be: at most a third of its letters differ.
pub fn nearest<'a>(word: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let letters = word.chars().count();
    let distance = |candidate: &str| strsim::damerau_levenshtein(&word, candidate);
    let near = |candidate: &str| {
        let own = candidate.chars().count();
        let longer = letters.max(own);
        // At least this many letters differ. Computing the distance of long words takes time and memory.
        longer <= LONGEST_COMPARED && 3 * letters.abs_diff(own) <= longer && 3 * distance(candidate) <= longer
    };
    candidates.filter(|candidate| near(candidate)).min_by_key(|candidate| distance(candidate))
}

/// Advice about an unknown `word` if one of `candidates` was meant: the nearest of them, or all.
pub fn suggest(word: &str, candidates: &[&str]) -> String {
    match nearest(word, candidates.iter().copied()) {
        Some(near) => format!("did you mean `{}`?", quote(near)),
        None => format!("there are {}", list(candidates.iter().copied(), "`", "`")),
    }
}

/// The maximum number of names in a message.
const MOST_NAMES: usize = 50;

/// `names`, each between `open` and `close`. If there are many, only the first ones and the number of the
/// others.
pub fn list<'a>(mut names: impl Iterator<Item = &'a str>, open: &str, close: &str) -> String {
    let shown = names.by_ref().take(MOST_NAMES).map(|name| format!("{open}{}{close}", quote(name)));
    let shown = shown.collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_or_all_of_them() {
        assert_eq!(suggest("rleu", &["add", "relu"]), "did you mean `relu`?");
        assert_eq!(suggest("sigmoid", &["add", "relu"]), "there are `add`, `relu`");
        assert_eq!(nearest("LINEAR", ["linear", "lstm"].into_iter()), Some("linear"));
    }

    #[test]
    fn a_message_lists_some_names() {
        let names: Vec<String> = (0..53).map(|i| format!("n{i}")).collect();
        let text = list(names.iter().map(String::as_str), "[", "]");
        assert!(text.starts_with("[n0], [n1], ") && text.ends_with("[n49] and 3 more"), "{text}");
    }

    /// Words of a hostile file are not compared letter by letter.
    #[test]
    fn long_words_are_like_no_other() {
        let long = "a".repeat(LONGEST_COMPARED + 1);
        assert_eq!(nearest(&long, [long.as_str()].into_iter()), None);
    }
}
