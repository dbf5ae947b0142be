//! ARS of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11): the rounds of AES
//! (FIPS 197) with round keys that form a Weyl sequence. It is not meant for cryptography.
//!
//! The authors' Random123 library has 7 rounds by default, and reports no known statistical flaw with 5 or more.
//! Rounding gradients uses 5 (docs/adr/0035).
//!
//! A round is one instruction on most processors (`kernels::draws`). The tables here define the result, and
//! compute it on processors without such instructions.

/// The rounds for rounding gradients.
pub const FEW_ROUNDS: usize = 5;

/// The increments of the lower and the upper half of the key: those of the published generator.
const WEYL: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBB67_AE85_84CA_A73B];

/// The four 32-bit words that belong to `counter` under `key` after `N` rounds. The words are AES's columns, with the first
/// byte lowest.
#[inline]
pub fn ars4x32<const N: usize>(counter: [u32; 4], key: [u32; 4]) -> [u32; 4] {
    let (first, keys) = round_keys::<N>(key);
    rounds(std::array::from_fn(|word| counter[word] ^ first[word]), &keys)
}

/// The rounds, from `counter` plus the first key on. The last one does not mix columns.
#[inline]
pub fn rounds(mut state: [u32; 4], keys: &[[u32; 4]]) -> [u32; 4] {
    let Some((last, keys)) = keys.split_last() else { return state };
    for key in keys {
        state = round(state, key);
    }
    last_round(state, last)
}

/// The key that is added before the first round, and that of each round.
pub fn round_keys<const N: usize>(key: [u32; 4]) -> ([u32; 4], [[u32; 4]; N]) {
    let halves = [0, 2].map(|at| u64::from(key[at]) | u64::from(key[at + 1]) << 32);
    let of_round = |round: usize| {
        let [low, high] = [0, 1].map(|half| halves[half].wrapping_add(WEYL[half].wrapping_mul(round as u64)));
        [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
    };
    (of_round(0), std::array::from_fn(|index| of_round(index + 1)))
}

/// SubBytes, ShiftRows, MixColumns and AddRoundKey. Row r of a column comes from the column r places after it.
#[inline]
fn round(state: [u32; 4], key: &[u32; 4]) -> [u32; 4] {
    std::array::from_fn(|column| {
        let mixed = |row: usize| MIXED[byte(state[(column + row) % 4], row)].rotate_left(8 * row as u32);
        mixed(0) ^ mixed(1) ^ mixed(2) ^ mixed(3) ^ key[column]
    })
}

/// A round without MixColumns.
#[inline]
fn last_round(state: [u32; 4], key: &[u32; 4]) -> [u32; 4] {
    std::array::from_fn(|column| {
        let substituted =
            |row: usize| u32::from(SUBSTITUTES[byte(state[(column + row) % 4], row)]) << (8 * row);
        (substituted(0) | substituted(1) | substituted(2) | substituted(3)) ^ key[column]
    })
}

fn byte(word: u32, row: usize) -> usize {
    (word >> (8 * row)) as usize & 0xff
}

/// AES's S-box: the inverse in GF(2^8), then an affine map.
const SUBSTITUTES: [u8; 256] = {
    let mut table = [0x63; 256];
    // Powers of 3 and their inverses, powers of 1 / 3, run through all non-zero elements of the field.
    let (mut value, mut inverse) = (1u8, 1u8);
    loop {
        value ^= doubled(value);
        inverse ^= inverse << 1;
        inverse ^= inverse << 2;
        inverse ^= inverse << 4;
        if inverse & 0x80 != 0 {
            inverse ^= 0x09;
        }
        table[value as usize] = inverse
            ^ inverse.rotate_left(1)
            ^ inverse.rotate_left(2)
            ^ inverse.rotate_left(3)
            ^ inverse.rotate_left(4)
            ^ 0x63;
        if value == 1 {
            break table;
        }
    }
};

/// What a byte of row 0 contributes to its column: 2, 1, 1 and 3 times its substitute. The contributions of the other rows
/// are rotations.
const MIXED: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let one = SUBSTITUTES[at];
        let two = doubled(one);
        table[at] = u32::from_le_bytes([two, one, one, two ^ one]);
        at += 1;
    }
    table
};

/// Twice a value of GF(2^8) with AES's polynomial.
const fn doubled(value: u8) -> u8 {
    value << 1 ^ if value & 0x80 != 0 { 0x1b } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers in the tests of the authors' Random123 library (`ars1xm128i`, 7 rounds), as bytes in memory.
    #[test]
    fn known_answers() {
        let bytes = |counter| ars4x32::<7>([counter, 0, 0, 0], [1, 0, 0, 0]).map(u32::to_le_bytes).concat();
        assert_eq!(bytes(1), 0x2b16_2335_0cd2_14dc_7740_1879_9341_1872_u128.to_be_bytes());
        assert_eq!(bytes(0x100), 0x2de6_b66f_a461_b668_f380_126f_32b9_cd22_u128.to_be_bytes());
    }

    /// Values of FIPS 197, figure 7, and the permutation that it is.
    #[test]
    fn the_s_box_is_that_of_aes() {
        assert_eq!([0x00, 0x01, 0x53, 0xff].map(|value: usize| SUBSTITUTES[value]), [0x63, 0x7c, 0xed, 0x16]);
        let mut sorted = SUBSTITUTES;
        sorted.sort_unstable();
        assert!(sorted.iter().enumerate().all(|(at, value)| at == usize::from(*value)));
    }
}
