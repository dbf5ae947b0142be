//! Philox4x32 of Salmon, Moraes, Dror and Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3" (SC'11), section 3.3, with
//! the 10 rounds that the authors recommend.

/// Multipliers and key increments (Weyl constants) of the published generator.
const MULTIPLY: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];

const ROUNDS: usize = 10;

/// The four 32-bit words that belong to `counter` under `key`.
#[inline]
pub fn philox4x32(mut counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    for key in round_keys(key) {
        let (a, b) = (product(0, counter[0]), product(1, counter[2]));
        counter = [b[1] ^ counter[1] ^ key[0], b[0], a[1] ^ counter[3] ^ key[1], a[0]];
    }
    counter
}

/// The lower and the upper word of `word` times a multiplier.
#[inline]
fn product(multiplier: usize, word: u32) -> [u32; 2] {
    let product = u64::from(MULTIPLY[multiplier]) * u64::from(word);
    [product as u32, (product >> 32) as u32]
}

/// The key of each round.
#[inline]
fn round_keys(mut key: [u32; 2]) -> [[u32; 2]; ROUNDS] {
    std::array::from_fn(|_| {
        let round = key;
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
        round
    })
}

/// The words of N counters that differ only in their first word, word by word: `[w][n]` is word `w` of the counter
/// `[first + n, tail]`. Each operation works on all counters at once, so a caller that is compiled for vectors
/// gets vector code.
#[inline(always)]
pub fn side_by_side<const N: usize>(first: u32, tail: [u32; 3], key: [u32; 2]) -> [[u32; N]; 4] {
    // The words are in 64 bits, and the upper half is garbage that no multiplication reads. These are
    // plain loops, because called functions might not be inlined, and would then not be compiled for the
    // caller's vectors.
    let [c1, c2, c3] = tail;
    let mut counter = [[0u64; N], [c1.into(); N], [c2.into(); N], [c3.into(); N]];
    for (lane, word) in counter[0].iter_mut().enumerate() {
        *word = first.wrapping_add(lane as u32).into();
    }
    let (mut a, mut b) = ([0u64; N], [0u64; N]);
    for key in &round_keys(key) {
        for lane in 0..N {
            a[lane] = u64::from(MULTIPLY[0]) * (counter[0][lane] & 0xFFFF_FFFF);
        }
        for lane in 0..N {
            b[lane] = u64::from(MULTIPLY[1]) * (counter[2][lane] & 0xFFFF_FFFF);
        }
        for lane in 0..N {
            counter[0][lane] = b[lane] >> 32 ^ counter[1][lane] ^ u64::from(key[0]);
        }
        for lane in 0..N {
            counter[2][lane] = a[lane] >> 32 ^ counter[3][lane] ^ u64::from(key[1]);
        }
        (counter[1], counter[3]) = (b, a);
    }
    let mut words = [[0u32; N]; 4];
    for (words, counter) in words.iter_mut().zip(&counter) {
        for lane in 0..N {
            words[lane] = counter[lane] as u32;
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers published with the authors' Random123 library (`kat_vectors`, philox4x32, 10 rounds).
    #[test]
    fn known_answers() {
        let pi = ([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]);
        let inputs = [([0; 4], [0; 2]), ([u32::MAX; 4], [u32::MAX; 2]), pi];
        let answers = [
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
        ];
        assert_eq!(inputs.map(|(counter, key)| philox4x32(counter, key)), answers);
    }

    #[test]
    fn counters_side_by_side_give_the_same_words() {
        for first in [0, 8, u32::MAX - 2] {
            let words = side_by_side::<8>(first, [1, 2, 3], [4, 5]);
            for lane in 0..8 {
                let counter = [first.wrapping_add(lane as u32), 1, 2, 3];
                assert_eq!(words.map(|word| word[lane]), philox4x32(counter, [4, 5]));
            }
        }
    }
}
