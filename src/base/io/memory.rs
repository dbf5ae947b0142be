//! Files in memory, for libraries that write files.

use std::fs::File;
use std::io;
use std::os::fd::FromRawFd;

/// An empty file in memory. Its path is `/proc/self/fd/` and the number of its descriptor.
///
/// # Errors
/// If the system has no memory or no descriptor left.
pub fn memory_file() -> io::Result<File> {
    // SAFETY: the name is a C string. The descriptor is new, and only the `File` has it.
    unsafe {
        match libc::memfd_create(c"ternflock".as_ptr(), libc::MFD_CLOEXEC) {
            -1 => Err(io::Error::last_os_error()),
            descriptor => Ok(File::from_raw_fd(descriptor)),
        }
    }
}
