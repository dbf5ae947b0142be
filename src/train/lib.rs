//! Training over ranks: the step as named phases, the run around it, and what survives a restart.
//!
//! The order of one step (docs/algorithms.md):
//! 1. *compute*: draw this rank's part of the global batch, forward, loss, backward, a micro-batch at a time, each at weights
//!    that SmoothOut's noise has moved if the job asks for it;
//! 2. *average*: clip, agree on scales, round to ternary, sum over ranks, decode (`exchange/`), part by part while 1. is
//!    still at work on the rest;
//! 3. *update*: on the weights without noise, penalties and forces, weight decay, momentum, learning rate, on values that are equal on every rank.
//!
//! Besides `bench` and `predict`, this crate alone exchanges anything: through [`Exchange`] and [`World`](ternflock_world::World).

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

mod batch;
mod carried;
mod compute;
mod construct;
mod data_sizes;
mod end;
mod evaluate;
mod exchange;
mod find_run;
mod hash;
mod objective;
mod own_job;
mod placement;
mod resume;
mod room;
mod run;
mod run_dir;
mod run_record;
mod smaller;
mod stages;
mod start;
mod state;
mod statistics;
mod stretch;
mod surgery;
mod trained_on;
mod trainer;
mod verdict;

pub use construct::{
    TEST, VALIDATION, build_graph, load, load_again, logits, open_feeds, open_test_set, open_training_set,
    open_validation_set,
};
pub use end::End;
pub use evaluate::{EVALUATION_BATCH, Evaluator, evaluate};
pub use exchange::{Agreed, Exchange, GradientSink, agreed_words, method, overlaps};
pub use find_run::run_of_job;
pub use hash::hash_values;
pub use objective::Objective;
pub use own_job::{load_to_resume, patience};
pub use placement::{Placement, place};
pub use room::most_on_a_node;
pub use run::{Options, run};
pub use run_dir::RunDir;
pub use smaller::smaller;
pub use start::prepare;
pub use state::{restore_network, restore_parameters};
pub use trained_on::{check_split, difference};
pub use trainer::Trainer;
