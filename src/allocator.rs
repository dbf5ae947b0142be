//! The allocator of the program: large allocations start at a cache line.
//!
//! The C library returns large allocations 16 bytes after the start of a page. A vector of 64 bytes then
//! spans two cache lines at every load and store, which costs up to a sixth of the time of loops that are
//! limited by memory, such as batch normalisation and the update.

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr::null_mut;

/// A cache line, and the largest vector of any processor.
const LINE: usize = 64;

/// Allocations from this size on are aligned. Smaller ones would waste too much memory.
const LARGE: usize = 4096;

/// [`System`], with large allocations aligned to cache lines.
pub struct CacheLines;

/// The request to [`System`] for a large allocation: a line more, so that a line starts within the first 64
/// bytes. `None` for allocations that [`System`] serves as they are.
fn enlarged(layout: Layout) -> Option<Layout> {
    let is_ours = layout.size() >= LARGE && layout.align() < LINE;
    // System aligns to 16 on 64-bit machines. So at least 16 bytes before the line are free.
    is_ours.then(|| Layout::from_size_align(layout.size().checked_add(LINE)?, 16).ok()).flatten()
}

/// The first line after `start`, with its distance from `start` stored in front of it.
///
/// # Safety
/// `start` is null, or begins at least [`LINE`] writable bytes and is a multiple of 16.
unsafe fn line_after(start: *mut u8) -> *mut u8 {
    if start.is_null() {
        return null_mut();
    }
    let distance = LINE - start.addr() % LINE;
    // SAFETY: the distance is 16, 32, 48 or 64, so the line is within the allocation or at most at its end,
    // and there is room for a number in front of it.
    unsafe {
        let line = start.add(distance);
        line.cast::<usize>().sub(1).write(distance);
        line
    }
}

/// The `start` that was given to [`line_after`].
///
/// # Safety
/// `line` is a result of [`line_after`] whose allocation is still alive.
unsafe fn start_before(line: *mut u8) -> *mut u8 {
    // SAFETY: the distance is stored in front of the line.
    unsafe { line.sub(line.cast::<usize>().sub(1).read()) }
}

// SAFETY: whether an allocation is enlarged depends on its layout alone, and callers pass the same layout when
// they free it. An enlarged allocation has room for its size after the line.
unsafe impl GlobalAlloc for CacheLines {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe {
            match enlarged(layout) {
                Some(enlarged) => line_after(System.alloc(enlarged)),
                None => System.alloc(layout),
            }
        }
    }

    /// Fresh pages are zero already; `System` does not touch them, and neither does this.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as the caller's.
        unsafe {
            match enlarged(layout) {
                Some(enlarged) => line_after(System.alloc_zeroed(enlarged)),
                None => System.alloc_zeroed(layout),
            }
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe {
            match enlarged(layout) {
                Some(enlarged) => System.dealloc(start_before(memory), enlarged),
                None => System.dealloc(memory, layout),
            }
        }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller guarantees that `size` is valid for this alignment.
        unsafe {
            let new_layout = Layout::from_size_align_unchecked(size, layout.align());
            if enlarged(layout).is_none() && enlarged(new_layout).is_none() {
                return System.realloc(memory, layout, size);
            }
            let moved = self.alloc(new_layout);
            if !moved.is_null() {
                moved.copy_from_nonoverlapping(memory, layout.size().min(size));
                self.dealloc(memory, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn allocations_of_any_size_are_aligned_zero_and_survive_a_change_of_size() {
        for size in [1, 100, LARGE - 1, LARGE, LARGE + 1, 100_000, 10_000_000] {
            for align in [1, 4, 16, 64, 4096] {
                for new_size in [1, LARGE - 1, LARGE, 1_000_000] {
                    let layout = Layout::from_size_align(size, align).unwrap();
                    // SAFETY: the layouts have sizes above 0, and each allocation is freed once with its own.
                    unsafe {
                        let memory = CacheLines.alloc_zeroed(layout);
                        let expected = if size >= LARGE { align.max(LINE) } else { align };
                        assert_eq!(memory.addr() % expected, 0, "{size} {align}");
                        let bytes = std::slice::from_raw_parts_mut(memory, size);
                        assert!(bytes.iter().all(|&byte| byte == 0), "{size} {align}");
                        bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
                        let memory = CacheLines.realloc(memory, layout, new_size);
                        let expected = if new_size >= LARGE { align.max(LINE) } else { align };
                        assert_eq!(memory.addr() % expected, 0, "{new_size} {align}");
                        let kept = std::slice::from_raw_parts(memory, size.min(new_size));
                        assert!(kept.iter().enumerate().all(|(at, &byte)| byte == (at % 251) as u8));
                        CacheLines.dealloc(memory, Layout::from_size_align(new_size, align).unwrap());
                    }
                }
            }
        }
    }

    #[test]
    fn memory_that_the_system_refuses_is_null() {
        let layout = Layout::from_size_align(isize::MAX as usize - 4096, 8).unwrap();
        // SAFETY: the layout has a size above 0, and nothing is allocated.
        unsafe {
            assert!(CacheLines.alloc(layout).is_null());
            assert!(CacheLines.alloc_zeroed(layout).is_null());
        }
    }
}
