//! Checks files against their sha256.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::{Format, files};
use ternflock_base::error::{Error, Result};

/// Whether the file at `path`, raw or compressed, is one of the `wanted` files.
pub fn is_right(path: &Path, wanted: &[(&'static str, &str)]) -> bool {
    let is_named = |name: &str| path.ends_with(name) || path.ends_with(format!("{name}.gz"));
    let expected = wanted.iter().find(|(name, _)| is_named(name)).map(|&(_, sum)| sum);
    expected.is_some_and(|expected| sum(path).is_ok_and(|found| found == expected))
}

/// The names and sums of the files that are missing from `directory`.
pub fn missing<'a>(directory: &Path, format: &'a Format) -> Result<Vec<(&'static str, &'a str)>> {
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

/// The paths in `directory` of the `wanted` names if all exist and have the right sums; else the reason.
pub fn check(directory: &Path, wanted: &[(&str, &str)]) -> std::result::Result<Vec<PathBuf>, String> {
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
