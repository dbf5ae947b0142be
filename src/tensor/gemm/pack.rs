//! Copies the operands of a product into the order in which a micro-kernel reads them ([`super::lines`]), in
//! the format that it computes in.

use std::ops::Range;

use ternflock_base::split::chunk;

use super::arithmetic::Arithmetic;
#[cfg(not(target_arch = "x86_64"))]
use super::format::Format as AnyFormat;
use super::format::{Float32, PairedBf16, RoundedBf16};
use super::lines::Lines;
#[cfg(target_arch = "x86_64")]
use super::pack_avx512::{self, Vectors as AnyFormat};
use super::pack_portable::Packing;
use crate::blocks::Shared;
use crate::threads::for_each;

/// Packs the words `words` of each of the `panels` of `lines` to `to`. Words of a panel that belong to no line have
/// unspecified values.
pub fn pack(
    arithmetic: Arithmetic,
    lines: &Lines<'_>,
    panels: Range<usize>,
    words: Range<usize>,
    to: &mut [u32],
) {
    let to = &mut to[..panels.len() * words.len() * lines.cut.width];
    match arithmetic {
        Arithmetic::Float32 => in_format::<Float32>(arithmetic, lines, panels, words, to),
        Arithmetic::RoundedBf16 => in_format::<RoundedBf16>(arithmetic, lines, panels, words, to),
        Arithmetic::PairedBf16 | Arithmetic::TiledBf16 => {
            in_format::<PairedBf16>(arithmetic, lines, panels, words, to)
        }
    }
}

fn in_format<F: AnyFormat>(
    arithmetic: Arithmetic,
    lines: &Lines<'_>,
    panels: Range<usize>,
    words: Range<usize>,
    to: &mut [u32],
) {
    let lanes = arithmetic.lanes();
    #[cfg(target_arch = "x86_64")]
    if lanes == 16 && lines.are_in_order() {
        // SAFETY: only AVX-512 has so many lanes, and only machines with AVX512_BF16 use pairs.
        return unsafe { pack_avx512::pack::<F>(lines, panels, words, to) };
    }
    let packing = Packing { lines, panels, words };
    if lines.cut.width.is_multiple_of(8) && lanes > 1 {
        packing.pack::<F, 8>(to);
    } else {
        packing.pack::<F, 1>(to);
    }
}

/// [`pack`], on up to `threads` threads.
pub fn pack_on_threads(
    arithmetic: Arithmetic,
    lines: &Lines<'_>,
    panels: Range<usize>,
    words: Range<usize>,
    threads: usize,
    to: &mut [u32],
) {
    let parts = if threads == 1 { 1 } else { panels.len().div_ceil(PACKED_TOGETHER) };
    let panel = words.len() * lines.cut.width;
    assert!(panels.len() * panel <= to.len());
    let shared = Shared(to.as_mut_ptr().cast());
    for_each(parts, |part| {
        let own = chunk(panels.clone(), parts, part);
        let first = (own.start - panels.start) * panel;
        // SAFETY: the panels of one part, which are inside `to` as asserted and belong to no other part.
        let to = unsafe { std::slice::from_raw_parts_mut(shared.at(first).cast(), own.len() * panel) };
        pack(arithmetic, lines, own, words.clone(), to);
    });
}

/// Panels that a thread packs in one go.
const PACKED_TOGETHER: usize = 8;
