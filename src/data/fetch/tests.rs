use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::test_site::{Server, pack};
use super::*;
use crate::{Format, idx};

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
        most: 1000,
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

    // An intact file stays, and only the others are fetched.
    fs::write(&labels, "two").unwrap();
    fs::remove_file(origin.path().join("train-labels-idx1-ubyte")).unwrap();
    fetch_logged(&[origin.path()], into.path()).0.unwrap();
    assert_eq!(listing(into.path()).len(), 4);
}

/// Puts the files with `content` into the archive `x.tar.gz` in the directory `site`.
fn pack_all(content: [&str; 4], site: &Path) {
    let names = idx::FILES.map(|name| format!("inner/{name}"));
    let files: Vec<(&str, &str)> = names.iter().map(String::as_str).zip(content).collect();
    pack(&files, &site.join("x.tar.gz"));
}

fn archive(address: &'static str) -> Vec<Origin> {
    vec![Origin::Archive { address, directory: "inner" }]
}

/// A captive portal answers every request with its own login page.
#[test]
fn a_wrong_download_is_not_kept() {
    let (site, parent) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::of(site.path().to_owned());
    let address: &str = format!("{}/x.tar.gz", server.address()).leak();
    let into = parent.path().join("tiny");
    let fetch_now = || fetch_from(archive(address), &into).0;
    // The content is not an archive, an archive with a wrong file, or an archive with too few files.
    fs::write(site.path().join("x.tar.gz"), "<html>Log in</html>").unwrap();
    let message = fetch_now().unwrap_err().to_string();
    assert!(message.contains("archive.tar.gz: is not an archive, or is damaged"), "{message}");
    assert!(!into.join(".download").exists());
    pack_all(["one", "two", "three", "five"], site.path());
    let message = fetch_now().unwrap_err().to_string();
    assert!(message.contains("t10k-labels-idx1-ubyte: the sha256"), "{message}");
    pack(&[("inner/train-images-idx3-ubyte", "one")], &site.path().join("x.tar.gz"));
    let message = fetch_now().unwrap_err().to_string();
    assert!(message.contains("has no train-labels-idx1-ubyte"), "{message}");
    pack_all(CONTENT, site.path());
    fetch_now().unwrap();
    assert_eq!(listing(&into).len(), 4);

    // Of separate files, the intact ones are kept, and only the wrong one is requested again.
    let into = parent.path().join("web");
    let pages = directory(["one", "<html>", "three", "four"]);
    for name in idx::FILES {
        fs::rename(pages.path().join(name), pages.path().join(format!("{name}.gz"))).unwrap();
    }
    let server = Server::of(pages.path().to_owned());
    let web = || vec![Origin::Web(server.address().leak())];
    fetch_from(web(), &into).0.unwrap_err();
    for name in idx::FILES {
        let page = pages.path().join(format!("{name}.gz"));
        if fs::read(&page).unwrap() == b"<html>" { fs::write(&page, "two") } else { fs::remove_file(&page) }
            .unwrap();
    }
    fetch_from(web(), &into).0.unwrap();
    assert_eq!(listing(&into).len(), 4);
}

/// The file was replaced between the attempts, the partial file is a login page, or an earlier process was killed before it
/// could check the file.
#[test]
fn what_does_not_fit_what_was_left_is_fetched_again_at_once() {
    let site = tempfile::tempdir().unwrap();
    let server = Server::of(site.path().to_owned());
    let address: &str = format!("{}/x.tar.gz", server.address()).leak();
    pack_all(CONTENT, site.path());
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
    // The download is retried once, but not because of files that were right.
    let into = tempfile::tempdir().unwrap();
    fs::write(site.path().join("x.tar.gz"), "<html>Log in</html>").unwrap();
    let file = Downloads::into(into.path()).from(address).unwrap().join("archive.tar.gz.part");
    fs::write(file, "<").unwrap();
    let (outcome, log) = fetch_from(archive(address), into.path());
    outcome.unwrap_err();
    assert_eq!(log.matches("starting again").count(), 1, "{log}");
}

/// A server refuses the range, because the partial file is longer than the file on the server.
#[test]
fn a_download_that_a_server_does_not_continue_starts_again() {
    let site = tempfile::tempdir().unwrap();
    pack_all(CONTENT, site.path());
    let body = fs::read(site.path().join("x.tar.gz")).unwrap();
    let size = body.len();
    let answer = |status: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    };
    let refusal = answer(&format!("416 Range Not Satisfiable\r\nContent-Range: bytes */{size}"), b"no");
    let server = Server::answering(vec![refusal, answer("200 OK", &body)]);
    let address: &str = format!("{}/x.tar.gz", server.address()).leak();
    let into = tempfile::tempdir().unwrap();
    let file = Downloads::into(into.path()).from(address).unwrap().join("archive.tar.gz.part");
    fs::write(file, vec![b'<'; size + 10]).unwrap();
    fetch_from(archive(address), into.path()).0.unwrap();
    let asked: Vec<bool> = server.requests().iter().map(|request| request.range.is_some()).collect();
    assert_eq!(asked, [true, false]);
}

/// The umask decides who may read fetched files; none is executable.
#[test]
fn files_have_the_permissions_of_new_files() {
    let (origin, into) = (directory(CONTENT), tempfile::tempdir().unwrap());
    fs::set_permissions(origin.path().join(idx::FILES[0]), fs::Permissions::from_mode(0o700)).unwrap();
    fetch_logged(&[origin.path()], into.path()).0.unwrap();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    fs::write(into.path().join("new"), "").unwrap();
    for name in idx::FILES {
        assert_eq!(mode(&into.path().join(name)), mode(&into.path().join("new")));
    }
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
