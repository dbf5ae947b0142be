//! Trains networks on CPU clusters: MPI ranks exchange TernGrad gradients packed to 2 bits and leave an HDF5 checkpoint.
//!
//! Layers, an arrow only ever downward: [`cli`], then [`mod@predict`], then [`mod@bench`], then [`train`], then [`landscape`], then [`compress`], [`smoothout`], [`optim`], [`data`], [`checkpoint`]
//! and [`report`] (which do not know each other), then [`models`] and [`nn`], then [`tensor`], then [`job`], [`error`], [`clock`], [`rng`], [`text`], `plot`, `cgroup` and `child`, and
//! [`io`], which opens files, below them all.
//! `train`, `bench` which times it and `predict` which plays it alone exchange anything between ranks, through the crate
//! `ternflock-collectives`.

#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "tests open files as they like"))]

// Links OpenBLAS in; nothing else mentions it.
use blas_src as _;

pub mod bench;
mod cgroup;
pub mod checkpoint;
mod child;
pub mod cli;
pub mod clock;
pub mod compress;
pub mod data;
pub mod error;
pub mod io;
pub mod job;
pub mod landscape;
pub mod models;
pub mod nn;
pub mod optim;
mod plot;
pub mod predict;
pub mod report;
pub mod rng;
pub mod smoothout;
pub mod tensor;
pub mod text;
pub mod train;
