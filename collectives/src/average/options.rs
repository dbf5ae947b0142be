//! The options of averaging.

use crate::all_reduce::{Algorithm, Coding};
use crate::{Result, Transport, control};

/// The form in which gradients travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// As ternaries at 2 bits per element (TernGrad): unbiased, or with error feedback.
    Ternary,
    /// As float32 at 32 bits per element.
    Float32,
}

/// The options of an [`Averager`](super::Averager). They must be equal on all ranks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Options {
    /// The form in which gradients travel. The default is [`Method::Ternary`].
    pub method: Method,
    /// The all-reduce of ternaries. It affects the time of an exchange, but not the result. The default is
    /// the ring.
    pub algorithm: Algorithm,
    /// The messages of ternaries that are entropy-coded. It affects the time of an exchange, but not the result. The default is
    /// none.
    pub coding: Coding,
    /// Gradients are clipped at this number of standard deviations before they become ternary; 0 turns clipping off. The
    /// default is 2.5, as in the TernGrad paper.
    pub clip_sigma: f32,
    /// Tensors with fewer elements travel as float32. The default is 512: biases are short, and their precision costs little.
    pub min_elements: usize,
    /// Error feedback: whether to round to the nearest ternary and add the rounding error to the gradients of
    /// the next step. The default is off: rounding is then stochastic, and the mean is unbiased except for
    /// clipping.
    pub error_feedback: bool,
    /// The seed of stochastic rounding. The default is 0.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            method: Method::Ternary,
            algorithm: Algorithm::RingTernary,
            coding: Coding::Never,
            clip_sigma: 2.5,
            min_elements: 512,
            error_feedback: false,
            seed: 0,
        }
    }
}

impl Options {
    /// Whether a tensor with this number of elements becomes ternary.
    pub(super) fn is_ternary(&self, elements: usize) -> bool {
        self.method == Method::Ternary && elements >= self.min_elements
    }

    /// Checks that all ranks have these options and tensors with these numbers of elements.
    pub(super) fn agree(&self, transport: &mut dyn Transport, elements: &[usize]) -> Result<()> {
        let mut agree = |what: &str, value| control::agree(transport, what, value);
        agree("the number of tensors to average", elements.len() as u64)?;
        agree("the number of elements to average", elements.iter().sum::<usize>() as u64)?;
        agree("the hash of the sizes of the tensors to average", hash(elements.iter().map(|n| *n as u64)))?;
        let Options { method, algorithm, coding, clip_sigma, min_elements, error_feedback, seed } = *self;
        let (clip_sigma, min_elements) = (u64::from(clip_sigma.to_bits()), min_elements as u64);
        let options = [
            method as u64,
            algorithm as u64,
            coding as u64,
            clip_sigma,
            min_elements,
            error_feedback.into(),
            seed,
        ];
        agree("the hash of the options of averaging", hash(options))
    }
}

/// The FNV-1a hash of `words`.
fn hash(words: impl IntoIterator<Item = u64>) -> u64 {
    const BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let bytes = words.into_iter().flat_map(u64::to_le_bytes);
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME))
}
