//! Elements as symbols: several elements of a block share a byte if their planes fit into one.
//!
//! A symbol has the bits of [`grouped`] adjacent elements, plane after plane: at width 2 the four non-zero bits and then the
//! four signs, so that one symbol spends a fraction of a bit on each element. Symbols are ordered for the registers that
//! make them: word `8 t + j` of the symbols of a block holds the groups at bit `t * grouped` of each byte of word `j` of
//! the planes.

use crate::planes::{BLOCK, WORDS};

/// The widest elements that have symbols. A sum over more ranks than 127 has none.
pub(super) const MAX_WIDTH: usize = 8;

/// The symbols of a block, of which a prefix of [`per_block`] is used.
pub(super) type Symbols = [u64; BLOCK / 8];

/// The elements of a symbol at `width` planes, 2 to [`MAX_WIDTH`].
pub(super) const fn grouped(width: usize) -> usize {
    match width {
        2 => 4,
        3 | 4 => 2,
        _ => 1,
    }
}

/// The symbols of a block at `width` planes.
pub(super) const fn per_block(width: usize) -> usize {
    BLOCK / grouped(width)
}

/// The number of different symbols at `width` planes.
pub(super) const fn alphabet(width: usize) -> usize {
    1 << (width * grouped(width))
}

/// The lowest `bits` bits of each byte of a word.
const fn low_bits(bits: usize) -> u64 {
    0x0101_0101_0101_0101 * ((1 << bits) - 1)
}

/// Writes the symbols of a block of `width` planes.
#[inline(always)]
pub(super) fn from_planes(block: &[u64], width: usize, symbols: &mut Symbols) {
    match width {
        2 => from_planes_of::<2>(block, symbols),
        3 => from_planes_of::<3>(block, symbols),
        4 => from_planes_of::<4>(block, symbols),
        5 => from_planes_of::<5>(block, symbols),
        6 => from_planes_of::<6>(block, symbols),
        7 => from_planes_of::<7>(block, symbols),
        _ => from_planes_of::<8>(block, symbols),
    }
}

/// Writes the planes of a block of `width` planes: the inverse of [`from_planes`].
#[inline(always)]
pub(super) fn to_planes(symbols: &Symbols, width: usize, block: &mut [u64]) {
    match width {
        2 => to_planes_of::<2>(symbols, block),
        3 => to_planes_of::<3>(symbols, block),
        4 => to_planes_of::<4>(symbols, block),
        5 => to_planes_of::<5>(symbols, block),
        6 => to_planes_of::<6>(symbols, block),
        7 => to_planes_of::<7>(symbols, block),
        _ => to_planes_of::<8>(symbols, block),
    }
}

#[inline(always)]
fn from_planes_of<const WIDTH: usize>(block: &[u64], symbols: &mut Symbols) {
    let group = const { grouped(WIDTH) };
    let planes = &block.as_chunks::<WORDS>().0[..WIDTH];
    for (turn, symbols) in symbols.as_chunks_mut::<WORDS>().0[..8 / group].iter_mut().enumerate() {
        for (word, symbols) in symbols.iter_mut().enumerate() {
            *symbols = 0;
            for (plane, words) in planes.iter().enumerate() {
                *symbols |= (words[word] >> (turn * group) & low_bits(group)) << (plane * group);
            }
        }
    }
}

#[inline(always)]
fn to_planes_of<const WIDTH: usize>(symbols: &Symbols, block: &mut [u64]) {
    let group = const { grouped(WIDTH) };
    let symbols = &symbols.as_chunks::<WORDS>().0[..8 / group];
    for (plane, words) in block.as_chunks_mut::<WORDS>().0[..WIDTH].iter_mut().enumerate() {
        for (word, bits) in words.iter_mut().enumerate() {
            *bits = 0;
            for (turn, symbols) in symbols.iter().enumerate() {
                *bits |= (symbols[word] >> (plane * group) & low_bits(group)) << (turn * group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::{get, words};

    /// Any words.
    fn block(width: usize) -> Vec<u64> {
        (1..=words(1, width) as u64)
            .map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(i as u32))
            .collect()
    }

    #[test]
    fn symbols_hold_the_bits_of_adjacent_elements_and_give_them_back() {
        for width in 2..=MAX_WIDTH {
            let (block, group) = (block(width), grouped(width));
            let mut symbols = [u64::MAX; BLOCK / 8];
            from_planes(&block, width, &mut symbols);
            let bytes = &bytemuck::cast_slice::<_, u8>(&symbols)[..per_block(width)];
            for (index, symbol) in bytes.iter().enumerate() {
                let (turn, word, byte) = (index / 64, index % 64 / 8, index % 8);
                let first = 64 * word + 8 * byte + turn * group;
                let bit = |element: usize, plane: usize| (get(&block, width, element) >> plane & 1) as u8;
                let expected = (0..width * group).map(|i| bit(first + i % group, i / group) << i).sum::<u8>();
                assert_eq!(*symbol, expected, "width {width}, symbol {index}");
                assert!(usize::from(*symbol) < alphabet(width));
            }
            let mut planes = vec![u64::MAX; block.len()];
            to_planes(&symbols, width, &mut planes);
            assert_eq!(planes, block, "width {width}");
        }
    }
}
