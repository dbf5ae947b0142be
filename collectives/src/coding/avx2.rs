//! The portable coder, compiled for registers of 256 bits, which make symbols and undo them. The lanes of rANS stay scalar: a
//! core decodes more than a gigabyte of planes per second with them.

use super::coder::Coder;
use super::frequencies::Counts;
use super::rans::{self, DecodeTable, EncodeTable, States};
use super::segment;
use super::symbols::{self, Symbols};

pub(crate) const AVX2: Coder = Coder { from_planes, to_planes, counts, encode, decode };

#[target_feature(enable = "avx2")]
fn from_planes(block: &[u64], width: usize, symbols: &mut Symbols) {
    symbols::from_planes(block, width, symbols);
}

#[target_feature(enable = "avx2")]
fn to_planes(symbols: &Symbols, width: usize, block: &mut [u64]) {
    symbols::to_planes(symbols, width, block);
}

#[target_feature(enable = "avx2")]
fn counts(planes: &[u64], width: usize) -> Counts {
    segment::count(symbols::from_planes, planes, width)
}

#[target_feature(enable = "avx2")]
fn encode(
    symbols: &[u8],
    table: &EncodeTable,
    states: &mut States,
    stream: &mut [u16],
    at: usize,
) -> Option<usize> {
    rans::encode(symbols, table, states, stream, at)
}

#[target_feature(enable = "avx2")]
fn decode(
    stream: &[u16],
    at: usize,
    table: &DecodeTable,
    states: &mut States,
    symbols: &mut [u8],
) -> Option<usize> {
    rans::decode(stream, at, table, states, symbols)
}
