//! What measuring all-reduces gives. Scripts outside rely on the keys.

use serde::Serialize;

use super::Interference;

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Ranks.
    pub ranks: usize,
    /// Nodes they run on.
    pub hosts: usize,
    /// The MPI library.
    pub mpi: String,
    /// Interference from other work while it was timed.
    pub interference: Interference,
    /// A line a size and a contender.
    pub cases: Vec<Case>,
}

/// One way to average vectors of one size. Times are those of the slowest rank of each round.
#[derive(Clone, Debug, Serialize)]
pub struct Case {
    /// The contender's name.
    pub algorithm: &'static str,
    /// Elements of the vector.
    pub elements: usize,
    /// Timed rounds.
    pub rounds: usize,
    /// The fastest round, in seconds.
    pub min_s: f64,
    /// The median.
    pub p50_s: f64,
    /// The 99th percentile by nearest rank: with fewer than 100 rounds the slowest.
    pub p99_s: f64,
    /// What the rank that sends most sends, counted; none for the library's, which are not ours to count.
    pub bytes_sent_per_rank: Option<u64>,
    /// What the rank that receives most receives, counted.
    pub bytes_received_per_rank: Option<u64>,
    /// What the rank that sends most sends by the formulas of docs/algorithms.md.
    pub formula_bytes_per_rank: Option<u64>,
    /// Bytes of the vector as float32, by the median.
    pub effective_bytes_per_s: f64,
    /// Copying the vector of float32, on all ranks at a time: the median, in seconds.
    pub memcpy_s: f64,
    /// Moments, encode and decode alone, on all ranks at a time: the median of the rounds, each of its slowest rank, in
    /// seconds; none for float32. What the all-reduce takes besides is the wire, and the addition of planes.
    pub codec_s: Option<f64>,
    /// Whether all ranks held the right result, before and after timing.
    pub verified: bool,
}
