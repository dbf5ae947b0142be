//! The form of a coded segment.
//!
//! | words | content |
//! |---|---|
//! | 1 | the header: symbols that occur minus 1 (8 bits), width (8), [`MARK`] (16), words of the segment (32) |
//! | n / 3, rounded up | the n symbols that occur and their frequencies, 20 bits each |
//! | 16 | the states in which the decoder begins |
//! | the rest | the stream of 16-bit words, padded with zeros |
//!
//! A segment with one symbol ends after its frequency.

use super::frequencies::{Counts, Frequencies};
use super::rans::{DecodeTable, EncodeTable, LANES, LOWEST, States};
use super::symbols::{MAX_WIDTH, Symbols, alphabet, per_block};
use super::{Coder, Damage};
use crate::planes::{BLOCK, words};

/// Marks the header of a coded segment.
const MARK: u64 = 0x52a5;

/// Words of the states.
const STATES: usize = LANES / 2;

/// 16-bit words per word.
const QUARTERS: usize = 4;

/// A segment is coded only if it becomes shorter by this fraction: a smaller gain is not worth the time.
const LEAST_GAIN: usize = 8;

/// See [`encode`](super::encode).
pub(super) fn encode(coder: &Coder, planes: &[u64], width: usize, message: &mut [u64]) -> Option<usize> {
    assert_eq!(planes.len(), message.len(), "words of the message");
    if planes.is_empty() || !(2..=MAX_WIDTH).contains(&width) || planes.len() > u32::MAX as usize / 64 {
        return None;
    }
    let counts = coder.counts(planes, width);
    let frequencies = Frequencies::of(&counts);
    let (symbols, limit) = (frequencies.len(), planes.len() - planes.len() / LEAST_GAIN);
    let mut prefix = 1 + Frequencies::words(symbols);
    if symbols == 1 {
        frequencies.write(&mut message[1..prefix]);
        message[0] = header(symbols, width, prefix);
        return Some(prefix);
    }
    prefix += STATES;
    let estimate = prefix + (frequencies.bits(&counts) / 64.0).ceil() as usize;
    if estimate > limit {
        return None;
    }
    let stream: &mut [u16] = bytemuck::cast_slice_mut(&mut message[prefix..]);
    let (mut states, mut at) = ([LOWEST; LANES], stream.len());
    let table = EncodeTable::new(&frequencies);
    let mut room: Symbols = [0; BLOCK / 8];
    for block in planes.chunks_exact(words(1, width)).rev() {
        coder.symbols(block, width, &mut room);
        at = coder.encode(
            &bytemuck::cast_slice(&room)[..per_block(width)],
            &table,
            &mut states,
            stream,
            at,
        )?;
    }
    let end = stream.len() - at;
    stream.copy_within(at.., 0);
    let length = prefix + end.div_ceil(QUARTERS);
    stream[end..(length - prefix) * QUARTERS].fill(0);
    frequencies.write(&mut message[1..prefix - STATES]);
    bytemuck::cast_slice_mut(&mut message[prefix - STATES..prefix]).copy_from_slice(&states);
    message[0] = header(symbols, width, length);
    Some(length)
}

/// See [`decode`](super::decode).
pub(super) fn decode(coder: &Coder, message: &[u64], width: usize, planes: &mut [u64]) -> Result<(), Damage> {
    let [first, rest @ ..] = message else { return Err(Damage::Header) };
    let (symbols, length) = ((first & 0xff) as usize + 1, first >> 32);
    if !(2..=MAX_WIDTH).contains(&width) || *first != header(symbols, width, length as usize) {
        return Err(Damage::Header);
    }
    if length != message.len() as u64 {
        return Err(Damage::Length);
    }
    let (entries, rest) = rest.split_at_checked(Frequencies::words(symbols)).ok_or(Damage::Length)?;
    let frequencies = Frequencies::read(entries, symbols, alphabet(width))?;
    let blocks = planes.chunks_exact_mut(words(1, width));
    if symbols == 1 {
        let (symbol, _) = frequencies.occurring().next().ok_or(Damage::Frequencies)?;
        if !rest.is_empty() {
            return Err(Damage::Length);
        }
        fill(coder, symbol, width, planes);
        return Ok(());
    }
    let (first, stream) = rest.split_at_checked(STATES).ok_or(Damage::Length)?;
    let (mut states, mut at): (States, usize) = ([0; LANES], 0);
    states.copy_from_slice(bytemuck::cast_slice(first));
    let stream: &[u16] = bytemuck::cast_slice(stream);
    let table = DecodeTable::new(&frequencies);
    let mut room: Symbols = [0; BLOCK / 8];
    for block in blocks {
        let symbols = &mut bytemuck::cast_slice_mut(&mut room)[..per_block(width)];
        at = coder.decode(stream, at, &table, &mut states, symbols).ok_or(Damage::Stream)?;
        coder.planes(&room, width, block);
    }
    // Every lane must end in the state in which the encoder began, which finds most wrong bits too.
    let is_used_up = stream.len() - at < QUARTERS && stream[at..].iter().all(|padding| *padding == 0);
    if is_used_up && states == [LOWEST; LANES] { Ok(()) } else { Err(Damage::Stream) }
}

fn header(symbols: usize, width: usize, length: usize) -> u64 {
    (symbols - 1) as u64 | (width as u64) << 8 | MARK << 16 | (length as u64) << 32
}

/// Writes planes in which every group of elements is `symbol`.
fn fill(coder: &Coder, symbol: u8, width: usize, planes: &mut [u64]) {
    let symbols: Symbols = [u64::from_ne_bytes([symbol; 8]); BLOCK / 8];
    planes.chunks_exact_mut(words(1, width)).for_each(|block| coder.planes(&symbols, width, block));
}

/// Counts the symbols of `planes`.
#[inline(always)]
pub(super) fn count(
    from_planes: impl Fn(&[u64], usize, &mut Symbols),
    planes: &[u64],
    width: usize,
) -> Counts {
    // Four counters per symbol, because a counter that has just been written cannot be read at once.
    let (mut counts, mut room) = ([[0_u32; 256]; 4], [0; BLOCK / 8]);
    for block in planes.chunks_exact(words(1, width)) {
        from_planes(block, width, &mut room);
        for word in &room[..per_block(width) / 8] {
            for (index, byte) in word.to_ne_bytes().into_iter().enumerate() {
                counts[index % 4][usize::from(byte)] += 1;
            }
        }
    }
    std::array::from_fn(|symbol| counts.iter().map(|counts| counts[symbol]).sum())
}
