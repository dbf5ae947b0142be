//! The diagram of the crates in CONTRIBUTING.md agrees with the manifests. Crates that a manifest does not
//! list cannot be imported, so the compiler checks the rest.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The prefix of the names of all crates.
const PREFIX: &str = "ternflock-";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The row of each crate in the diagram, counted from the top. A crate's name is a word in the first column;
/// two spaces end that column.
fn picture() -> BTreeMap<String, usize> {
    let text = fs::read_to_string(root().join("CONTRIBUTING.md")).unwrap();
    let (_, text) =
        text.split_once("\n## The house\n").expect("CONTRIBUTING.md has no section \"The house\"");
    let (_, text) = text.split_once("```text\n").expect("the section has no picture");
    let (picture, _) = text.split_once("```").unwrap();
    let mut floors = BTreeMap::new();
    for (floor, line) in picture.lines().filter(|line| !line.starts_with(' ')).enumerate() {
        for name in line.split("  ").next().unwrap_or_default().split(' ') {
            assert_eq!(floors.insert(name.to_owned(), floor), None, "{name} is twice in the picture");
        }
    }
    floors
}

/// The folders of the crates, by their names in the picture.
fn folders() -> BTreeMap<String, PathBuf> {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let crates = entries.filter(|path| path.join("Cargo.toml").is_file()).chain([root().join("collectives")]);
    crates.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// The crates of this project that `manifest` lists, those for its tests included.
fn dependencies(manifest: &str) -> BTreeSet<String> {
    let lines = manifest.lines().filter_map(|line| line.strip_prefix(PREFIX));
    lines.map(|line| line.chars().take_while(|&c| c.is_ascii_alphanumeric() || c == '-').collect()).collect()
}

#[test]
fn the_picture_shows_every_crate() {
    let shown: BTreeSet<String> = picture().into_keys().collect();
    assert_eq!(shown, folders().into_keys().collect());
}

#[test]
fn every_arrow_points_down() {
    let floors = picture();
    let mut arrows = 0;
    for (name, folder) in folders() {
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("name = \"{PREFIX}{name}\"")), "src/{name} has another name");
        for other in dependencies(&manifest) {
            assert_ne!(other, "test-support", "{name} uses what only tests/ may use");
            assert!(
                floors[&name] < floors[&other],
                "{name} uses {other}, which CONTRIBUTING.md does not show on a lower floor"
            );
            arrows += 1;
        }
    }
    assert!(arrows > 50, "only {arrows} dependencies were found: the manifests have another form");
}

/// The files that `text` includes as code.
fn included(text: &str) -> impl Iterator<Item = &str> {
    let lines = text.lines().map(str::trim_start);
    let including = lines.filter(|line| line.starts_with("#[path") || line.starts_with("include!("));
    including.filter_map(|line| line.split('"').nth(1))
}

/// Code that is included by its path would pass the compiler. Only tests may include a file, and only an example, which
/// they run.
#[test]
fn no_file_is_included_by_its_path() {
    let (tests, examples) = (["tests", "collectives/tests"], root().join("collectives/examples"));
    let mut files = 0;
    let mut open: Vec<PathBuf> = ["src", "collectives", "tests"].map(|folder| root().join(folder)).into();
    while let Some(directory) = open.pop() {
        for path in fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files += 1;
                for other in included(&fs::read_to_string(&path).unwrap()) {
                    let is_test = tests.iter().any(|tests| path.starts_with(root().join(tests)));
                    let other = directory.join(other).canonicalize().unwrap();
                    let is_example = other.starts_with(examples.canonicalize().unwrap());
                    assert!(is_test && is_example, "{} includes {}", path.display(), other.display());
                }
            }
        }
    }
    assert!(files > 400, "only {files} files were read");
    let text = "mod a;\n  #[path = \"../b.rs\"]\nmod b;\ninclude!(\"c.rs\");";
    assert_eq!(included(text).collect::<Vec<_>>(), ["../b.rs", "c.rs"]);
}
