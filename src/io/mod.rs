//! The one place where this program opens, reads and writes files. Nothing in it blocks for ever, takes unbounded memory or
//! follows a link to write.
//!
//! - `regular` and `input`: files that a user has named, for reading; each is opened once
//! - `lines`: lines of a file that may hold anything
//! - `system`: what the system says of itself below `/proc` and `/sys`
//! - `partial`, `output` and `directory`: files that this program writes, complete or absent
//! - `aside`: moves what is in the way
//! - `lock`: locks against other processes
//!
//! Opening a FIFO blocks until a process writes to it, and a device may have no end. A path is therefore opened without
//! blocking, and the check is made on the open file, not on the path, which may name another file by then. A stream is
//! read only if the user names one by the path of a descriptor of this process, such as `/dev/stdin` or the path that a
//! shell substitutes for `<(command)`.
//!
//! `clippy.toml` keeps the functions of the standard library that open files out of the other modules.
#![allow(clippy::disallowed_methods, reason = "this is the place for them")]

mod aside;
mod directory;
mod input;
mod lines;
mod lock;
mod output;
mod partial;
mod regular;
mod system;

pub use aside::{move_aside, not_a_file};
pub use directory::create_directories;
pub(crate) use directory::parent;
pub use input::{Input, open_input, read_input, stop_waiting_when};
pub use lines::whole_lines;
pub use lock::{Lock, lock};
pub use output::{create_file, create_log, create_new, open_append, rename, write_output};
pub use partial::{Partial, remove_partials, replace};
pub use regular::{open_regular, read_bytes, read_start, read_text};
pub use system::read_system;
