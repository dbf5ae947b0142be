//! Checkpoints: a [`Snapshot`] of a run in one HDF5 file that is complete or absent, and a [`Store`] of the
//! newest ones.
//!
//! - `snapshot` and `origin`: what a checkpoint holds, as plain values
//! - `write` and `read`: the HDF5 layout, described in `docs/checkpoint-format.md`
//! - `memory`: HDF5 files in memory
//! - `container`: the subset of HDF5 that `write` produces, for `read`
//! - `header`: length and checksum in the file's user block, verified before anything else is read
//! - `room`: copies, and the disk space of a checkpoint
//! - `store`: the `checkpoints/` directory of a run: rotation, the best, the latest
//! - `newest`: the checkpoint that a run resumes from
//! - `entries`: entries that are not the files they should be
//!
//! Inside this crate, an error is a string with the reason; [`save`], [`load`], [`verify`] and [`Store`] add
//! the file. All functions may be called from any thread, because the HDF5 wrapper locks the library.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod container;
mod entries;
mod header;
mod memory;
mod newest;
mod origin;
mod read;
mod room;
mod snapshot;
mod store;
mod write;

use std::path::Path;

pub use memory::in_memory;
pub use newest::Newest;
pub use origin::Origin;
pub use snapshot::{Best, Data, Plateau, Progress, Slot, Snapshot, Stage, Tensor};
pub use store::{Saved, Store};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::Partial;

/// The version of the file format this program writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Writes `snapshot` to `path` and replaces an existing file only when the new one is complete. The file is
/// built in memory, written and synced under a temporary name in the same directory, read back and compared,
/// and renamed. This needs memory for one more copy of the snapshot.
///
/// # Errors
///
/// [`Error::Checkpoint`] if the snapshot is inconsistent (a name, a shape) or cannot be written (with the
/// bytes that are needed and those that are free). An existing file at `path` is then unchanged, and the
/// temporary file is removed.
pub fn save<V: AsRef<[f32]>>(path: impl AsRef<Path>, snapshot: &Snapshot<V>) -> Result<()> {
    let path = path.as_ref();
    let failed = |reason| Error::checkpoint(path, format!("cannot be saved: {reason}"));
    snapshot.check().map_err(failed)?;
    let image = write::image(snapshot).map_err(failed)?;
    let partial = Partial::beside(path, |file| header::seal(&image, file))
        .map_err(|error| failed(format!("{error}{}", room::room(path, &image))))?;
    drop(image);
    read::compare(partial.path(), snapshot).map_err(|reason| {
        failed(format!(
            "the file that was read back differs from what was written: \
            {reason}"
        ))
    })?;
    partial.rename().map_err(|error| failed(error.to_string()))
}

/// Reads the checkpoint at `path`.
///
/// # Errors
///
/// [`Error::Checkpoint`] with the exact reason if the file is missing, empty, truncated, changed since it was
/// written, of a newer format, or not a checkpoint.
pub fn load(path: impl AsRef<Path>) -> Result<Snapshot> {
    let path = path.as_ref();
    read::load(path).map_err(|reason| Error::checkpoint(path, reason))
}

/// Checks that the file at `path` is a checkpoint, complete and unchanged since it was written, without loading it.
///
/// # Errors
///
/// As for [`load`].
pub fn verify(path: impl AsRef<Path>) -> Result<()> {
    let path = path.as_ref();
    header::verify(path).map(drop).map_err(|reason| Error::checkpoint(path, reason))
}
