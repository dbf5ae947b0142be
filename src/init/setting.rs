//! Keys of a job with their values and comments.

use serde_json::Value;

/// The width of comments, in columns.
const WIDTH: usize = 100;

/// A key of a section.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// Its value.
    pub value: Value,
    /// What it does, and when to change it; empty: nothing is said.
    pub comment: String,
}

impl Setting {
    /// A key with its value and comment.
    pub fn new(key: &'static str, value: impl Into<Value>, comment: impl Into<String>) -> Setting {
        Setting { key, value: value.into(), comment: comment.into() }
    }

    /// Its lines in a job.
    pub fn lines(&self) -> String {
        comment(&self.comment) + &format!("{} = {}\n", self.key, toml(&self.value))
    }
}

/// `text` as comment lines.
pub fn comment(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        match lines[last].is_empty() {
            true => lines[last] = format!("# {word}"),
            false if lines[last].chars().count() + 1 + word.chars().count() > WIDTH => {
                lines.push(format!("# {word}"))
            }
            false => lines[last] += &format!(" {word}"),
        }
    }
    lines.retain(|line| !line.is_empty());
    lines.iter().map(|line| visible(line) + "\n").collect()
}

/// `line` without the control characters that a comment must not have.
pub fn visible(line: &str) -> String {
    let shown = |letter: char| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    line.chars().map(shown).collect()
}

/// `value` as TOML: strings are quoted and escaped.
pub fn toml(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(values) => format!("[{}]", values.iter().map(toml).collect::<Vec<_>>().join(", ")),
        other => other.to_string(),
    }
}

/// `text` as a basic string of TOML, in one line.
fn quoted(text: &str) -> String {
    let escaped = |letter: char| match letter {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\t' => "\\t".to_owned(),
        letter if letter.is_control() => format!("\\u{:04X}", u32::from(letter)),
        letter => letter.to_string(),
    };
    format!("\"{}\"", text.chars().map(escaped).collect::<String>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn strings_come_back() {
        for text in
            ["", "a b", "it's \"x\"", "C:\\x", "tab\tline\nbell\u{7}del\u{7f}\u{85}", "größer, 日本語"]
        {
            let table: toml::Table = format!("x = {}", toml(&json!(text))).parse().unwrap();
            assert_eq!(table["x"].as_str(), Some(text));
        }
        assert_eq!(toml(&json!(["a", 1, 0.5, true])), "[\"a\", 1, 0.5, true]");
    }

    #[test]
    fn comments_are_wrapped_and_harmless() {
        let lines = Setting::new("a", 1, "word ".repeat(50)).lines();
        assert!(lines.lines().all(|line| line.chars().count() <= WIDTH), "{lines}");
        assert!(lines.starts_with("# word word") && lines.ends_with("\na = 1\n"), "{lines}");
        assert_eq!(Setting::new("a", 1, "").lines(), "a = 1\n");
        assert_eq!(comment("bell\u{7}"), "# bell\\u{7}\n");
    }
}
