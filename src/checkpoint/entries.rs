//! Entries in a run's checkpoint directory that are not regular files.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::store::{BEST, START, Store, step_of};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::{move_aside, not_a_file};

impl Store {
    /// Renames entries that have the name of a checkpoint of this run but are not regular files, such as directories and
    /// links, because they would block that checkpoint. Returns a note for each.
    ///
    /// # Errors
    ///
    /// [`Error::Checkpoint`] if an entry cannot be renamed.
    pub fn clear_the_way(&self) -> Result<Vec<String>> {
        let is_ours = |name: &String| {
            let stage = name.strip_prefix("stage-").and_then(|rest| rest.strip_suffix(".h5"));
            name == BEST || name == START || step_of(name).is_some() || stage.is_some()
        };
        let mut notes = Vec::new();
        for path in self.names()?.iter().filter(|name| is_ours(name)).map(|name| self.directory.join(name)) {
            let Some(what) = not_a_file(&path) else { continue };
            let moved = move_aside(&path).map_err(|error| {
                Error::checkpoint(
                    &path,
                    format!("is {what} that blocks a checkpoint and cannot be renamed: {error}"),
                )
            })?;
            notes.push(format!(
                "{}: is {what} that blocks a checkpoint; it was renamed to {}",
                path.display(),
                moved.display()
            ));
        }
        Ok(notes)
    }
}

/// Refuses a dangling link at `directory` and a link that another user made.
pub(super) fn check_link(directory: &Path) -> std::result::Result<(), String> {
    let Ok(link) = directory.symlink_metadata() else { return Ok(()) };
    // SAFETY: the call only returns a number.
    let user = unsafe { libc::geteuid() };
    if !link.is_symlink() {
        return Ok(());
    }
    if ![user, 0].contains(&link.uid()) {
        let reason = "is a symbolic link of another user and is not followed: replace it with a directory or \
            a link of your own";
        return Err(reason.into());
    }
    if !directory.is_dir() {
        let reason = "is a symbolic link that does not lead to a directory: create the directory it leads to, or remove the link";
        return Err(reason.into());
    }
    Ok(())
}
