//! Limits the size of a job. Parsed TOML takes far more memory than its text, so its values are counted before it is
//! parsed.

use toml_parser::Source;
use toml_parser::lexer::TokenKind;

/// The maximum number of tokens in a job file or a `--set`. Parsing takes up to about 130 bytes per token.
const MOST_PARTS: usize = 1 << 19;

/// The number of tokens that a table counts as: it takes about 2 kB.
const PARTS_OF_TABLE: usize = 16;

/// The maximum number of stages of a job.
pub(crate) const MOST_STAGES: usize = 256;

/// Refuses `text` if it has too many values.
pub(crate) fn check(text: &str) -> Result<(), String> {
    // Even if every byte is a table, the text stays within the limit.
    if text.len() * PARTS_OF_TABLE <= MOST_PARTS || parts(text) <= MOST_PARTS {
        return Ok(());
    }
    Err(format!(
        "has too many values: at most {MOST_PARTS} words and signs are allowed, and a table counts as \
         {PARTS_OF_TABLE}; load a network this large with `model.checkpoint` or `model.preset`"
    ))
}

/// The number of tokens, including the extra tokens for tables. No token is stored.
fn parts(text: &str) -> usize {
    // The open brackets that do not belong to a header, whether a key is being read, and the previous token.
    let (mut open, mut is_key, mut before) = (Vec::new(), true, TokenKind::Newline);
    let mut parts = 0;
    for token in Source::new(text).lex() {
        parts += usize::from(counts(token.kind()));
        match token.kind() {
            // The second bracket of `[[`.
            TokenKind::LeftSquareBracket if is_key && before == TokenKind::LeftSquareBracket => {}
            TokenKind::Newline if open.is_empty() => is_key = true,
            TokenKind::Equals => is_key = false,
            // A header or a dotted key: each dot creates a table.
            TokenKind::LeftSquareBracket | TokenKind::Dot if is_key => parts += PARTS_OF_TABLE,
            TokenKind::LeftSquareBracket => open.push(TokenKind::LeftSquareBracket),
            TokenKind::LeftCurlyBracket => {
                open.push(TokenKind::LeftCurlyBracket);
                parts += PARTS_OF_TABLE;
                is_key = true;
            }
            TokenKind::Comma => is_key = open.last() == Some(&TokenKind::LeftCurlyBracket),
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket if !is_key || !open.is_empty() => {
                open.pop();
                is_key = false;
            }
            _ => {}
        }
        before = token.kind();
        if parts > MOST_PARTS {
            break;
        }
    }
    parts
}

/// Whether a token counts. Blanks within a line take no memory, and the canonical text of a job may have more
/// of them than the user's file.
fn counts(kind: TokenKind) -> bool {
    !matches!(kind, TokenKind::Whitespace | TokenKind::Eof)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_count_for_more_than_values() {
        let tables = |text: &str| {
            (parts(text) - Source::new(text).lex().filter(|token| counts(token.kind())).count())
                / PARTS_OF_TABLE
        };
        for (text, expected) in [
            ("a = 1.5\nb = [1.5, [2.5]]\n", 0),
            ("[a]\nb = 1\n[c]\n", 2),
            ("[[a]]\nb = 1.5\n", 1),
            ("a.b.c = 1.5\n", 2),
            ("a = { b.c = 1.5, d = [{}, {e = 1}] }\n[f.g]\n", 6),
            ("a = [\n1.5,\n2.5\n]\nb.c = 2\n", 1),
            ("a = {}\nb.c = {}\n", 3),
        ] {
            assert_eq!(tables(text), expected, "{text}");
        }
    }

    #[test]
    fn too_many_values_are_refused() {
        let array = |values: usize| format!("a = [{}]", "1,".repeat(values));
        assert_eq!(check(&array(MOST_PARTS / 2 - 4)), Ok(()));
        assert!(check(&array(MOST_PARTS / 2)).unwrap_err().contains("524288 words and signs"));
        assert!(check(&"[[a]]\n".repeat(MOST_PARTS / 20)).is_err());
        for line in ["\n", "#\n", "\r\n"] {
            assert!(check(&line.repeat(MOST_PARTS + 1)).is_err(), "{line:?}");
        }
        assert!(check(&" ".repeat(16 << 20)).is_ok());
        assert!(check(&format!("a = \"{}\"", "b".repeat(1 << 20))).is_ok());
    }
}
