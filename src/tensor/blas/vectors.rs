//! The vector width of a processor, and of the kernels of OpenBLAS.

use std::fmt;

/// Vector instructions of x86-64, from the narrowest to the widest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Vectors {
    /// 128 bits: SSE2, SSE3 and similar.
    Sse,
    /// 256 bits: AVX.
    Avx,
    /// 256 bits: AVX2 with fused multiply-add.
    Fma,
    /// 512 bits: AVX-512 F, CD, BW, DQ and VL, as in Skylake server processors.
    Avx512,
}

/// Core types of OpenBLAS, in capitals, by the vectors that their kernels use. OpenBLAS has no separate kernels for
/// most newer processors; it uses these for them.
const CORE_TYPES: [(Vectors, &[&str]); 4] = [
    (Vectors::Avx512, &["SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"]),
    (Vectors::Fma, &["HASWELL", "ZEN", "EXCAVATOR"]),
    // AMD's also have a fused multiply-add, but none of them has AVX2.
    (Vectors::Avx, &["SANDYBRIDGE", "BULLDOZER", "PILEDRIVER", "STEAMROLLER"]),
    (
        Vectors::Sse,
        &[
            "PRESCOTT",
            "CORE2",
            "PENRYN",
            "DUNNINGTON",
            "NEHALEM",
            "ATOM",
            "NANO",
            "OPTERON",
            "OPTERON_SSE3",
            "BARCELONA",
            "BOBCAT",
            "ATHLON",
            "KATMAI",
            "COPPERMINE",
            "NORTHWOOD",
            "BANIAS",
        ],
    ),
];

impl Vectors {
    /// The widest that this processor has and the operating system allows; none where that is not known.
    #[cfg(target_arch = "x86_64")]
    pub(super) fn of_processor() -> Option<Vectors> {
        let skylake = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512cd")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        Some(match () {
            () if skylake => Vectors::Avx512,
            () if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") => Vectors::Fma,
            () if is_x86_feature_detected!("avx") => Vectors::Avx,
            () => Vectors::Sse,
        })
    }

    /// The widest that this processor has and the operating system allows; none where that is not known.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn of_processor() -> Option<Vectors> {
        None
    }

    /// The vectors that the OpenBLAS kernels `core_type` use; `None` for an unknown core type, such as one of a later
    /// OpenBLAS.
    pub(super) fn of_kernels(core_type: &str) -> Option<Vectors> {
        let core_type = core_type.to_ascii_uppercase();
        CORE_TYPES.iter().find_map(|(vectors, names)| names.contains(&&*core_type).then_some(*vectors))
    }

    /// The core type to request, in the spelling that every OpenBLAS since 0.3.0 knows.
    pub(super) fn core_type(self) -> &'static str {
        match self {
            Vectors::Sse => "Prescott",
            Vectors::Avx => "Sandybridge",
            Vectors::Fma => "Haswell",
            Vectors::Avx512 => "SkylakeX",
        }
    }
}

impl fmt::Display for Vectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Vectors::Sse => "SSE3",
            Vectors::Avx => "AVX",
            Vectors::Fma => "AVX2",
            Vectors::Avx512 => "AVX-512",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn core_types_are_known_by_either_spelling() {
        assert_eq!(Vectors::of_kernels("SkylakeX"), Some(Vectors::Avx512));
        assert_eq!(Vectors::of_kernels("SKYLAKEX"), Some(Vectors::Avx512));
        assert_eq!(Vectors::of_kernels("Zen"), Some(Vectors::Fma));
        assert_eq!(Vectors::of_kernels("Opteron_SSE3"), Some(Vectors::Sse));
        assert_eq!(Vectors::of_kernels("Of2031"), None);
    }

    #[test]
    fn what_is_asked_for_is_as_wide_as_wanted() {
        for vectors in [Vectors::Sse, Vectors::Avx, Vectors::Fma, Vectors::Avx512] {
            assert_eq!(Vectors::of_kernels(vectors.core_type()), Some(vectors));
        }
    }
}
