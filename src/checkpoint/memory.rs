//! HDF5 files in memory.
//!
//! HDF5 does not recover if the disk fills up while it writes: the file cannot be closed any more, and its
//! objects stay in the library. So HDF5 writes to memory, and our code writes the finished bytes to the disk,
//! where it can handle errors (docs/adr/0004-hdf5-in-memory.md).

use std::fs;
use std::os::fd::AsRawFd;

use hdf5::File;
use hdf5::file::FileCloseDegree;
use ternflock_base::io::memory_file;

/// An HDF5 file in memory that `fill` writes, behind a blank user block of `userblock` bytes. It has the oldest structures,
/// which every version of the library reads.
///
/// # Errors
/// With the reason, if there is no memory for the file or if `fill` fails.
pub fn in_memory(userblock: u64, fill: impl FnOnce(&File) -> hdf5::Result<()>) -> Result<fs::File, String> {
    let image = memory_file().map_err(|error| format!("no memory for the file: {error}"))?;
    // The `stdio` driver opens a path as it is. The default driver would resolve this link, which does not
    // lead to a file.
    let failed = |error| cause(error) + &size_limit();
    let file = File::with_options()
        .with_fcpl(|create| create.userblock(userblock))
        // `container` reads only these structures.
        .with_fapl(|access| access.fclose_degree(FileCloseDegree::Strong).libver_earliest().stdio())
        .create(format!("/proc/self/fd/{}", image.as_raw_fd()))
        .map_err(failed)?;
    let written = fill(&file);
    let closed = file.close();
    written.and(closed).map_err(failed)?;
    Ok(image)
}

/// The file size limit, if there is one. It also applies to files in memory, and HDF5 does not report that it was reached.
fn size_limit() -> String {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills one record, which it borrows.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
    match known && limit.rlim_cur != libc::RLIM_INFINITY {
        true => {
            format!(
                " (`ulimit -f` allows files of {:.1} kB; raise it if a checkpoint needs more)",
                limit.rlim_cur as f64 / 1e3
            )
        }
        false => String::new(),
    }
}

/// The system's message for an error inside HDF5, or HDF5's own message.
fn cause(error: hdf5::Error) -> String {
    let stack = error.stack();
    let system = stack.iter().flat_map(|stack| stack.iter()).find_map(|frame| {
        let (_, message) = frame.desc().split_once("error message = '")?;
        Some(message.split('\'').next()?.to_owned())
    });
    system.unwrap_or_else(|| format!("HDF5: {error}"))
}
