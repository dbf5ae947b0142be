//! How a network runs: decided by the caller when it is built, and not part of its structure.

use ternflock_tensor::bf16::Precision;

/// The largest batch of a network, and the precision of its products. Buffers depend on both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Execution {
    /// The largest batch, in samples.
    pub batch: usize,
    /// The number format of the operands of matrix products and convolutions.
    pub precision: Precision,
}

impl Execution {
    /// Batches of up to `batch` samples in float32.
    pub const fn float32(batch: usize) -> Execution {
        Execution { batch, precision: Precision::Float32 }
    }
}
