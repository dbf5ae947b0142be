//! Trains networks on CPU clusters: MPI ranks exchange TernGrad gradients packed to 2 bits and leave an HDF5 checkpoint.
//!
//! Each module is a crate of its own. `CONTRIBUTING.md` has a picture of them: dependencies point downwards.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

pub use ternflock_base::{clock, error, io, rng, suggest, text};
pub use {
    ternflock_bench as bench, ternflock_checkpoint as checkpoint, ternflock_cli as cli,
    ternflock_compress as compress, ternflock_data as data, ternflock_export as export,
    ternflock_forecast as forecast, ternflock_init as init, ternflock_job as job,
    ternflock_landscape as landscape, ternflock_models as models, ternflock_nn as nn,
    ternflock_optim as optim, ternflock_predict as predict, ternflock_report as report,
    ternflock_smoothout as smoothout, ternflock_tensor as tensor, ternflock_train as train,
    ternflock_world as world,
};
