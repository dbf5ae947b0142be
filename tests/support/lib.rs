//! Code shared by several integration tests: running the program ([`program`]), ranks as threads ([`ranks`]),
//! runs of the shipped digits job ([`digits`]), and measuring memory ([`counting`]) and processor time
//! ([`clock`]).

#![allow(clippy::disallowed_methods, reason = "tests open files as they like")]

pub mod clock;
pub mod counting;
pub mod digits;
pub mod files;
pub mod program;
pub mod ranks;
