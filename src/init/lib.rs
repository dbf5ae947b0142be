//! A first job for data that a path holds: which kind of data it is, what is learnt, and a small network that trains as it is.
//!
//! 1. [`look`] finds out what a path holds: one file per kind, each of which makes a [`Proposal`] (`[data]` and `[task]`).
//! 2. The caller opens the data of [`Proposal::stand_in`], a job with any network, and describes them.
//! 3. [`write()`] makes the job: the network follows from the shape of a sample, and the length of the run from the number of
//!    samples and the cost of the network.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod arrays;
mod axes;
mod choice;
mod columns;
mod folder;
mod job;
mod kind;
mod layers;
mod length;
mod proposal;
mod request;
mod setting;
mod table;
mod targets;
mod text;
mod training;

pub use job::{Draft, Facts, write};
pub use proposal::Proposal;
pub use request::Request;

use kind::Kind;
use ternflock_base::error::Result;

/// Finds out what `request` names, and proposes how to read it.
///
/// # Errors
/// If it is no data that jobs can read, or if it is unclear what is to be learnt. The message says what to do.
pub fn look(request: &Request) -> Result<Proposal> {
    let kind = Kind::find(request.path)?;
    request.check_options(kind)?;
    match kind {
        Kind::Folder => folder::propose(request),
        Kind::Table => table::propose(request),
        Kind::Npy => arrays::propose_npy(request),
        Kind::Npz => arrays::propose_container(request, "npz"),
        Kind::Hdf5 => arrays::propose_container(request, "hdf5"),
        Kind::Text => text::propose(request),
    }
}
