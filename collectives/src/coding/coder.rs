//! The loops of the coder for one instruction set.

use super::frequencies::Counts;
use super::rans::{self, DecodeTable, EncodeTable, States};
use super::segment;
use super::symbols::{self, Symbols};

type FromPlanes = unsafe fn(&[u64], usize, &mut Symbols);
type ToPlanes = unsafe fn(&Symbols, usize, &mut [u64]);
type Encode = unsafe fn(&[u8], &EncodeTable, &mut States, &mut [u16], usize) -> Option<usize>;
type Decode = unsafe fn(&[u16], usize, &DecodeTable, &mut States, &mut [u8]) -> Option<usize>;

/// The loops of an instruction set that this machine supports: part of [`Kernels`](crate::kernels::Kernels), and like
/// them the same bits for every set.
pub(crate) struct Coder {
    pub(super) from_planes: FromPlanes,
    pub(super) to_planes: ToPlanes,
    pub(super) counts: unsafe fn(&[u64], usize) -> Counts,
    pub(super) encode: Encode,
    pub(super) decode: Decode,
}

/// The loops that define the results.
pub(crate) const PORTABLE: Coder = Coder {
    from_planes: symbols::from_planes,
    to_planes: symbols::to_planes,
    counts: |planes, width| segment::count(symbols::from_planes, planes, width),
    encode: rans::encode,
    decode: rans::decode,
};

// SAFETY of all calls below: a coder is reached only through the kernels of an instruction set that the machine has.
impl Coder {
    /// Writes the symbols of a block.
    pub(super) fn symbols(&self, block: &[u64], width: usize, symbols: &mut Symbols) {
        // SAFETY: see above.
        unsafe { (self.from_planes)(block, width, symbols) }
    }

    /// Writes the planes of a block.
    pub(super) fn planes(&self, symbols: &Symbols, width: usize, block: &mut [u64]) {
        // SAFETY: see above.
        unsafe { (self.to_planes)(symbols, width, block) }
    }

    /// Counts the symbols of complete blocks.
    pub(super) fn counts(&self, planes: &[u64], width: usize) -> Counts {
        // SAFETY: see above.
        unsafe { (self.counts)(planes, width) }
    }

    /// See [`rans::encode`].
    pub(super) fn encode(
        &self,
        symbols: &[u8],
        table: &EncodeTable,
        states: &mut States,
        stream: &mut [u16],
        at: usize,
    ) -> Option<usize> {
        assert!(at <= stream.len(), "the encoder is within its stream");
        // SAFETY: see above.
        unsafe { (self.encode)(symbols, table, states, stream, at) }
    }

    /// See [`rans::decode`].
    pub(super) fn decode(
        &self,
        stream: &[u16],
        at: usize,
        table: &DecodeTable,
        states: &mut States,
        symbols: &mut [u8],
    ) -> Option<usize> {
        assert!(at <= stream.len(), "the decoder is within its stream");
        // SAFETY: see above.
        unsafe { (self.decode)(stream, at, table, states, symbols) }
    }
}
