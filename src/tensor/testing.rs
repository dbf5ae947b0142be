//! Helpers for several unit tests.

/// `count` small integers, which differ for each `salt`. Their products and sums are exact in f32, so they
/// can be compared for equality.
pub fn integers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + i / 5 + salt * 13) % 9) as f32 - 4.0).collect()
}
