//! What several integration tests share: running the program ([`program`]), ranks as threads ([`ranks`]), runs of the
//! shipped digits job ([`digits`]), and how much memory ([`counting`]) and processor time ([`clock`]) a piece of work takes.

#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

pub mod clock;
pub mod counting;
pub mod digits;
pub mod files;
pub mod program;
pub mod ranks;
