//! The text below the options in `--help`. Clap wraps its paragraphs to the width of the terminal, so their line breaks
//! in the source are removed first. Examples are commands to copy, so they keep their lines.

use clap::{Command, CommandFactory};

use super::arguments::Arguments;

/// The maximum width of an example, which is the narrowest usual terminal.
const WIDTH: usize = 80;

/// The whole command line, with help that is ready to be wrapped.
pub fn command() -> Command {
    prepared(Arguments::command())
}

fn prepared(command: Command) -> Command {
    let text = command.get_after_help().map(|text| reflow(&text.to_string()));
    let command = match text {
        Some(text) => command.after_help(text),
        None => command,
    };
    command.mut_subcommands(prepared)
}

/// `text` with one line per paragraph. Examples (indented lines) are folded with backslashes, as a shell reads them.
fn reflow(text: &str) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut in_paragraph = false;
    for line in text.lines() {
        let is_prose = !line.is_empty() && !line.starts_with(' ');
        match lines.last_mut() {
            Some(last) if is_prose && in_paragraph => *last += &format!(" {line}"),
            _ if is_prose || line.is_empty() => lines.push(line.to_owned()),
            _ => lines.extend(fold(line)),
        }
        in_paragraph = is_prose;
    }
    lines.join("\n")
}

/// An example in lines of at most [`WIDTH`]; all but the last end in a backslash.
fn fold(line: &str) -> Vec<String> {
    let indent = line.len() - line.trim_start().len();
    let mut lines = vec![" ".repeat(indent)];
    for word in words(line.trim_start()) {
        let last = lines.len() - 1;
        let is_empty = lines[last].trim().is_empty();
        // Leave room for a backslash.
        if !is_empty && lines[last].chars().count() + 1 + word.chars().count() + 2 > WIDTH {
            lines[last] += " \\";
            lines.push(" ".repeat(indent + 4) + word);
        } else {
            lines[last] += &format!("{}{word}", if is_empty { "" } else { " " });
        }
    }
    lines
}

/// The words of a command. An option and its value form one word, and so do a quoted text and the columns of a list.
fn words(line: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, character) in line.char_indices() {
        quoted ^= character == '\'';
        if character == ' ' && !quoted && line[at..].trim_start().starts_with("--") {
            words.push(&line[start..at]);
            start = at + 1;
        }
    }
    words.push(&line[start..]);
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_become_lines_and_examples_stay() {
        let text = "Examples:\n  a b\n  c\n\nOne two\nthree.\n\nFour\n  0  done";
        assert_eq!(reflow(text), "Examples:\n  a b\n  c\n\nOne two three.\n\nFour\n  0  done");
    }

    #[test]
    fn a_long_example_is_folded_between_its_options() {
        let long = "  mpirun -n 4 ternflock bench allreduce --elements 1e4,1e6 --launcher 'mpirun -n {} --x y' --json";
        assert_eq!(
            reflow(long),
            "  mpirun -n 4 ternflock bench allreduce --elements 1e4,1e6 \\\n      --launcher 'mpirun -n {} --x y' --json"
        );
    }

    /// For every command, the source breaks no paragraph, and clap breaks no example.
    #[test]
    fn all_help_is_wrapped_once() {
        fn check(command: &Command) {
            let text = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            assert!(!text.starts_with(char::is_whitespace), "{}: {text}", command.get_name());
            for pair in lines.windows(2) {
                let prose = pair.iter().all(|line| !line.is_empty() && !line.starts_with(' '));
                assert!(!prose, "{}: {pair:?}", command.get_name());
            }
            for line in lines.iter().filter(|line| line.starts_with(' ')) {
                assert!(line.chars().count() <= WIDTH, "{}: {line}", command.get_name());
            }
            command.get_subcommands().for_each(check);
        }
        check(&command());
    }
}
