//! Checkpoints: a [`Snapshot`] of a run in one HDF5 file that is complete or absent, and a [`Store`] of the last few.
//!
//! - `snapshot` and `origin`: what a checkpoint holds, as plain values
//! - `write` and `read`: the HDF5 layout, described in `docs/checkpoint-format.md`
//! - `container`: the subset of HDF5 that `write` produces, for `read`
//! - `header`: length and checksum in the file's user block, verified before anything else is read
//! - `room`: copies, and the disk space of a checkpoint
//! - `store`: the `checkpoints/` directory of a run: rotation, the best, the latest
//! - `newest`: the checkpoint that a run resumes from
//! - `entries`: entries that are not the files they should be
//!
//! Inside, a failure is its reason as a string; [`save`], [`load`], [`verify`] and [`Store`] add the file it is about.
//! All of it may be called from any thread: the HDF5 wrapper holds one lock around the library.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod container;
mod entries;
mod header;
mod newest;
mod origin;
mod read;
mod room;
mod snapshot;
mod store;
mod write;

use std::path::Path;

pub use newest::Newest;
pub use origin::Origin;
pub use snapshot::{Best, Data, Plateau, Progress, Slot, Snapshot, Stage, Tensor};
pub use store::{Saved, Store};
use ternflock_base::error::{Error, Result};
use ternflock_base::io::Partial;

/// The version of the file format this program writes, and the newest it reads.
pub const FORMAT_VERSION: u32 = 1;

/// Writes `snapshot` to `path`, replacing what was there only once the new file is complete: it is built in memory,
/// written and synced under a temporary name in the same directory, read back and compared, and renamed. Meanwhile it
/// takes its own size in memory once more.
///
/// # Errors
///
/// [`Error::Checkpoint`] when the snapshot contradicts itself (a name, a shape) or cannot be written (with the bytes
/// it needs and the bytes that are free). Whatever was at `path` is then untouched and the temporary file is gone.
pub fn save<V: AsRef<[f32]>>(path: impl AsRef<Path>, snapshot: &Snapshot<V>) -> Result<()> {
    let path = path.as_ref();
    let failed = |reason| Error::checkpoint(path, format!("cannot be saved: {reason}"));
    snapshot.check().map_err(failed)?;
    let image = write::image(snapshot).map_err(failed)?;
    let partial = Partial::beside(path, |file| header::seal(&image, file))
        .map_err(|error| failed(format!("{error}{}", room::room(path, &image))))?;
    drop(image);
    read::compare(partial.path(), snapshot)
        .map_err(|reason| failed(format!("read back, it is not what was written: {reason}")))?;
    partial.rename().map_err(|error| failed(error.to_string()))
}

/// Reads the checkpoint at `path`.
///
/// # Errors
///
/// [`Error::Checkpoint`] with the exact reason when the file is missing, empty, cut short, changed since it was
/// written, of a newer format, or not a checkpoint at all. Nothing of such a file reaches HDF5.
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
