//! Installs checked files in their directory.

use std::io;
use std::path::{Path, PathBuf};

use ternflock_base::error::{Error, Result};
use ternflock_base::io::{Partial, create_directories, open_regular};

/// Copies `files` into the directory `into` under their own names. All are copied before the first one is renamed.
pub fn install(files: &[PathBuf], into: &Path) -> Result<()> {
    create_directories(into).map_err(|error| write_error(into, &error))?;
    let mut copies = Vec::new();
    for file in files {
        let target = into.join(file.file_name().unwrap_or_default());
        let copy = Partial::beside(&target, |mut to| io::copy(&mut open_regular(file)?, &mut to).map(drop));
        copies.push((copy.map_err(|error| write_error(&target, &error))?, target));
    }
    for (copy, target) in copies {
        copy.rename().map_err(|error| write_error(&target, &error))?;
    }
    Ok(())
}

fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::data(path, format!("cannot be written: {error}"))
}
