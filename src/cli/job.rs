//! `ternflock job`.

use std::process::ExitCode;

use super::arguments::{Job, JobCommand};
use super::launcher::is_not_first;
use super::streams::print;

/// Describes job files to other programs.
pub fn main(arguments: &Job) -> ExitCode {
    if is_not_first() {
        return ExitCode::SUCCESS;
    }
    match arguments.command {
        JobCommand::Schema => print(&format!("{:#}\n", ternflock_job::schema())),
    }
}
