//! Nothing in a file or its name reaches the terminal as a control sequence.

use support::program::{Place, finish};

use crate::PROGRAM;
use crate::state::{NEWEST, killed};

/// Red, a C1 sequence that clears the screen, and right-to-left text.
const HOSTILE: &str = "\u{1b}[31m\u{9b}2J\u{202e}";
const SHOWN: &str = "\\u001b[31m\\u009b2J\\u202e";

const OBEYED: [char; 3] = ['\u{1b}', '\u{9b}', '\u{202e}'];

#[track_caller]
fn is_shown(text: &str) {
    assert!(text.contains(SHOWN), "{text}");
    assert!(!text.contains(OBEYED), "{text:?}");
}

#[test]
fn names_of_files_are_shown() {
    let place = killed();
    let name = format!("{HOSTILE}.h5");
    is_shown(&finish(&mut place.command(&["inspect", &name])).ended(4).err);
    std::fs::copy(place.path(&format!("run/{NEWEST}")), place.path(&name)).unwrap();
    is_shown(&finish(&mut place.command(&["inspect", &name])).ended(0).out);
    let json = finish(&mut place.command(&["inspect", &name, "--json"]));
    is_shown(&json.out);
    assert_eq!(json.json()["checkpoint"], *name);
}

/// Colour codes in arguments are removed.
#[test]
fn words_of_the_command_line_are_shown() {
    let place = Place::new(PROGRAM);
    for words in [&[HOSTILE][..], &["inspect", "a.h5", &format!("--{HOSTILE}")]] {
        let err = finish(&mut place.command(words)).ended(2).err;
        assert!(err.contains("\\u009b2J\\u202e"), "{err}");
        assert!(!err.contains(OBEYED), "{err:?}");
    }
}

#[test]
fn names_in_files_are_shown() {
    let place = Place::new(PROGRAM);
    let job = place.read("tiny.toml").replace("units = 10", &format!("units = 10\n\"{}\" = 1", SHOWN));
    place.write("hostile.toml", job);
    is_shown(&place.run("train hostile.toml").ended(2).err);
}

#[test]
fn directories_of_runs_are_shown() {
    let place = Place::new(PROGRAM);
    let run = finish(&mut place.command(&["train", "tiny.toml", "--run-dir", HOSTILE])).ended(0);
    is_shown(&run.err);
    is_shown(&run.out);
}
