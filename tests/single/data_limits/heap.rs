//! Measures peak memory and processor time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use support::clock::thread_time;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// A growing buffer holds its old and its new memory at the same time here, since `realloc` is the default one.
struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(held, Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The result of `work`, its peak memory in bytes, and its processor time.
pub fn measured<T>(work: impl FnOnce() -> T) -> (T, usize, Duration) {
    let before = HELD.load(Relaxed);
    PEAK.store(before, Relaxed);
    let start = thread_time();
    let result = work();
    (result, PEAK.load(Relaxed) - before, thread_time() - start)
}

/// Runs `work`, which reads files of `input` bytes, and checks its peak memory.
#[track_caller]
pub fn bounded<T>(what: &str, input: u64, work: impl FnOnce() -> T) -> (T, Duration) {
    let (result, peak, time) = measured(work);
    let most = 16 * input as usize + 64_000_000;
    assert!(peak <= most, "{what}: {peak} bytes of memory for files of {input} bytes, more than {most}");
    if std::env::var_os("SHOW").is_some() {
        eprintln!(
            "{what}: input {input}, peak {peak} = {:.2} of {most}, {time:?}",
            peak as f64 / most as f64
        );
    }
    (result, time)
}

/// Checks that files of four times the size take at most six times as long. Compares the shortest of several times, since
/// other work may run on the machine.
#[track_caller]
pub fn scales(what: &str, small: &mut dyn FnMut() -> Duration, large: &mut dyn FnMut() -> Duration) {
    let mut shortest = [Duration::MAX; 2];
    for _ in 0..5 {
        shortest = [shortest[0].min(small()), shortest[1].min(large())];
        if shortest[1] <= 6 * shortest[0].max(Duration::from_millis(10)) {
            return;
        }
    }
    panic!("{what}: {:?} for four times the size of {:?}", shortest[1], shortest[0]);
}
