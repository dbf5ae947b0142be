//! How products of a [`Precision`] are computed on this machine, in words.

use super::bf16::Precision;
use super::isa::Isa;

impl Precision {
    /// Both of them.
    pub const ALL: [Precision; 2] = [Precision::Float32, Precision::Bf16];

    /// The name in job files and on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Bf16 => "bf16",
        }
    }

    /// The arithmetic of its products with the instructions in use, as checkpoints record it.
    pub fn arithmetic(self) -> &'static str {
        match self {
            Precision::Float32 => "float32",
            Precision::Bf16 => match Isa::in_use() {
                Isa::AmxBf16 => "bf16 by AMX",
                Isa::Avx512Bf16 => "bf16 by AVX512_BF16",
                Isa::Scalar | Isa::Neon | Isa::Avx2 | Isa::Avx512 => "bf16 by float32 arithmetic",
            },
        }
    }

    /// The same for a user, who may expect bf16 to be faster.
    pub fn described(self) -> &'static str {
        match self {
            Precision::Float32 => "float32 products",
            Precision::Bf16 => match Isa::in_use() {
                Isa::AmxBf16 => "bf16 products (AMX)",
                Isa::Avx512Bf16 => "bf16 products (AVX512_BF16)",
                Isa::Scalar | Isa::Neon | Isa::Avx2 | Isa::Avx512 => {
                    "bf16 products by float32 arithmetic on rounded operands, no faster than float32"
                }
            },
        }
    }
}
