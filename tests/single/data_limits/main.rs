//! Hostile data files: memory stays within 16 times the size of the files plus 64 MB, and time is proportional to their
//! size. The allocator of this binary counts the memory.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod heap;
mod images;
mod made;
mod texts;

/// A single test, so that nothing else allocates at the same time.
#[test]
fn readers_keep_to_the_size_of_their_files() {
    images::stay_in_bounds();
    texts::stay_in_bounds();
}
