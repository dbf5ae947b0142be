//! Processor time.

use std::time::Duration;

/// The processor time of this thread so far. The time of other programs does not count.
///
/// # Panics
/// If the system has no clock per thread.
pub fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the call fills the structure, which it borrows.
    let code = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(code, 0, "this system has no clock per thread");
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
