//! The entropy coder: asymmetric numeral systems (rANS) over bytes, in [`LANES`] interleaved lanes.
//!
//! Symbol `i` belongs to lane `i % LANES`. The state of a lane is a number in `2^16 .. 2^32`. To encode a symbol with
//! frequency `f` that begins at `start`, the state `x` becomes `x / f * 4096 + start + x % f`; if it would leave the range,
//! its lower 16 bits are first moved to the stream. The decoder reverses this, so the encoder goes through the symbols from
//! the last to the first and fills the stream from the end. The lanes share one stream. Their order in it is that of the
//! decoder, so that a register of lanes reads or writes adjacent words.
//!
//! The loops here define the bytes; those of other instruction sets are faster and give the same.

use super::frequencies::{BITS, Frequencies, TOTAL};

/// The number of lanes: two registers of AVX-512, so that one works while the other waits.
pub(super) const LANES: usize = 32;

/// The lowest state, in which every lane begins to encode and must end to decode.
pub(super) const LOWEST: u32 = 1 << 16;

/// The state of each lane.
pub(super) type States = [u32; LANES];

/// The 16-bit words of a stream that a step may read or write: one per lane, and as many as a register holds past that.
pub(super) const ROOM: usize = LANES + 16;

/// The frequencies in the form that the encoder needs.
pub(super) struct EncodeTable {
    /// By symbol.
    entries: [EncodeEntry; 256],
    /// By symbol: the frequency in the lower 16 bits, and the start in the upper ones.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    pub packed: [u32; 256],
}

#[derive(Clone, Copy, Default)]
struct EncodeEntry {
    /// 2^44 divided by the frequency, rounded up.
    reciprocal: u64,
    /// The lowest state that must first give 16 bits to the stream.
    limit: u32,
    start: u16,
    /// 4096 minus the frequency.
    others: u16,
}

impl EncodeTable {
    /// For `frequencies` of at least two symbols: a frequency of 4096 has no limit.
    pub fn new(frequencies: &Frequencies) -> Self {
        let mut table = EncodeTable { entries: [EncodeEntry::default(); 256], packed: [0; 256] };
        let mut start = 0;
        for (symbol, frequency) in frequencies.occurring() {
            let (symbol, wide) = (usize::from(symbol), u64::from(frequency));
            table.entries[symbol] = EncodeEntry {
                reciprocal: (1_u64 << 44).div_ceil(wide),
                limit: u32::from(frequency) << 20,
                start,
                others: TOTAL as u16 - frequency,
            };
            table.packed[symbol] = u32::from(frequency) | u32::from(start) << 16;
            start += frequency;
        }
        table
    }
}

/// The frequencies in the form that the decoder needs: for each part of [`TOTAL`], the symbol in the lowest 8 bits, its
/// frequency in the next 12, and the distance of the part from its start in the highest 12.
pub(super) struct DecodeTable(pub [u32; TOTAL as usize]);

impl DecodeTable {
    /// For `frequencies` of at least two symbols: a frequency of 4096 does not fit.
    pub fn new(frequencies: &Frequencies) -> Self {
        let (mut table, mut start) = ([0; TOTAL as usize], 0);
        for (symbol, frequency) in frequencies.occurring() {
            let parts = &mut table[start..start + usize::from(frequency)];
            let entry = u32::from(symbol) | u32::from(frequency) << 8;
            (0..).zip(parts).for_each(|(distance, part)| *part = entry | distance << 20);
            start += usize::from(frequency);
        }
        DecodeTable(table)
    }
}

/// Encodes `symbols`, a multiple of [`LANES`], from the last to the first, into `stream[..at]` from its end. Returns where
/// the stream begins then, or `None` if less than [`ROOM`] is left before a step.
#[inline(always)]
pub(super) fn encode(
    symbols: &[u8],
    table: &EncodeTable,
    states: &mut States,
    stream: &mut [u16],
    mut at: usize,
) -> Option<usize> {
    for symbols in symbols.as_chunks::<LANES>().0.iter().rev() {
        if at < ROOM {
            return None;
        }
        let room: &mut [u16; LANES] = (&mut stream[at - LANES..at]).try_into().expect("a word per lane");
        let mut left = LANES;
        for lane in (0..LANES).rev() {
            let entry = &table.entries[usize::from(symbols[lane])];
            let state = &mut states[lane];
            // Without a branch, because whether a word is written is hard to predict.
            room[(left - 1) % LANES] = *state as u16;
            let is_full = *state >= entry.limit;
            left -= usize::from(is_full);
            let reduced = *state >> (16 * u32::from(is_full));
            // Below 2^20 times the frequency, this is the exact quotient and does not overflow.
            let quotient = (u64::from(reduced).wrapping_mul(entry.reciprocal) >> 44) as u32;
            *state = reduced
                .wrapping_add(u32::from(entry.start))
                .wrapping_add(quotient.wrapping_mul(u32::from(entry.others)));
        }
        at -= LANES - left;
    }
    Some(at)
}

/// Decodes `symbols`, a multiple of [`LANES`], from `stream[at..]`. Returns where the rest of the stream begins, or `None`
/// if it is too short.
#[inline(always)]
pub(super) fn decode(
    stream: &[u16],
    mut at: usize,
    table: &DecodeTable,
    states: &mut States,
    symbols: &mut [u8],
) -> Option<usize> {
    for symbols in symbols.as_chunks_mut::<LANES>().0 {
        at = match stream[at..].first_chunk() {
            Some(words) => at + decode_step(words, table, states, symbols),
            None => decode_last_step(stream, at, table, states, symbols)?,
        };
    }
    Some(at)
}

/// Decodes one symbol per lane. Returns the number of words read.
#[inline(always)]
fn decode_step(
    words: &[u16; LANES],
    table: &DecodeTable,
    states: &mut States,
    symbols: &mut [u8; LANES],
) -> usize {
    let mut taken = 0;
    for (state, symbol) in states.iter_mut().zip(symbols) {
        *state = next(*state, table, symbol);
        // Without a branch, because whether a word is read is hard to predict.
        let low = u32::from(*state < LOWEST);
        *state = *state << (16 * low) | u32::from(words[taken % LANES]) & low.wrapping_neg();
        taken += low as usize;
    }
    taken
}

/// Like [`decode_step`], near the end of the stream.
#[cold]
pub(super) fn decode_last_step(
    stream: &[u16],
    mut at: usize,
    table: &DecodeTable,
    states: &mut States,
    symbols: &mut [u8; LANES],
) -> Option<usize> {
    for (state, symbol) in states.iter_mut().zip(symbols) {
        *state = next(*state, table, symbol);
        if *state < LOWEST {
            *state = *state << 16 | u32::from(*stream.get(at)?);
            at += 1;
        }
    }
    Some(at)
}

/// Takes a symbol from a state, which may be any number.
#[inline(always)]
fn next(state: u32, table: &DecodeTable, symbol: &mut u8) -> u32 {
    let entry = table.0[(state % TOTAL) as usize];
    *symbol = entry as u8;
    (entry >> 8 & 0xfff) * (state >> BITS) + (entry >> 20)
}
