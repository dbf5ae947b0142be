//! Hashes of floats by their bits, and of the program: equal hashes mean equal runs.

use std::io::Read;
use std::path::Path;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use ternflock_base::io::open_regular;

/// xxh3 of the values' bits.
pub fn hash_values(values: &[f32]) -> u64 {
    xxh3_64(bytemuck::cast_slice(values))
}

/// xxh3 of the file this process runs, even if the file has been replaced since; 0 if the system does not
/// reveal it.
pub fn program_hash() -> u64 {
    let read = || {
        let mut file = open_regular(Path::new("/proc/self/exe"))?;
        let (mut hasher, mut part) = (Xxh3::new(), vec![0; 1 << 20]);
        loop {
            match file.read(&mut part)? {
                0 => return Ok::<_, std::io::Error>(hasher.digest()),
                read => hasher.update(&part[..read]),
            }
        }
    };
    read().unwrap_or(0)
}
