//! Ranks and bytes: transports, the TernGrad codec on bit planes, and the all-reduces that carry it.
//!
//! This crate knows no tensors, layers, arrays or job files. Its vocabulary, used to the letter everywhere:
//!
//! - **world**: the number of processes (or threads) that work together, `P` in formulas; **rank**: which of them this
//!   one is, `0..P`.
//! - **word**: a `u64`, the unit of every message. Lengths of messages and payloads are in words unless said otherwise.
//! - **block**: 512 elements, the unit in which a payload of planes is cut.
//! - **lane**: one of a few streams of messages between two ranks; order is kept within a lane.
//! - **plane**: one bit of each element of a block, 8 words. Plane `p` holds bit `p` of the two's complement.
//! - **width**: the number of planes of a block: 2 for a ternary, [`planes::width`]`(k)` for the sum over `k` ranks.
//! - **chunk**: one of the `P` nearly equal parts a payload is cut into ([`all_reduce::cut::chunk`]);
//!   **segment**: the part of a chunk that is one message.
//! - **hop**: one message to the next rank of a ring together with one from the previous.
//!
//! | module | what is in it |
//! |---|---|
//! | [`transport`] | how messages travel: the trait, MPI ranks, threads as ranks, a meter, a watch over late ranks |
//! | [`philox`] | the counter-based generator |
//! | [`planes`] | layout of bit-sliced integers |
//! | [`kernels`] | the inner loops: encode, add, decode, for each instruction set |
//! | [`codec`] | gradients to ternaries and sums of ternaries back to gradients |
//! | [`topology`] | which ranks share a node |
//! | [`all_reduce`] | sums over all ranks: exact ones of ternaries, and of float32 |
//! | [`cost`] | how long an exchange will take, from a short measurement |
//! | [`simulated`] | all of these on a virtual clock, between ranks and on links that need not be there |
//! | [`control`] | maximum, all-gather, broadcast, barrier and agreement for a few words |
//!
//! Steps and bytes of each algorithm are in `docs/algorithms.md`; the `traffic` function beside an algorithm predicts
//! them to the byte and the tests hold it against the meter.

pub mod all_reduce;
pub mod average;
pub mod codec;
pub mod control;
pub mod cost;
pub mod error;
pub mod kernels;
pub mod philox;
pub mod planes;
pub mod simulated;
pub mod topology;
pub mod transport;

pub use error::{Error, Result};
pub use transport::Transport;
