//! What several unit tests share.

/// `count` small integers, other ones for each `salt`: products and sums of them are exact in f32, so comparisons are too.
pub fn integers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + i / 5 + salt * 13) % 9) as f32 - 4.0).collect()
}
