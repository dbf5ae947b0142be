//! The instruction set of the kernels of this process: the best of this machine, or the one that the user asks
//! for. It is decided once, before the first kernel runs, because layers fit their buffers to it.
//!
//! BLAS has its own kernels and its own setting (`OPENBLAS_CORETYPE`), and so does the gradient codec, whose
//! results are the same with all instructions.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(test)]
mod tests;

use std::sync::OnceLock;

use pulp::Arch;

use ternflock_base::error::{Error, Result};

/// An instruction set, from the least to the most capable on each kind of machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// One number at a time in our own kernels; other loops have what every machine of this kind has.
    Scalar,
    /// 128 bits: NEON of ARM.
    Neon,
    /// 256 bits: AVX2 with fused multiply-add.
    Avx2,
    /// 512 bits: AVX-512 F, BW, CD, DQ and VL.
    Avx512,
    /// These, and products of bf16: AVX512_BF16.
    Avx512Bf16,
    /// All of these, and bf16 tile products: AMX_TILE and AMX_BF16.
    AmxBf16,
}

/// The decision, in the form that kernels need.
#[derive(Clone, Copy)]
struct Decision {
    isa: Isa,
    arch: Arch,
}

static DECISION: OnceLock<Decision> = OnceLock::new();

impl Isa {
    /// All of them, the least capable first.
    pub const ALL: [Isa; 6] = [Isa::Scalar, Isa::Neon, Isa::Avx2, Isa::Avx512, Isa::Avx512Bf16, Isa::AmxBf16];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Neon => "neon",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
            Isa::Avx512Bf16 => "avx512-bf16",
            Isa::AmxBf16 => "amx-bf16",
        }
    }

    /// The set with this name, whether this machine has it or not.
    pub fn named(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// The sets that this processor has and this system allows, the most capable last. There is always at least one.
    pub fn available() -> impl DoubleEndedIterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.arch().is_some())
    }

    /// The fastest available set.
    fn best() -> Option<Isa> {
        Isa::available().rfind(|isa| isa.is_worthwhile())
    }

    /// Whether this processor is faster with this set than with the previous one.
    ///
    /// On an Intel Emerald Rapids, products of pairs (`vdpbf16ps`) are slower than float32 multiply-adds
    /// (docs/results.md), which compute the same bits. We assume the same of Intel's other processors.
    fn is_worthwhile(self) -> bool {
        self != Isa::Avx512Bf16 || !is_intel()
    }

    /// The set that the kernels of this process use.
    pub fn in_use() -> Isa {
        decision().isa
    }

    /// Whether this set includes AVX-512 F, BW, CD, DQ and VL.
    pub const fn has_avx512(self) -> bool {
        matches!(self, Isa::Avx512 | Isa::Avx512Bf16 | Isa::AmxBf16)
    }

    /// Whether this set includes AVX512_BF16.
    pub const fn has_avx512_bf16(self) -> bool {
        matches!(self, Isa::Avx512Bf16 | Isa::AmxBf16)
    }

    /// Whether this set includes AMX_TILE and AMX_BF16.
    pub const fn has_amx_bf16(self) -> bool {
        matches!(self, Isa::AmxBf16)
    }

    /// What `pulp` compiles kernels for; `None` if this machine does not have these instructions.
    fn arch(self) -> Option<Arch> {
        match self {
            Isa::Scalar => Some(Arch::Scalar),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => pulp::aarch64::Neon::try_new().map(Arch::Neon),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => pulp::x86::V3::try_new().map(Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => pulp::x86::V4::try_new().map(Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Bf16 => Isa::Avx512.arch().filter(|_| is_x86_feature_detected!("avx512bf16")),
            #[cfg(target_arch = "x86_64")]
            Isa::AmxBf16 => Isa::Avx512Bf16.arch().filter(|_| amx::is_allowed()),
            #[allow(unreachable_patterns, reason = "other kinds of machines lack the rest")]
            _ => None,
        }
    }
}

/// Whether this is an Intel processor.
fn is_intel() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: every x86-64 processor has CPUID.
        #[allow(unused_unsafe, reason = "the function is unsafe in the oldest supported Rust only")]
        let vendor = unsafe { std::arch::x86_64::__cpuid(0) };
        [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes).as_flattened() == b"GenuineIntel"
    }
    #[cfg(not(target_arch = "x86_64"))]
    false
}

/// Makes all kernels of this process use `isa` instead of the best instruction set of this machine.
///
/// # Errors
/// [`Error::Usage`] if this machine does not have `isa`, or if kernels already use another set.
pub fn set_isa(isa: Isa) -> Result<()> {
    let arch = isa.arch().ok_or_else(|| {
        let names: Vec<String> = Isa::available().map(|isa| format!("`{}`", isa.name())).collect();
        Error::Usage(format!(
            "this processor does not have the instruction set `{}`; it has {}",
            isa.name(),
            names.join(", ")
        ))
    })?;
    match DECISION.get_or_init(|| Decision { isa, arch }).isa {
        used if used == isa => Ok(()),
        used => Err(Error::Usage(format!(
            "the instruction set `{}` was chosen after kernels had already used `{}`",
            isa.name(),
            used.name()
        ))),
    }
}

/// What [`super::vectorise`] compiles for.
#[inline(always)]
pub(super) fn arch() -> Arch {
    decision().arch
}

#[inline(always)]
fn decision() -> Decision {
    *DECISION.get_or_init(decide)
}

#[cold]
fn decide() -> Decision {
    #[cfg(test)]
    if let Some(decision) = tests::asked() {
        return decision;
    }
    let best = Isa::best().and_then(|isa| Some(Decision { isa, arch: isa.arch()? }));
    best.unwrap_or(Decision { isa: Isa::Scalar, arch: Arch::Scalar })
}
