//! Training over ranks: the step as named phases, the run around it, and what survives a restart.
//!
//! The order of one step (docs/algorithms.md):
//! 1. *compute*: draw this rank's part of the global batch; run forward, loss and backward, one micro-batch
//!    at a time, each at weights perturbed by SmoothOut if the job asks for it;
//! 2. *average*: clip, agree on scales, round to ternary, sum over ranks, decode (`exchange/`), part by part
//!    while 1. is still working on the rest;
//! 3. *update*: apply penalties and forces, weight decay, momentum and learning rate to the unperturbed
//!    weights, on values that are equal on every rank.
//!
//! Apart from `bench` and `forecast`, only this crate communicates: through [`Exchange`] and
//! [`World`](ternflock_world::World).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod exchange;
mod run;
mod setup;
mod state;
mod step;

pub use exchange::method::Bytes;
pub use exchange::{
    Agreed, Exchange, GradientSink, agreed_words, compressed, has_row_scales, has_sparse_rows, method,
    overlaps, rows_read,
};
pub use run::allocation_deadline::AllocationDeadline;
pub use run::entry::{Options, run};
pub use setup::construct::{build_graph, load, load_again, outputs};
pub use setup::dry_run::{DryRun, ExchangePlan, dry_run};
pub use setup::feeds::{
    Remembered, TEST, VALIDATION, open_feeds, open_test_set, open_training_set, open_validation_set,
};
pub use setup::placement::{Placement, place};
pub use setup::room::most_on_a_node;
pub use setup::simulate::simulate;
pub use setup::start::prepare;
pub use state::compress_snapshot::compress_snapshot;
pub use state::find_run::run_of_job;
pub use state::hash::hash_values;
pub use state::own_job::{load_to_resume, patience};
pub use state::restore::{restore_network, restore_parameters};
pub use state::run_dir::RunDir;
pub use state::snapshot::Gathered;
pub use state::trained_on::{check_split, difference};
pub use step::evaluate::{EVALUATION_BATCH, Evaluator, evaluate};
pub use step::objective::Objective;
pub use step::registered_loss::register_loss;
pub use step::trainer::{Rhythm, Trainer, moves_unread_rows, precision};
