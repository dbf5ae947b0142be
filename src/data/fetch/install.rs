//! Installs checked files in their directory.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::io::{create_directories, open_regular};

/// Copies `files` into the directory `into` under their own names. All are copied before the first one is renamed.
pub fn install(files: &[PathBuf], into: &Path) -> Result<()> {
    create_directories(into).map_err(|error| write_error(into, &error))?;
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

/// A copy of `file` in `into`, synced to disk, which is deleted unless it is renamed.
fn copy(file: &Path, into: &Path) -> io::Result<NamedTempFile> {
    // The umask decides who may read data sets; a temporary file is by default readable only by its owner.
    let permissions = Permissions::from_mode(0o666);
    let mut copy = tempfile::Builder::new().suffix(".partial").permissions(permissions).tempfile_in(into)?;
    io::copy(&mut open_regular(file)?, &mut copy)?;
    copy.as_file().sync_all()?;
    Ok(copy)
}

fn write_error(path: &Path, error: &io::Error) -> Error {
    Error::data(path, format!("cannot be written: {error}"))
}
