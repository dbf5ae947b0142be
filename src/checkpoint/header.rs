//! The first 512 bytes of a checkpoint, which HDF5 leaves to the user ("user block"): one line of ASCII, then
//! zeros.
//!
//! ```text
//! ternflock-checkpoint 1 <bytes that follow the block> <xxh3-128 of those bytes, 32 hex digits>\n
//! ```
//!
//! HDF5 trusts the lengths and addresses that it reads. With a damaged file, it may crash or request any
//! amount of memory. So the complete file is compared with this line first. One difference is accepted: see
//! [`STALE_ROOT_CACHE`].

use std::fs::File;
use std::io::{self, ErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use xxhash_rust::xxh3::Xxh3;

use super::FORMAT_VERSION;
use ternflock_base::io::{open_regular, read_start};

/// The size of the block: the smallest size that HDF5 allows.
pub(super) const SIZE: usize = 512;

const MAGIC: &[u8] = b"ternflock-checkpoint ";
const DAMAGED: &str = "its header is damaged; use an earlier checkpoint";
/// The bytes of the HDF5 file where the superblock (version 0) caches facts about the root group.
const ROOT_CACHE: Range<usize> = 72..96;

/// The content of these bytes as HDF5 writes them, which earlier versions of this program left in place. It states that
/// the root group has a B-tree at 0x88 and a heap at 0x2a8. The group had both until its first UTF-8 name made it a
/// group of the newer kind, which has neither. HDF5 notices that when the file is next opened for writing, and puts
/// zeros there, whatever is then written. Therefore, a file that has zeros here now and had this content when its
/// checksum was computed has not been modified by anyone.
const STALE_ROOT_CACHE: [u8; 24] = *b"\x01\0\0\0\0\0\0\0\x88\0\0\0\0\0\0\0\xa8\x02\0\0\0\0\0\0";

const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Clears the stale entry that HDF5 left in the superblock of `image` ([`STALE_ROOT_CACHE`]). HDF5 would
/// clear it when the file is next opened for writing. Because it is cleared here, opening the file changes
/// nothing. UTF-8 names have made the root a group of the newer kind, for which there is nothing to cache.
pub(super) fn tidy(image: &File) -> io::Result<()> {
    let mut version = [0];
    image.read_exact_at(&mut version, (SIZE + HDF5_SIGNATURE.len()) as u64)?;
    match version {
        [0] => image.write_all_at(&[0; ROOT_CACHE.end - ROOT_CACHE.start], (SIZE + ROOT_CACHE.start) as u64),
        // Later superblocks cache nothing.
        _ => Ok(()),
    }
}

/// Writes the HDF5 file `image` to `file`. Its blank header is replaced with the one that matches the rest.
pub(super) fn seal(mut image: &File, mut file: &File) -> io::Result<()> {
    let (length, digest) = digest(image, None)?;
    image.seek(SeekFrom::Start(SIZE as u64))?;
    file.write_all(&block(FORMAT_VERSION, length, digest))?;
    io::copy(&mut image, &mut file).map(drop)
}

/// Checks the file at `path` against its header. Returns the open file and the number of bytes after the block.
pub(super) fn verify(path: &Path) -> Result<(File, u64), String> {
    let mut file = open_regular(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let start = read_start(&mut file, SIZE as u64).map_err(unreadable)?;
    let (version, length, digest) = parse(&start, metadata.len())?;
    if start[..] != block(version, length, digest) {
        return Err(DAMAGED.into());
    }
    let expected = length.saturating_add(SIZE as u64);
    let found = metadata.len();
    if found < expected {
        return Err(format!(
            "is truncated: expected {expected} bytes, found {found}; use an earlier checkpoint"
        ));
    }
    if found > expected {
        return Err(format!("has grown since it was written: expected {expected} bytes, found {found}"));
    }
    let holds = |root_cache| self::digest(&file, root_cache).map(|found| found == (length, digest));
    if holds(None).map_err(unreadable)? || holds(Some(STALE_ROOT_CACHE)).map_err(unreadable)? {
        return Ok((file, length));
    }
    Err("its checksum does not match: it changed since it was written; use an earlier checkpoint".into())
}

/// The version, length and digest in the header, or the reason why these bytes are not a header.
fn parse(start: &[u8], size: u64) -> Result<(u32, u64, u128), String> {
    if start.is_empty() {
        return Err("is empty".into());
    }
    if start.starts_with(HDF5_SIGNATURE) {
        return Err("is an HDF5 file, but not a ternflock checkpoint: it has no ternflock header".into());
    }
    if start.len() == SIZE && start.iter().all(|&byte| byte == 0) {
        return Err(
            "begins with zeros: it was never finished, or its beginning was lost; use an earlier checkpoint"
                .into(),
        );
    }
    if !start.starts_with(MAGIC) && !MAGIC.starts_with(start) {
        return Err("is not a ternflock checkpoint".into());
    }
    if start.len() < SIZE {
        return Err(format!(
            "is truncated: found {size} bytes, but the header alone has {SIZE}; use an earlier checkpoint"
        ));
    }
    let line = start[MAGIC.len()..].split(|&byte| byte == b'\n').next().unwrap_or_default();
    let mut words = str::from_utf8(line).map_err(|_| DAMAGED)?.split(' ');
    let version: u32 = words.next().and_then(|word| word.parse().ok()).ok_or(DAMAGED)?;
    if version > FORMAT_VERSION {
        return Err(format!(
            "has the format version {version}, but this program reads versions up to {FORMAT_VERSION}: use a \
             newer ternflock"
        ));
    }
    if version == 0 {
        return Err(DAMAGED.into());
    }
    let length = words.next().and_then(|word| word.parse().ok()).ok_or(DAMAGED)?;
    let digest = words.next().and_then(|word| u128::from_str_radix(word, 16).ok()).ok_or(DAMAGED)?;
    Ok((version, length, digest))
}

fn block(version: u32, length: u64, digest: u128) -> [u8; SIZE] {
    let line = format!("{version} {length} {digest:032x}\n");
    let mut block = [0; SIZE];
    block[..MAGIC.len()].copy_from_slice(MAGIC);
    block[MAGIC.len()..][..line.len()].copy_from_slice(line.as_bytes());
    block
}

/// The number and digest of the bytes of `file` after the block. If the superblock caches nothing about the
/// root group, `root_cache` is used instead of the zeros there.
fn digest(mut file: &File, root_cache: Option<[u8; 24]>) -> io::Result<(u64, u128)> {
    file.seek(SeekFrom::Start(SIZE as u64))?;
    let mut start = read_start(file, ROOT_CACHE.end as u64)?;
    if let (Some(root_cache), Some(found)) = (root_cache, start.get_mut(ROOT_CACHE))
        && *found == [0; 24]
    {
        found.copy_from_slice(&root_cache);
    }
    let (mut hasher, mut length) = (Xxh3::new(), start.len() as u64);
    hasher.update(&start);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((length, hasher.digest128())),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn unreadable(error: io::Error) -> String {
    format!("cannot be read: {error}")
}
