//! Collectives for 2-bit gradients between the ranks of a cluster job: mean gradients with TernGrad over exact integer
//! all-reduces, on MPI ranks or on threads.
//!
//! Each rank rounds its gradients to -1, 0 or 1 times a scale that all ranks share. Sums of such ternaries are integers, so
//! they are exact in any order, and all ranks end with the same bits. They travel as bit planes: 2 bits per element for one
//! rank, [`planes::width`]`(k)` bits for a sum over `k` ranks.
//!
//! [`Averager::mean`](average::Averager::mean) does all of it in one call per training step. Three ranks as threads:
//!
//! ```
//! use std::time::Duration;
//! use ternflock_collectives::average::{Averager, Options};
//! use ternflock_collectives::transport::threads;
//!
//! let ranks = threads::world(3, Duration::from_secs(60));
//! let means = std::thread::scope(|scope| {
//!     let running: Vec<_> = ranks.into_iter().map(|mut rank| scope.spawn(move || {
//!         let mut averager = Averager::new(&mut rank, &[5000], Options::default())?;
//!         let mut gradient: Vec<f32> = (0..5000).map(|i| (i * (averager.rank() + 1)) as f32 % 7.0 - 3.0).collect();
//!         averager.mean(&mut rank, 0, &mut [&mut gradient])?;
//!         Ok(gradient)
//!     })).collect();
//!     running.into_iter().map(|rank| rank.join().unwrap()).collect::<ternflock_collectives::Result<Vec<_>>>()
//! })?;
//! assert!(means[0] == means[1] && means[1] == means[2]);
//! # Ok::<(), ternflock_collectives::Error>(())
//! ```
//!
//! # Modules
//!
//! | module | contents |
//! |---|---|
//! | [`average`] | the mean of gradients over all ranks, in one call per step |
//! | [`transport`] | how messages travel: the trait, MPI ranks, threads as ranks, a meter, a watch over late ranks |
//! | [`codec`] | gradients to ternaries, and sums of ternaries back to gradients |
//! | [`all_reduce`] | sums over all ranks: exact ones of ternaries, and of float32 |
//! | [`control`] | maximum, all-gather, broadcast, barrier and agreement for a few words |
//! | [`planes`] | the layout of bit-sliced integers |
//! | [`coding`] | lossless coding of planes |
//! | [`kernels`] | the inner loops: encode, add and decode for each instruction set |
//! | [`random`] | counter-based random numbers |
//! | [`topology`] | which ranks share a node |
//! | [`cost`] | the predicted time of an exchange, from a short measurement |
//! | [`simulated`] | the collectives on a virtual clock, between ranks and on links that need not exist |
//!
//! # Features
//!
//! The feature `mpi` adds `transport::mpi`, whose ranks are those of an MPI job. It needs an MPI library with its compiler
//! wrapper `mpicc`, and libclang. It is off by default, so the crate builds on a machine without MPI.
//!
//! # Terms
//!
//! - **world**: the processes (or threads) that work together, `P` of them in formulas; **rank**: one of them, and its
//!   number, `0..P`.
//! - **word**: a `u64`, the unit of every message. Lengths of messages and payloads are in words unless stated otherwise.
//! - **plane**: one bit of each of 512 elements, 8 words. Plane `p` holds bit `p` of the two's complement.
//! - **block**: 512 elements, the unit in which a payload of planes is cut.
//! - **width**: the number of planes of a block: 2 for a ternary, [`planes::width`]`(k)` for the sum over `k` ranks.
//! - **chunk**: one of the `P` nearly equal parts of a payload ([`all_reduce::cut::chunk`]);
//!   **segment**: the part of a chunk that is one message.
//! - **hop**: one message to the next rank of a ring together with one from the previous rank.
//! - **lane**: one of a few streams of messages between two ranks. Order is kept within a lane.
//!
//! Next to each algorithm, a function predicts its traffic to the byte; the tests compare it with a meter.
//! `docs/algorithms.md` in the repository explains steps and bytes.

pub mod all_reduce;
pub mod average;
pub mod codec;
pub mod coding;
pub mod control;
pub mod cost;
pub mod error;
pub mod kernels;
pub mod planes;
pub mod random;
pub mod simulated;
pub mod topology;
pub mod transport;

pub use error::{Error, Result};
pub use transport::Transport;

/// The example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
