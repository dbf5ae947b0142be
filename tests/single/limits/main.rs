//! The cost of small inputs: heap of at most 16 times the input plus 64 MB, and time that grows no faster than the input.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod buffers;
mod graphs;
mod jobs;
mod sets;
mod sweeps;

use support::clock::thread_time;
use support::counting::{Counting, most_held};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The heap that every input may take, and the heap per byte of input.
const HEAP: usize = 64 << 20;
const HEAP_PER_BYTE: usize = 16;

/// The maximum ratio of times for an input that is four times as large.
const MOST_TIMES: f64 = 6.0;

/// Shorter times are not compared, because the clock and the caches dominate them.
const SHORTEST: f64 = 0.002;

/// How often times are compared: other programs slow this one down through shared caches.
const ATTEMPTS: usize = 5;

/// Checks the cost of `work` on the inputs that `make` makes for `size` and for four times as much. `make` also returns the
/// size of its input in bytes.
fn check<T>(what: &str, size: usize, make: impl Fn(usize) -> (T, usize), work: impl Fn(&T)) {
    keep_memory();
    let inputs = [size, 4 * size].map(|size| {
        let (input, bytes) = make(size);
        let ((), heap) = most_held(|| work(&input));
        let most = HEAP + HEAP_PER_BYTE * bytes;
        assert!(heap <= most, "{what}: {bytes} bytes of input take {heap} bytes of heap; {most} are allowed");
        input
    });
    let compare = || {
        let times = inputs.each_ref().map(|input| time(|| work(input)).min(time(|| work(input))));
        (times[1] > MOST_TIMES * times[0].max(SHORTEST)).then_some(times)
    };
    let slow: Vec<[f64; 2]> = (0..ATTEMPTS).map_while(|_| compare()).collect();
    assert!(slow.len() < ATTEMPTS, "{what}: {slow:?} s for {size} and four times as many");
}

/// Lets the allocator keep what was freed: large blocks would cost a page fault for each page, and small ones would not.
fn keep_memory() {
    for (setting, value) in
        [(libc::M_MMAP_MAX, 0), (libc::M_TRIM_THRESHOLD, i32::MAX), (libc::M_ARENA_MAX, 1)]
    {
        // SAFETY: a setting of the C library, and a value that it may have.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// The processor time in seconds that this thread takes for `work`.
fn time(work: impl FnOnce()) -> f64 {
    let start = thread_time();
    work();
    (thread_time() - start).as_secs_f64()
}

/// The check detects work that is quadratic in its input, and heap that is too large.
#[test]
fn too_much_is_found() {
    let square = |n: &usize| {
        let sum = (0..n * n).fold(0_usize, |sum, i| std::hint::black_box(sum ^ i));
        std::hint::black_box(sum);
    };
    let quadratic = std::panic::catch_unwind(|| check("a square", 4000, |size| (size, size), square));
    assert!(quadratic.is_err());
    let large = |n: &usize| drop(std::hint::black_box(vec![1_u8; HEAP + (HEAP_PER_BYTE + 1) * n]));
    assert!(std::panic::catch_unwind(|| check("a large vector", 1000, |size| (size, size), large)).is_err());
}
