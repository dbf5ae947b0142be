//! A step allocates nothing: every buffer is sized when the network is built. The allocator of this binary counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use ternflock::bench::{Stepper, default_batch};
use ternflock::tensor::{set_threads, within};

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: the system's allocator does the work.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Allocations of three steps after two others.
fn allocations(model: &str, batch: usize) -> usize {
    let mut stepper = Stepper::new(model, batch).unwrap();
    // One entry into the pool: its queue makes room for 63 more every 63 entries, which is no part of a step.
    within(|| {
        let mut steps = |count: usize| (0..count).for_each(|_| assert!(stepper.step().is_finite()));
        steps(2);
        let before = ALLOCATIONS.load(Relaxed);
        steps(3);
        ALLOCATIONS.load(Relaxed) - before
    })
}

/// One test, so that nothing else runs in this process meanwhile.
#[test]
fn steps_allocate_nothing() {
    for threads in [1, 2] {
        set_threads(threads).unwrap();
        for model in ["lenet", "convnet", "resnet20", "lstm-small"] {
            for batch in [3, default_batch(model).unwrap()] {
                assert_eq!(allocations(model, batch), 0, "{model}, batch {batch}, {threads} threads");
            }
        }
    }
    let counted = ALLOCATIONS.load(Relaxed);
    drop(std::hint::black_box(vec![0; 10]));
    assert_eq!(ALLOCATIONS.load(Relaxed), counted + 1, "the allocator counts");
}
