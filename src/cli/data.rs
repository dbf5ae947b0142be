//! `ternflock data`.

mod import;
mod info;
mod progress;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::arguments::{Data, DataCommand};
use super::exit;
use super::launcher::is_not_first;
use super::streams::print;
use super::table::table;
pub use info::{Found, find};
use progress::Shown;
use ternflock_data::{self as data, DATASETS, Entry, Format};

/// Lists and fetches data sets, describes the data of a job, and packs folders of images.
pub fn main(arguments: &Data) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match &arguments.command {
        DataCommand::List { json } => list(*json),
        DataCommand::Fetch { name, into } => fetch(name, into.as_deref()),
        DataCommand::Info(arguments) => info::main(arguments),
        DataCommand::Import(arguments) => import::main(arguments),
    }
}

fn list(json: bool) -> ExitCode {
    let text = if json {
        let entry = |entry: &Entry| {
            json!({"name": entry.name, "about": entry.about, "size": entry.size, "licence": entry.licence,
                   "here": here(entry)})
        };
        format!("{}\n", json!({"datasets": DATASETS.iter().map(entry).collect::<Vec<_>>()}))
    } else {
        listing()
    };
    print(&text)
}

/// The width of a list in columns, except for longer paths.
const COLUMNS: usize = 100;

/// A table with one line per data set, and its description below that line.
fn listing() -> String {
    let mut rows = vec![["name", "size", "here"].map(String::from).to_vec()];
    rows.extend(DATASETS.iter().map(|entry| vec![entry.name.into(), entry.size.into(), here(entry)]));
    let table = table(&rows, &[]);
    let mut lines = table.lines();
    let mut out = format!("{}\n", lines.next().unwrap_or_default());
    for (line, entry) in lines.zip(DATASETS) {
        let about = format!("{}; licence: {}", entry.about, entry.licence);
        out += &format!("{line}\n{}", indented(&about, 6));
    }
    let root = data::default_directory("NAME");
    let note = format!(
        "`ternflock data fetch NAME` puts one into {}; set TERNFLOCK_DATA to use another directory for all data sets.",
        root.display()
    );
    out + "\n" + &indented(&note, 2)
}

/// `text` in lines of at most [`COLUMNS`], each indented by `indent`.
fn indented(text: &str, indent: usize) -> String {
    let (mut out, mut column) = (String::new(), 0);
    for word in text.split_whitespace() {
        let width = word.chars().count();
        if column > 0 && column + 1 + width <= COLUMNS {
            out += &format!(" {word}");
            column += 1 + width;
        } else {
            if column > 0 {
                out.push('\n');
            }
            out += &format!("{:indent$}{word}", "");
            column = indent + width;
        }
    }
    out + "\n"
}

/// The place from which jobs would read it.
fn here(entry: &Entry) -> String {
    match entry.format {
        Format::Digits | Format::Genesis | Format::Synthetic | Format::SyntheticText => "built in".into(),
        Format::Samples => "as the job says".into(),
        Format::Table { files: [], .. } => "as the job says".into(),
        Format::Idx { .. } | Format::Cifar10 | Format::Text { .. } | Format::Table { .. } => {
            data::locate(entry).map_or("no".into(), |path: PathBuf| path.display().to_string())
        }
    }
}

fn fetch(name: &str, into: Option<&Path>) -> ExitCode {
    let mut shown = Shown::new();
    let fetched = data::fetch(name, into, &mut |progress| shown.show(progress));
    drop(shown);
    match fetched {
        Ok(path) => print(&format!("{}\n", path.display())),
        Err(error) => exit::fail(&error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_fits_its_columns_and_leaves_nothing_out() {
        let text = listing();
        let fits = |line: &&str| line.chars().count() <= COLUMNS;
        assert!(text.lines().all(|line| fits(&line)), "{text}");
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for entry in DATASETS {
            assert!(words.contains(&format!("{}; licence: {}", entry.about, entry.licence)), "{text}");
        }
        assert_eq!(indented("", 2), "\n");
        assert_eq!(indented(&"x".repeat(120), 2), format!("  {}\n", "x".repeat(120)));
    }
}
