//! The coder with sixteen lanes per instruction, for AVX-512 F, BW and DQ.

use std::arch::x86_64::*;

use super::coder::Coder;
use super::frequencies::{BITS, Counts, TOTAL};
use super::rans::{DecodeTable, EncodeTable, LANES, LOWEST, ROOM, States, decode_last_step};
use super::segment;
use super::symbols::{self, Symbols};

/// Lanes per register.
const SIXTEEN: usize = 16;

/// Registers of all lanes.
const REGISTERS: usize = LANES / SIXTEEN;

pub(crate) const AVX512: Coder = Coder { from_planes, to_planes, counts, encode, decode };

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn from_planes(block: &[u64], width: usize, symbols: &mut Symbols) {
    symbols::from_planes(block, width, symbols);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn to_planes(symbols: &Symbols, width: usize, block: &mut [u64]) {
    symbols::to_planes(symbols, width, block);
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn counts(planes: &[u64], width: usize) -> Counts {
    segment::count(symbols::from_planes, planes, width)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn encode(
    symbols: &[u8],
    table: &EncodeTable,
    states: &mut States,
    stream: &mut [u16],
    mut at: usize,
) -> Option<usize> {
    let mut registers = load(states);
    for symbols in symbols.as_chunks::<LANES>().0.iter().rev() {
        if at < ROOM {
            return None;
        }
        for (half, states) in registers.iter_mut().enumerate().rev() {
            let entries = {
                // SAFETY: 16 symbols are half of the array, and every symbol has an entry.
                unsafe {
                    let symbols = _mm_loadu_si128(symbols[half * SIXTEEN..].as_ptr().cast());
                    _mm512_i32gather_epi32::<4>(_mm512_cvtepu8_epi32(symbols), table.packed.as_ptr().cast())
                }
            };
            let frequency = _mm512_and_si512(entries, _mm512_set1_epi32(0xffff));
            let start = _mm512_srli_epi32::<16>(entries);
            let full = _mm512_cmpge_epu32_mask(*states, _mm512_slli_epi32::<20>(frequency));
            let leaving = _mm512_maskz_compress_epi32(full, *states);
            let count = full.count_ones() as usize;
            at -= count;
            // SAFETY: `count` words are written, and at least `ROOM` were left before this step of `LANES`.
            unsafe {
                let place = stream.as_mut_ptr().add(at).cast();
                _mm512_mask_cvtepi32_storeu_epi16(place, ((1_u32 << count) - 1) as __mmask16, leaving);
            }
            let reduced = _mm512_mask_srli_epi32::<16>(*states, full, *states);
            *states = step(reduced, frequency, start);
        }
    }
    store(registers, states);
    Some(at)
}

/// `x / f * 4096 + start + x % f`, where `x` is below 2^20 times `f`.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn step(states: __m512i, frequency: __m512i, start: __m512i) -> __m512i {
    const DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    // Rounded down three times, a quotient below 2^20 is too small by less than one.
    let [dividend, divisor] = [states, frequency].map(|numbers| _mm512_cvt_roundepu32_ps::<DOWN>(numbers));
    let quotient = _mm512_cvttps_epu32(_mm512_div_round_ps::<DOWN>(dividend, divisor));
    let rest = _mm512_sub_epi32(states, _mm512_mullo_epi32(quotient, frequency));
    let one_more = _mm512_cmpge_epu32_mask(rest, frequency);
    let others = _mm512_sub_epi32(_mm512_set1_epi32(TOTAL as i32), frequency);
    let begin = _mm512_add_epi32(states, start);
    let next = _mm512_add_epi32(begin, _mm512_mullo_epi32(quotient, others));
    _mm512_mask_add_epi32(next, one_more, next, others)
}

#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn decode(
    stream: &[u16],
    mut at: usize,
    table: &DecodeTable,
    states: &mut States,
    symbols: &mut [u8],
) -> Option<usize> {
    let mut registers = load(states);
    for symbols in symbols.as_chunks_mut::<LANES>().0 {
        if stream.len() - at < ROOM {
            store(registers, states);
            at = decode_last_step(stream, at, table, states, symbols)?;
            registers = load(states);
            continue;
        }
        for (half, states) in registers.iter_mut().enumerate() {
            let part = _mm512_and_si512(*states, _mm512_set1_epi32(TOTAL as i32 - 1));
            // SAFETY: the table has an entry for each of `TOTAL` parts.
            let entries = unsafe { _mm512_i32gather_epi32::<4>(part, table.0.as_ptr().cast()) };
            // SAFETY: 16 symbols are half of the array.
            unsafe {
                let place = symbols[half * SIXTEEN..].as_mut_ptr().cast();
                _mm_storeu_si128(place, _mm512_cvtepi32_epi8(entries));
            }
            let frequency = _mm512_and_si512(_mm512_srli_epi32::<8>(entries), _mm512_set1_epi32(0xfff));
            let product = _mm512_mullo_epi32(frequency, _mm512_srli_epi32::<BITS>(*states));
            let next = _mm512_add_epi32(product, _mm512_srli_epi32::<20>(entries));
            let low = _mm512_cmplt_epu32_mask(next, _mm512_set1_epi32(LOWEST as i32));
            // SAFETY: at least `ROOM` words were left before this step of `LANES`, and this reads 16.
            let words = unsafe { _mm256_loadu_si256(stream.as_ptr().add(at).cast()) };
            let arriving = _mm512_maskz_expand_epi32(low, _mm512_cvtepu16_epi32(words));
            *states = _mm512_mask_slli_epi32::<16>(next, low, next);
            *states = _mm512_or_si512(*states, arriving);
            at += low.count_ones() as usize;
        }
    }
    store(registers, states);
    Some(at)
}

#[target_feature(enable = "avx512f")]
fn load(states: &States) -> [__m512i; REGISTERS] {
    // SAFETY: the array has the size of both registers, and the instruction needs no alignment.
    [0, 1].map(|half| unsafe { _mm512_loadu_si512(states[half * SIXTEEN..].as_ptr().cast()) })
}

#[target_feature(enable = "avx512f")]
fn store(registers: [__m512i; REGISTERS], states: &mut States) {
    for (states, register) in states.as_chunks_mut::<SIXTEEN>().0.iter_mut().zip(registers) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(states.as_mut_ptr().cast(), register) };
    }
}
