//! Trains networks on CPU clusters: MPI ranks exchange TernGrad gradients packed to 2 bits and leave an HDF5 checkpoint.
//!
//! Layers, an arrow only ever downward: [`cli`], then [`mod@predict`], then [`mod@bench`], then [`train`], then [`landscape`], then [`compress`], [`smoothout`], [`optim`], [`data`], [`checkpoint`]
//! and [`report`] (which do not know each other), then [`models`] and [`nn`], then [`tensor`], then [`job`], [`error`] and [`rng`], and
//! [`io`], which opens files, below them all.
//! `train`, `bench` which times it and `predict` which plays it alone exchange anything between ranks, through the crate
//! `ternflock-collectives`.

// Links OpenBLAS in; nothing else mentions it.
use blas_src as _;

pub mod bench;
pub mod checkpoint;
pub mod cli;
pub mod compress;
pub mod data;
pub mod error;
pub mod io;
pub mod job;
pub mod landscape;
pub mod models;
pub mod nn;
pub mod optim;
pub mod predict;
pub mod report;
pub mod rng;
pub mod smoothout;
pub mod tensor;
pub mod train;
