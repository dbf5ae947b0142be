//! The all-reduces that can be measured.

use ternflock_collectives::all_reduce::{Algorithm, Coding};
use ternflock_train::method::float32::Float32;
use ternflock_train::method::{Averaging, Method};

/// A way to average a vector over the ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Contender {
    /// One of the averaging methods.
    Ours(Averaging),
    /// One of them with an all-reduce whose messages are all coded.
    Coded(Averaging),
    /// The MPI library's own all-reduce of float32.
    MpiAllreduceF32,
}

impl Contender {
    /// All contenders.
    pub fn all() -> Vec<Contender> {
        let ours = Averaging::all().into_iter();
        let coded = ours.clone().filter(|averaging| !averaging.method.algorithms().is_empty());
        let all = ours.map(Contender::Ours).chain(coded.map(Contender::Coded));
        all.chain([Contender::MpiAllreduceF32]).collect()
    }

    /// The contender of this name.
    pub fn from_name(name: &str) -> Option<Contender> {
        Contender::all().into_iter().find(|contender| contender.name() == name)
    }

    /// The name in reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Ours(averaging) => averaging.name(),
            Contender::Coded(averaging) => match averaging.algorithm {
                Algorithm::RingTernary => "ring_ternary_coded",
                Algorithm::GatherTernary => "gather_ternary_coded",
                Algorithm::DirectTernary => "direct_ternary_coded",
                Algorithm::HalvingTernary => "halving_ternary_coded",
                Algorithm::HierarchicalTernary => "hierarchical_ternary_coded",
            },
            Contender::MpiAllreduceF32 => "mpi_allreduce_f32",
        }
    }

    /// The averaging method and its all-reduce, unless it is the MPI library's.
    pub fn ours(self) -> Option<Averaging> {
        match self {
            Contender::Ours(averaging) | Contender::Coded(averaging) => Some(averaging),
            Contender::MpiAllreduceF32 => None,
        }
    }

    /// The messages that are coded.
    pub fn coding(self) -> Coding {
        if matches!(self, Contender::Coded(_)) { Coding::Always } else { Coding::Never }
    }

    /// The method whose definition its mean must satisfy.
    pub fn method(self) -> &'static dyn Method {
        match self {
            Contender::Ours(averaging) | Contender::Coded(averaging) => averaging.method,
            Contender::MpiAllreduceF32 => &Float32,
        }
    }

    /// Its method if that compresses: encoding and decoding are then timed too.
    pub fn compressor(self) -> Option<&'static dyn Method> {
        Some(self.method()).filter(|method| !method.is_lossless())
    }
}
