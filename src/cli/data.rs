//! `ternflock data`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::json;

use super::arguments::{Data, DataCommand};
use super::exit;
use super::launcher::is_not_first;
use super::streams::{log, print};
use super::table::table;
use crate::data::{self, DATASETS, Entry, Format};

/// Lists data sets, or fetches one.
pub fn main(arguments: &Data) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match &arguments.command {
        DataCommand::List { json } => list(*json),
        DataCommand::Fetch { name, into } => fetch(name, into.as_deref()),
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
        let mut rows = vec![["name", "size", "here", "licence", "what it is"].map(String::from).to_vec()];
        for entry in DATASETS {
            let cells = [entry.name, entry.size, &here(entry), entry.licence, entry.about];
            rows.push(cells.map(String::from).to_vec());
        }
        table(&rows, &[])
    };
    print(&text)
}

/// Where jobs would read it from.
fn here(entry: &Entry) -> String {
    match entry.format {
        Format::Digits | Format::Genesis | Format::Synthetic | Format::SyntheticText => "built in".into(),
        Format::Idx { .. } | Format::Cifar10 | Format::Text { .. } => {
            data::locate(entry).map_or("no".into(), |path: PathBuf| path.display().to_string())
        }
    }
}

fn fetch(name: &str, into: Option<&Path>) -> ExitCode {
    let into = into.map_or_else(|| data::default_directory(name), Path::to_path_buf);
    match data::fetch(name, &into, &mut |line| log(line)) {
        Ok(path) => print(&format!("{}\n", path.display())),
        Err(error) => exit::fail(&error),
    }
}
