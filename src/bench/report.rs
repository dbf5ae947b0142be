//! The report on all-reduces. External scripts rely on the keys.

use serde::Serialize;

use super::Interference;

/// The report.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Ranks.
    pub ranks: usize,
    /// Nodes that the ranks run on.
    pub hosts: usize,
    /// The MPI library.
    pub mpi: String,
    /// Interference from other work while it was timed.
    pub interference: Interference,
    /// One line per size and contender.
    pub cases: Vec<Case>,
}

/// One contender on vectors of one size. Times are those of the slowest rank in each round.
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
    /// The 99th percentile by nearest rank. With fewer than 100 rounds, it is the slowest round.
    pub p99_s: f64,
    /// Bytes sent by the rank that sends most, counted. `None` for the MPI library, whose messages cannot be
    /// counted.
    pub bytes_sent_per_rank: Option<u64>,
    /// Bytes received by the rank that receives most, counted.
    pub bytes_received_per_rank: Option<u64>,
    /// Bytes sent by the rank that sends most, according to the formulas of docs/algorithms.md.
    pub formula_bytes_per_rank: Option<u64>,
    /// The bytes of the vector as float32, divided by the median time.
    pub effective_bytes_per_s: f64,
    /// Copying the float32 vector on all ranks at once: the median, in seconds.
    pub memcpy_s: f64,
    /// Moments, encode and decode alone, on all ranks at once: the median over rounds of the slowest rank, in
    /// seconds; `None` for float32. The rest of the time of the all-reduce is the wire and the addition of
    /// planes.
    pub codec_s: Option<f64>,
    /// Whether all ranks had the correct result, before and after timing.
    pub verified: bool,
}
