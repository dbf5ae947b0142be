//! Whether this process may use tiles: the processor has AMX_BF16, and the system saves tiles and allows them.
//!
//! Linux saves the 8 kB of tile state per thread only for processes that have asked for it, and some virtual
//! machines mask the feature (Linux, *Using XSTATE features in user space applications*). The standard
//! library does not detect AMX in stable Rust.

use std::arch::x86_64::{__cpuid_count, _xgetbv, CpuidResult};
use std::sync::OnceLock;

/// Checks the processor and asks the system for permission. It does so once, and the permission covers all threads.
pub fn is_allowed() -> bool {
    static ALLOWED: OnceLock<bool> = OnceLock::new();
    *ALLOWED.get_or_init(|| processor_has_tiles() && system_allows_tiles())
}

fn processor_has_tiles() -> bool {
    // Without AVX-512, these leaves and XGETBV may not exist.
    if !is_x86_feature_detected!("avx512f") {
        return false;
    }
    // Leaf 7: EDX has the bits AMX_BF16 and AMX_TILE. Leaf 1DH: the number and size of the tiles of palette 1.
    let features = cpuid(7, 0).edx;
    if features & AMX_BF16 == 0 || features & AMX_TILE == 0 {
        return false;
    }
    let palette = cpuid(0x1d, 1);
    let (tiles, row_bytes, rows) = (palette.ebx >> 16, palette.ebx & 0xffff, palette.ecx & 0xffff);
    // SAFETY: a processor with AVX-512 has XGETBV, and the system has enabled it.
    let enabled = unsafe { enabled_states() };
    tiles >= 8 && row_bytes >= 64 && rows >= 16 && enabled & TILE_STATES == TILE_STATES
}

fn cpuid(leaf: u32, sub_leaf: u32) -> CpuidResult {
    // SAFETY: every x86-64 processor has CPUID.
    #[allow(unused_unsafe, reason = "the function is unsafe in the oldest supported Rust only")]
    unsafe {
        __cpuid_count(leaf, sub_leaf)
    }
}

/// # Safety
/// The processor has XGETBV, and the system has enabled it.
#[target_feature(enable = "xsave")]
unsafe fn enabled_states() -> u64 {
    // SAFETY: guaranteed by the caller.
    unsafe { _xgetbv(0) }
}

/// Asks for permission to use tiles.
fn system_allows_tiles() -> bool {
    #[cfg(target_os = "linux")]
    // SAFETY: the call only grants this process a permission; it changes no state that the process uses.
    return unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 };
    #[cfg(not(target_os = "linux"))]
    return false;
}

/// Bits of `CPUID` leaf 7, EDX.
const AMX_BF16: u32 = 1 << 22;
const AMX_TILE: u32 = 1 << 24;

/// Bits of `XCR0`: the tile configuration and the tile contents.
const TILE_STATES: u64 = 1 << 17 | 1 << 18;

/// From Linux, `asm/prctl.h`.
#[cfg(target_os = "linux")]
const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;

/// The number of the tile contents among the processor states.
#[cfg(target_os = "linux")]
const XFEATURE_XTILEDATA: libc::c_long = 18;
