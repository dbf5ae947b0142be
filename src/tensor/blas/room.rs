//! The address space that OpenBLAS needs.
//!
//! For each thread that computes a product concurrently, OpenBLAS maps a buffer and keeps it. If the system refuses, for
//! example because of `ulimit -v`, OpenBLAS retries forever. This program therefore maps and unmaps the same amount before
//! the first product.

use std::io;
use std::ptr;

use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;

/// The size of a buffer: `BUFFER_SIZE` of OpenBLAS, which is the same on all processors with the widest kernels.
const BUFFER: usize = 32 << 22;

/// Refuses to compute on `threads` threads if OpenBLAS would hang.
///
/// # Errors
/// [`Error::Usage`] if there is not enough address space.
pub fn check_blas_room(threads: usize) -> Result<()> {
    let threads = threads.max(1);
    room_for(threads, BUFFER).map_err(|error| {
        Error::Usage(format!(
            "BLAS needs {} MB of address space on {}, {} MB each, and the system refuses that ({error}): {}, or compute on \
             fewer threads",
            (threads * BUFFER) >> 20,
            plural(threads, "thread"),
            BUFFER >> 20,
            match limit() {
                Some(limit) => format!("raise `ulimit -v` (now {} kB)", limit >> 10),
                None => "free memory, or let the system overcommit it (vm.overcommit_memory)".into(),
            }
        ))
    })
}

/// Maps `count` buffers of `size` bytes as OpenBLAS does, and unmaps them. Nothing is written, so no memory is used.
fn room_for(count: usize, size: usize) -> io::Result<()> {
    let mut mapped = Vec::new();
    let mut outcome = Ok(());
    for _ in 0..count {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping at any address, which nothing else uses.
        let address = unsafe { libc::mmap(ptr::null_mut(), size, access, kind, -1, 0) };
        if address == libc::MAP_FAILED {
            outcome = Err(io::Error::last_os_error());
            break;
        }
        mapped.push(address);
    }
    for address in mapped {
        // SAFETY: one of the mappings above, of this size, which nothing uses.
        unsafe { libc::munmap(address, size) };
    }
    outcome
}

/// The address space limit of this process in bytes, if there is one.
fn limit() -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the call fills one record, which it borrows.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM_INFINITY).then_some(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_asked_for_and_given_back() {
        let mapped = || std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = |statm: String| statm.split(' ').next().unwrap().parse::<usize>().unwrap();
        let before = pages(mapped());
        room_for(2, BUFFER).unwrap();
        // Other tests run at the same time.
        assert!(pages(mapped()) < before + 2 * BUFFER / 4096);
        assert!(room_for(3, 1 << 46).is_err(), "half of what 47 bits can address");
    }
}
