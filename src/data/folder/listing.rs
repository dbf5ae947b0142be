//! The images of a folder with one sub-folder per class, in the order of their names.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;

/// The endings of image files, in lower case.
const ENDINGS: [&str; 3] = ["png", "jpg", "jpeg"];

/// The images below a directory.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// The names of the sub-folders, in ascending order.
    pub classes: Vec<String>,
    /// The paths of the images, class by class, each class in the order of their names.
    pub files: Vec<PathBuf>,
    /// The class of each image.
    pub labels: Vec<usize>,
    /// What was not read.
    pub ignored: Ignored,
}

/// Numbers of entries that were not read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ignored {
    /// Entries whose names begin with a dot.
    pub hidden: usize,
    /// Files with other endings, and files that are in no class.
    pub others: usize,
    /// Symbolic links to directories and links that lead out of the folder.
    pub links: usize,
}

impl Ignored {
    /// What was ignored, in words; `None` if nothing was.
    pub fn described(&self) -> Option<String> {
        let counts = [
            (self.hidden, plural(self.hidden, "hidden file")),
            (
                self.others,
                format!("{} that are not .png, .jpg or .jpeg in a class", plural(self.others, "file")),
            ),
            (
                self.links,
                format!("{} to directories or out of the folder", plural(self.links, "symbolic link")),
            ),
        ];
        let counts: Vec<String> =
            counts.into_iter().filter(|(count, _)| *count > 0).map(|(_, text)| text).collect();
        (!counts.is_empty()).then(|| counts.join(", "))
    }
}

impl Listing {
    /// Lists the images below `directory`. Each directory in it is a class, and the directories below a class belong to
    /// it. A class may be empty.
    ///
    /// # Errors
    /// If a directory cannot be read, or if the name of a class is not UTF-8.
    pub fn read(directory: &Path) -> Result<Listing> {
        let mut walk = Walk { root: canonical(directory)?, found: Vec::new(), ignored: Ignored::default() };
        let mut listing = Listing::default();
        for Entry { path, kind } in walk.entries(directory)? {
            if kind != Kind::Directory {
                walk.ignored.others += 1;
                continue;
            }
            let name = path.file_name().unwrap_or_default();
            let name = name.to_str().ok_or_else(|| {
                Error::data(&path, "the name of a class must be UTF-8 text: rename this directory")
            })?;
            walk.descend(&path)?;
            listing.labels.resize(listing.labels.len() + walk.found.len(), listing.classes.len());
            listing.files.append(&mut walk.found);
            listing.classes.push(name.into());
        }
        listing.ignored = walk.ignored;
        Ok(listing)
    }

    /// The number of images of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.labels.iter().for_each(|&label| counts[label] += 1);
        counts
    }
}

/// The names of the visible directories in `directory`, in ascending order.
///
/// # Errors
/// If it cannot be read.
pub fn directories(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut walk = Walk { root: canonical(directory)?, found: Vec::new(), ignored: Ignored::default() };
    let entries = walk.entries(directory)?.into_iter();
    Ok(entries.filter(|entry| entry.kind == Kind::Directory).map(|entry| entry.path).collect())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    Image,
    Other,
}

struct Entry {
    path: PathBuf,
    kind: Kind,
}

struct Walk {
    /// The folder, without symbolic links: links within it are followed.
    root: PathBuf,
    found: Vec<PathBuf>,
    ignored: Ignored,
}

impl Walk {
    /// Adds the images below `directory` to those that were found.
    fn descend(&mut self, directory: &Path) -> Result<()> {
        for Entry { path, kind } in self.entries(directory)? {
            match kind {
                Kind::Directory => self.descend(&path)?,
                Kind::Image => self.found.push(path),
                Kind::Other => self.ignored.others += 1,
            }
        }
        Ok(())
    }

    /// The entries of `directory` that are neither hidden nor links out of the folder, in the order of their names.
    fn entries(&mut self, directory: &Path) -> Result<Vec<Entry>> {
        let failed = |error: io::Error| cannot_read(directory, &error);
        let mut entries = Vec::new();
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let (path, kind) = (entry.path(), entry.file_type().map_err(failed)?);
            if entry.file_name().as_bytes().starts_with(b".") {
                self.ignored.hidden += 1;
            } else if kind.is_symlink() && !self.is_inner_file(&path) {
                self.ignored.links += 1;
            } else if kind.is_dir() {
                entries.push(Entry { path, kind: Kind::Directory });
            } else {
                let kind = if is_image(&path) { Kind::Image } else { Kind::Other };
                entries.push(Entry { path, kind });
            }
        }
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(entries)
    }

    /// Whether the link at `path` leads to a file in the folder.
    fn is_inner_file(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|target| target.starts_with(&self.root) && target.is_file())
    }
}

fn is_image(path: &Path) -> bool {
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default().to_ascii_lowercase();
    ENDINGS.contains(&ending.as_str())
}

fn canonical(directory: &Path) -> Result<PathBuf> {
    let path = directory.canonicalize().map_err(|error| cannot_read(directory, &error))?;
    match path.is_dir() {
        true => Ok(path),
        false => {
            Err(Error::data(directory, "is not a directory: use the folder with one sub-folder per class"))
        }
    }
}

fn cannot_read(directory: &Path, error: &io::Error) -> Error {
    Error::data(directory, format!("cannot be read: {error}"))
}
