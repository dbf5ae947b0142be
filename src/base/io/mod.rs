//! The only module that opens, reads and writes files. Its functions do not block forever, take bounded memory, and do not
//! write through symbolic links.
//!
//! - `regular` and `input`: files that a user has named, for reading; each is opened once
//! - `lines`: the lines of an arbitrary file
//! - `system`: files below `/proc` and `/sys`
//! - `partial`, `output` and `directory`: files that this program writes, complete or absent
//! - `memory`: files in memory
//! - `aside`: moves entries out of the way of a file to be written
//! - `lock`: locks against other processes
//!
//! Opening a FIFO blocks until a process writes to it, and a device may have no end. A path is therefore opened without
//! blocking, and the type of the open file is checked. A check of the path could refer to another file by then. A stream is
//! read only if the user names it by the path of a descriptor of this process, such as `/dev/stdin` or the path that a
//! shell substitutes for `<(command)`.
//!
//! `clippy.toml` disallows the file functions of the standard library in all other modules.
#![allow(clippy::disallowed_methods, reason = "this is the place for them")]

mod aside;
mod directory;
mod input;
mod lines;
mod lock;
mod memory;
mod output;
mod partial;
mod regular;
mod system;

pub use aside::{move_aside, not_a_file};
pub use directory::create_directories;
pub use directory::parent;
pub use input::{Input, open_input, read_input, stop_waiting_when};
pub use lines::whole_lines;
pub use lock::{Lock, lock};
pub use memory::memory_file;
pub use output::{create_file, create_log, create_new, open_append, rename, write_output};
pub use partial::{Partial, remove_partials, replace};
pub use regular::{open_regular, read_bytes, read_start, read_text};
pub use system::read_system;
