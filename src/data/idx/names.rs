//! The names under which IDX files are distributed: MNIST's own (`train-images-idx3-ubyte`), the variant of some
//! archives (`train-images.idx3-ubyte`), names with a prefix (`emnist-letters-train-images-idx3-ubyte`), and the
//! directories of torchvision (`MNIST/raw`).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::FILES;
use crate::files;
use ternflock_base::error::{Error, Result};

/// Where in a directory the files may be, in order of preference.
const PLACES: [&str; 7] =
    ["", "raw", "MNIST/raw", "FashionMNIST/raw", "KMNIST/raw", "EMNIST/raw", "QMNIST/raw"];

/// The paths of the files of one data set, in the order of [`FILES`]. A file has several paths if the directory contains it
/// under several names.
type Files = [Vec<PathBuf>; 4];

/// The files of several data sets, by the prefix of their names.
type Sets = BTreeMap<String, Files>;

/// The four files of the data set in `directory`. If that holds several data sets, `directory` may end in the prefix of
/// their names: `EMNIST/raw/emnist-letters`.
///
/// # Errors
/// If a file is missing, if there are several data sets, or if a file exists under several names (raw and compressed,
/// `t10k-` and `test-`) with different contents.
pub fn find(directory: &Path) -> Result<[PathBuf; 4]> {
    let Some((place, mut sets)) = sets_of(directory) else { return Err(files::missing(directory, FILES[0])) };
    let complete = |files: &Files| files.iter().all(|paths| !paths.is_empty());
    if let Some(files) = sets.get("").filter(|files| complete(files)) {
        return chosen(files.clone());
    }
    if sets.values().any(complete) {
        sets.retain(|_, files| complete(files));
    }
    if sets.len() > 1 {
        let names: Vec<&str> = sets.keys().map(|start| start.trim_end_matches('-')).collect();
        let message = format!(
            "holds the files of several data sets: {}; choose one by the prefix of its files, as in data.dir = \"{}\"",
            names.join(", "),
            place.join(names[0]).display()
        );
        return Err(Error::data(directory, message));
    }
    let (start, files) = sets.into_iter().next().unwrap_or_default();
    match files.iter().position(Vec::is_empty) {
        Some(missing) => Err(files::missing(&place, &format!("{start}{}", FILES[missing]))),
        None => chosen(files),
    }
}

/// Whether one of the files is in `directory`.
pub fn holds_any(directory: &Path) -> bool {
    sets_of(directory).is_some()
}

/// Chooses one path per file.
fn chosen(files: Files) -> Result<[PathBuf; 4]> {
    let mut chosen: [PathBuf; 4] = Default::default();
    for (chosen, paths) in chosen.iter_mut().zip(files) {
        *chosen = files::only_one(paths)?;
    }
    Ok(chosen)
}

/// The first place in `directory` that has any of the files, and the files it has.
fn sets_of(directory: &Path) -> Option<(PathBuf, Sets)> {
    if directory.is_dir() {
        let places = PLACES.iter().map(|place| directory.join(place));
        return places.map(|place| (place.clone(), scan(&place))).find(|(_, sets)| !sets.is_empty());
    }
    let (place, start) = (directory.parent()?, directory.file_name()?.to_str()?);
    let mut sets = scan(if place.as_os_str().is_empty() { Path::new(".") } else { place });
    sets.retain(|name, _| name.trim_end_matches('-') == start.trim_end_matches('-'));
    (!sets.is_empty()).then(|| (place.to_owned(), sets))
}

fn scan(place: &Path) -> Sets {
    let mut sets = Sets::new();
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    // A raw file comes before its compressed copy. Entries other than regular files count only if there is no regular file:
    // opening one then reports what it is. (Some archives have a directory with the name of each file.)
    let mut paths: Vec<(bool, PathBuf)> =
        entries.map(|entry| entry.path()).map(|path| (!path.is_file(), path)).collect();
    paths.sort();
    for (is_special, path) in paths {
        let Some((start, role)) = path.file_name().and_then(|name| parse(name.to_str()?)) else { continue };
        let found = &mut sets.entry(start.to_owned()).or_default()[role];
        if !is_special || found.is_empty() {
            found.push(path);
        }
    }
    sets
}

/// The prefix of a file name, and which of [`FILES`] it is; `None` for other names.
fn parse(name: &str) -> Option<(&str, usize)> {
    let name = name.strip_suffix(".gz").unwrap_or(name);
    let kinds = [["images-idx3-ubyte", "images.idx3-ubyte"], ["labels-idx1-ubyte", "labels.idx1-ubyte"]];
    let parts = [["train-", "train-"], ["t10k-", "test-"]];
    for (part, parts) in parts.iter().enumerate() {
        for (kind, kinds) in kinds.iter().enumerate() {
            let rest = kinds.iter().find_map(|kind| name.strip_suffix(kind));
            let start = rest.and_then(|rest| parts.iter().find_map(|part| rest.strip_suffix(part)));
            if let Some(start) = start {
                return Some((start, 2 * part + kind));
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(names: &[&str]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        directory
    }

    const EMNIST: [&str; 8] = [
        "emnist-letters-train-images-idx3-ubyte.gz",
        "emnist-letters-train-labels-idx1-ubyte.gz",
        "emnist-letters-test-images-idx3-ubyte.gz",
        "emnist-letters-test-labels-idx1-ubyte.gz",
        "emnist-digits-train-images-idx3-ubyte.gz",
        "emnist-digits-train-labels-idx1-ubyte.gz",
        "emnist-digits-test-images-idx3-ubyte.gz",
        "emnist-digits-test-labels-idx1-ubyte.gz",
    ];

    #[test]
    fn files_are_found_by_the_names_that_archives_give_them() {
        let dotted = FILES.map(|name| name.replace("-idx", ".idx"));
        let test = FILES.map(|name| name.replace("t10k", "test"));
        let compressed = FILES.map(|name| format!("{name}.gz"));
        let in_raw = FILES.map(|name| format!("MNIST/raw/{name}"));
        let letters: Vec<String> = EMNIST[..4].iter().map(|name| (*name).to_owned()).collect();
        for names in [dotted.to_vec(), test.to_vec(), compressed.to_vec(), in_raw.to_vec(), letters] {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let directory = directory(&names);
            let expected: Vec<PathBuf> = names.iter().map(|name| directory.path().join(name)).collect();
            assert_eq!(find(directory.path()).unwrap().to_vec(), expected);
            assert!(holds_any(directory.path()));
        }
        assert!(!holds_any(directory(&["train-images.png", "images-idx3-ubyte"]).path()));
    }

    /// As torchvision leaves it: the archives, and their contents.
    #[test]
    fn a_raw_file_is_read_and_not_its_archive() {
        let both: Vec<String> = FILES
            .iter()
            .flat_map(|name| ["", ".gz"].map(|end| format!("FashionMNIST/raw/{name}{end}")))
            .collect();
        let directory = directory(&both.iter().map(String::as_str).collect::<Vec<_>>());
        let found = find(directory.path()).unwrap().map(|path| path.file_name().unwrap().to_owned());
        assert_eq!(found, FILES.map(std::ffi::OsString::from));
        fs::write(directory.path().join("FashionMNIST/raw/train-labels-idx1-ubyte.gz"), "other").unwrap();
        let message = find(directory.path()).unwrap_err().to_string();
        assert!(
            message.contains("train-labels-idx1-ubyte: holds other data than ")
                && message.contains("train-labels-idx1-ubyte.gz, and it is unclear which is meant: move one"),
            "{message}"
        );
    }

    #[test]
    fn two_test_sets_are_not_confused() {
        let names = FILES.iter().map(|name| name.to_string());
        let test = names.clone().skip(2).map(|name| name.replace("t10k", "test"));
        let names: Vec<String> = names.chain(test).collect();
        let directory = directory(&names.iter().map(String::as_str).collect::<Vec<_>>());
        find(directory.path()).unwrap();
        fs::write(directory.path().join("test-labels-idx1-ubyte"), "other").unwrap();
        let message = find(directory.path()).unwrap_err().to_string();
        assert!(
            message.contains("t10k-labels-idx1-ubyte: holds other data than ")
                && message.contains("test-labels"),
            "{message}"
        );
    }

    #[test]
    fn what_is_no_file_is_found_in_place_of_none() {
        let directory = directory(&FILES[1..]);
        fs::create_dir(directory.path().join(FILES[0])).unwrap();
        let found = find(directory.path()).unwrap();
        assert_eq!(found[0], directory.path().join(FILES[0]));
        fs::write(directory.path().join("train-images.idx3-ubyte"), "").unwrap();
        assert!(find(directory.path()).unwrap()[0].ends_with("train-images.idx3-ubyte"));
    }

    #[test]
    fn of_several_data_sets_one_is_named_by_the_beginning_of_its_files() {
        let directory = directory(&EMNIST);
        let message = find(directory.path()).unwrap_err().to_string();
        let place = directory.path().join("emnist-digits");
        assert!(message.contains("several data sets: emnist-digits, emnist-letters;"), "{message}");
        assert!(message.ends_with(&format!("data.dir = \"{}\"", place.display())), "{message}");
        for start in ["emnist-letters", "emnist-letters-"] {
            let found = find(&directory.path().join(start)).unwrap();
            assert_eq!(found.map(|path| path.file_name().unwrap().to_owned()).to_vec(), EMNIST[..4]);
        }
        let message = find(&directory.path().join("emnist")).unwrap_err().to_string();
        assert!(message.contains("emnist: there is no file train-images-idx3-ubyte"), "{message}");
    }

    #[test]
    fn a_missing_file_is_named_as_the_others_are() {
        let message = |names: &[&str]| find(directory(names).path()).unwrap_err().to_string();
        let said = message(&EMNIST[..3]);
        assert!(said.ends_with("no file emnist-letters-t10k-labels-idx1-ubyte or emnist-letters-t10k-labels-idx1-ubyte.gz in this directory"), "{said}");
        let said = message(&["train-images-idx3-ubyte.xz"]);
        assert!(said.contains("train-images-idx3-ubyte.xz: is compressed with xz"), "{said}");
        // A complete set takes precedence over an incomplete one.
        let names: Vec<&str> = EMNIST[..5].to_vec();
        assert!(find(directory(&names).path()).is_ok());
    }
}
