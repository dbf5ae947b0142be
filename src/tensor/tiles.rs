//! AMX tiles: eight registers of up to 16 rows of 64 bytes, and tile products.
//!
//! This module uses `asm!` because the intrinsics need a nightly compiler (docs/adr/0032). The compiler never uses
//! tiles, so they keep their contents from one `asm!` block to the next.
//!
//! A [`Layout`] sets the number of rows and the bytes per row of each tile. [`Layout::with`] configures the tiles of
//! this thread, runs a kernel and releases the tiles: context switches are cheaper for a thread without tiles.

use std::arch::asm;

use crate::bf16::has_amx_bf16;

/// The proof that this process may use tiles; only [`Amx::detect`] creates it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Amx(());

impl Amx {
    /// The proof, if the instruction set in use has AMX.
    pub fn detect() -> Option<Amx> {
        has_amx_bf16().then_some(Amx(()))
    }
}

/// The maximum number of rows of a tile.
pub const ROWS: usize = 16;

/// The maximum number of 32-bit words in a row of a tile.
pub const WORDS: usize = 16;

/// The shapes of the eight tiles, in the form that `ldtilecfg` reads.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Layout {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

impl Layout {
    /// The layout of tiles with these shapes (rows, words per row). Each number is from 1 to 16.
    ///
    /// # Panics
    /// If a number is not from 1 to 16.
    pub fn new(tiles: [(usize, usize); 8]) -> Layout {
        let mut layout =
            Layout { palette: 1, start_row: 0, reserved: [0; 14], row_bytes: [0; 16], rows: [0; 16] };
        for (tile, (rows, words)) in tiles.into_iter().enumerate() {
            assert!((1..=ROWS).contains(&rows) && (1..=WORDS).contains(&words), "a tile of {rows} x {words}");
            layout.rows[tile] = rows as u8;
            layout.row_bytes[tile] = 4 * words as u16;
        }
        layout
    }

    /// Runs `kernel` with this layout on this thread. All tiles start as zeros.
    ///
    /// # Panics
    /// In a debug build, if a kernel calls `with` itself: the end of the inner kernel would release the tiles.
    pub fn with<R>(&self, _: Amx, kernel: impl FnOnce() -> R) -> R {
        #[cfg(debug_assertions)]
        assert!(!CONFIGURED.replace(true), "tiles are configured already");
        // SAFETY: tiles are allowed, and the layout is valid.
        unsafe { asm!("ldtilecfg [{}]", in(reg) self, options(nostack, preserves_flags, readonly)) };
        let _release = Release;
        kernel()
    }
}

#[cfg(debug_assertions)]
thread_local! {
    /// Whether this thread is inside [`Layout::with`].
    static CONFIGURED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Releases the tiles of this thread, even after a panic.
struct Release;

impl Drop for Release {
    fn drop(&mut self) {
        // SAFETY: only `Layout::with` makes one, where tiles are allowed.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
        #[cfg(debug_assertions)]
        CONFIGURED.set(false);
    }
}

/// Fills tile `T` with zeros.
///
/// # Safety
/// The call must be inside [`Layout::with`].
#[inline(always)]
pub unsafe fn zero<const T: usize>() {
    // SAFETY: guaranteed by the caller.
    unsafe { asm!("tilezero tmm{t}", t = const T, options(nostack, preserves_flags, nomem)) };
}

/// Loads the rows of tile `T`, which are `stride` bytes apart.
///
/// # Safety
/// The call must be inside [`Layout::with`], and the rows must be readable.
#[inline(always)]
pub unsafe fn load<const T: usize>(from: *const u32, stride: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!("tileloadd tmm{t}, [{from} + {stride}*1]", t = const T, from = in(reg) from, stride = in(reg) stride,
             options(nostack, preserves_flags, readonly));
    }
}

/// Stores the rows of tile `T`, which are `stride` bytes apart.
///
/// # Safety
/// The call must be inside [`Layout::with`]. The rows must be writable, and no other code may access them.
#[inline(always)]
pub unsafe fn store<const T: usize>(to: *mut f32, stride: usize) {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!("tilestored [{to} + {stride}*1], tmm{t}", t = const T, to = in(reg) to, stride = in(reg) stride,
             options(nostack, preserves_flags));
    }
}

/// `C += A B` of float32 sums C `[m, n]` and pairs of bf16 values A `[m, k]`, B `[k, n]`, as
/// [`crate::bf16::add_products`] defines it.
///
/// # Safety
/// The call must be inside [`Layout::with`], and the shapes must match.
#[inline(always)]
pub unsafe fn multiply_add<const C: usize, const A: usize, const B: usize>() {
    // SAFETY: guaranteed by the caller.
    unsafe {
        asm!("tdpbf16ps tmm{c}, tmm{a}, tmm{b}", c = const C, a = const A, b = const B,
             options(nostack, preserves_flags, nomem));
    }
}
