//! A hash of floats by their bits: equal hashes, equal runs.

use xxhash_rust::xxh3::xxh3_64;

/// xxh3 of the values' bits.
pub fn hash_values(values: &[f32]) -> u64 {
    xxh3_64(bytemuck::cast_slice(values))
}
