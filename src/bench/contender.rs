//! What can be measured.

use ternflock_collectives::all_reduce::Algorithm;

/// A way to average a vector over ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// As ternaries: scales, encode, all-reduce, decode.
    Ternary(Algorithm),
    /// As float32 around our ring.
    RingF32,
    /// As float32 by the MPI library's own all-reduce.
    MpiAllreduceF32,
}

impl Contender {
    /// All of them.
    pub fn all() -> Vec<Contender> {
        let ternary = Algorithm::ALL.into_iter().map(Contender::Ternary);
        ternary.chain([Contender::RingF32, Contender::MpiAllreduceF32]).collect()
    }

    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Ternary(algorithm) => algorithm.name(),
            Contender::RingF32 => "ring_f32",
            Contender::MpiAllreduceF32 => "mpi_allreduce_f32",
        }
    }
}
