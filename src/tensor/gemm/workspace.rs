//! Buffers for packed operands.

use std::sync::{Mutex, PoisonError};

use super::arithmetic::Arithmetic;
use super::blocked::{BLOCK_WORDS, MOST_WORDS, SHARED_LINES};
use crate::blocks::{Line, room};
use crate::buffers::Buffers;
use crate::scratch::Scratch;
use crate::threads::threads;

/// Buffers for the packed operands of products, one product at a time.
pub struct Workspace {
    /// The operand that all threads share.
    shared: Vec<Line>,
    /// The block of each thread.
    blocks: Scratch,
    /// The number of blocks.
    threads: usize,
}

impl Workspace {
    /// For products of the given sizes `[m, n, k]`.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(
        arithmetic: Arithmetic,
        sizes: &[[usize; 3]],
        buffers: &mut Buffers,
    ) -> Result<Workspace, String> {
        let needs = sizes.iter().map(|&sizes| needs(arithmetic, sizes));
        let (shared, block) = needs.fold((0, 0), |most, needs| (most.0.max(needs.0), most.1.max(needs.1)));
        Ok(Workspace {
            shared: room(shared, buffers)?,
            blocks: Scratch::new(block, buffers)?,
            threads: threads(),
        })
    }

    /// The shared buffer, `words` long, and those of the threads. A buffer that is too short is enlarged.
    pub fn split(&mut self, words: usize) -> (&mut [u32], &Scratch) {
        if self.shared.len() * size_of::<Line>() < words * size_of::<u32>() {
            self.shared = vec![Line::default(); words.div_ceil(16)];
        }
        let shared: &mut [u32] = bytemuck::cast_slice_mut(&mut self.shared);
        (&mut shared[..words], &self.blocks)
    }
}

#[cfg(test)]
impl Workspace {
    /// The lengths of the buffers.
    pub fn lengths(&mut self) -> Vec<usize> {
        std::iter::once(self.shared.len()).chain(self.blocks.lengths()).collect()
    }
}

/// Words of the shared part, and of a block, for a product `[m, n, k]`: the maximum of both roles of the
/// operands, since the order of `c` decides which lies along vectors.
fn needs(arithmetic: Arithmetic, [m, n, k]: [usize; 3]) -> (usize, usize) {
    let words = arithmetic.words(k).min(MOST_WORDS);
    let cuts = [arithmetic.rows(), arithmetic.columns()];
    let (shorter, longer) = (m.min(n), m.max(n));
    let shared =
        cuts.map(|cut| words * cut.width * cut.panels(shorter).min(SHARED_LINES.div_ceil(cut.most) + 1));
    let block = cuts.map(|cut| {
        let panel = words * cut.width;
        panel * cut.panels(longer).min((BLOCK_WORDS / panel.max(1)).max(1))
    });
    (shared[0].max(shared[1]), block[0].max(block[1]))
}

/// Calls `work` with a workspace that no other code uses at that time. Workspaces are kept for later calls.
pub fn with_any<R>(work: impl FnOnce(&mut Workspace) -> R) -> R {
    static IDLE: Mutex<Vec<Workspace>> = Mutex::new(Vec::new());
    let idle = || IDLE.lock().unwrap_or_else(PoisonError::into_inner);
    let own = idle().pop().filter(|own| own.threads == threads());
    let mut own = own.unwrap_or_else(Workspace::empty);
    let result = work(&mut own);
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
