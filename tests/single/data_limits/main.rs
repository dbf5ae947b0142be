//! Hostile data files: memory stays within 16 times the size of the files and 64 MB, and time grows with their size. The
//! allocator of this binary counts.
#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

mod heap;
mod images;
mod made;
mod texts;

/// One test, so that nothing else takes memory meanwhile.
#[test]
fn readers_keep_to_the_size_of_their_files() {
    images::stay_in_bounds();
    texts::stay_in_bounds();
}
