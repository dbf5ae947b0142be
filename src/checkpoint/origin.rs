//! The program version that wrote a checkpoint, and the time.

use std::time::SystemTime;

use ternflock_base::clock::rfc3339;

/// The program version that wrote a checkpoint, and the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The version of the program.
    pub program_version: String,
    /// The time in RFC 3339, UTC, to the second.
    pub created: String,
}

impl Origin {
    /// This program, now.
    pub fn now() -> Self {
        Origin { program_version: env!("CARGO_PKG_VERSION").into(), created: rfc3339(SystemTime::now()) }
    }
}
