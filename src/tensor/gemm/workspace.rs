//! Buffers for packed operands and for strips of results.

use std::sync::{Mutex, PoisonError};

use super::arithmetic::{Arithmetic, MOST_WORDS};
use super::blocked::{BLOCK_WORDS, OUTER_LINES};
use super::strip;
use crate::buffers::Buffers;
use crate::scratch::Scratch;
use crate::threads::threads;

/// Buffers for the packed operands of products, one product at a time.
pub struct Workspace {
    /// The operands of each thread.
    operands: Scratch,
    /// The number of threads.
    threads: usize,
}

impl Workspace {
    /// For products of the given sizes `[m, n, k]`, or smaller ones.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(
        arithmetic: Arithmetic,
        sizes: &[[usize; 3]],
        buffers: &mut Buffers,
    ) -> Result<Workspace, String> {
        let words = sizes.iter().map(|&sizes| needed_words(arithmetic, sizes)).max().unwrap_or(0);
        Ok(Workspace { operands: Scratch::new(words, buffers)?, threads: threads() })
    }

    /// Calls `work` with this thread's buffers for two operands and a strip of `c`, in these lengths. A buffer that is
    /// too short is enlarged.
    pub fn with<R>(&self, lengths: [usize; 3], work: impl FnOnce([&mut [u32]; 2], &mut [f32]) -> R) -> R {
        self.operands.with(lengths.iter().sum(), |words| {
            let (operands, strip) = words.split_at_mut(lengths[0] + lengths[1]);
            let (first, second) = bytemuck::cast_slice_mut(operands).split_at_mut(lengths[0]);
            work([first, second], strip)
        })
    }
}

#[cfg(test)]
impl Workspace {
    /// The lengths of the buffers.
    pub fn lengths(&self) -> Vec<usize> {
        self.operands.lengths()
    }
}

/// The number of words that a thread needs for both operands and a strip of a product `[m, n, k]`, with any number of
/// threads. It is the maximum over both roles of the operands, since the order of `c` decides which operand lies along
/// vectors.
fn needed_words(arithmetic: Arithmetic, [m, n, k]: [usize; 3]) -> usize {
    let words = arithmetic.words(k).min(MOST_WORDS);
    let cuts = [arithmetic.rows(), arithmetic.columns(), arithmetic.streamed_columns()];
    let (shorter, longer) = (m.min(n), m.max(n));
    // A part can have a panel more than its lines alone would need, because panels are not all full.
    let outer =
        cuts.map(|cut| words * cut.width * (cut.panels(shorter) + 1).min((OUTER_LINES / cut.most).max(1)));
    let columns = longer.next_multiple_of(cuts[1].width).min(strip::MOST_COLUMNS);
    let strip = strip::length(arithmetic, [m, n], columns);
    let inner = cuts.map(|cut| {
        let panel = words * cut.width;
        panel * cut.panels(longer).min((BLOCK_WORDS / panel.max(1)).max(1))
    });
    let most = |lengths: [usize; 3]| lengths.into_iter().fold(0, usize::max);
    most(outer) + most(inner) + strip
}

/// Calls `work` with a workspace that no other code uses at that time. Workspaces are kept for later calls.
pub fn with_any<R>(work: impl FnOnce(&Workspace) -> R) -> R {
    static IDLE: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = idle().pop().filter(|own| own.threads == threads());
    let own = own.unwrap_or_else(Workspace::empty);
    let result = work(&own);
    idle().push(own);
    result
}

impl Workspace {
    /// Grows with its first products.
    fn empty() -> Workspace {
        match Workspace::new(Arithmetic::Float32, &[], &mut Buffers::allocating()) {
            Ok(workspace) => workspace,
            Err(error) => unreachable!("empty buffers: {error}"),
        }
    }
}
