//! Runs a [`Pass`]: distributes blocks of samples and rows over the threads, each of which packs its images and
//! multiplies them with the packed weights.

use std::ops::Range;

use super::operands::Operands;
use super::pack_images::ImageRows;
use super::pack_weights::LayerWeights;
use super::pass::Pass;
use crate::blocks::{Block, Machine, Shared, most, part};
use crate::scratch::Scratch;
use crate::threads::for_each;

/// Packs the operands of correlations and multiplies them. The packed values are words of 32 bits: see
/// [`super::operands`].
pub trait Products: Copy + Send + Sync {
    /// The operands of the weight gradient, if vectors compute it.
    fn weight_gradient(self) -> Operands;

    /// The number of words per packed row of images, with `samples` words per value or pair of values.
    fn row_words(self, pass: &Pass, samples: usize) -> usize;

    /// The number of words of one group's packed weights.
    fn weight_words(self, pass: &Pass) -> usize;

    /// Packs one group's weights.
    fn pack_weights(self, pass: &Pass, machine: Machine, weights: &LayerWeights, to: &mut [f32]);

    /// Computes a slab. `packed` has room for the images of the slab and is aligned to a cache line.
    fn compute(self, slab: &Slab, packed: &mut [f32]);
}

/// Rows of outputs that are computed from one packed copy.
fn slab_rows(pass: &Pass, machine: Machine, products: impl Products) -> usize {
    most(pass.row.outputs, |rows| {
        packed_words(pass, machine, products, rows) * size_of::<f32>() <= machine.l2_budget()
    })
}

fn packed_words(pass: &Pass, machine: Machine, products: impl Products, rows: usize) -> usize {
    pass.row.most_seen(rows) * products.row_words(pass, 2 * machine.lanes)
}

/// The scratch space per thread to run `pass`, in words.
pub fn scratch(pass: &Pass, machine: Machine, products: impl Products) -> usize {
    if pass.row.outputs == 0 {
        0
    } else {
        packed_words(pass, machine, products, slab_rows(pass, machine, products))
    }
}

/// One correlation of a complete batch.
pub struct Correlation<'a, P> {
    /// The pass of each group.
    pub pass: &'a Pass,
    /// This machine.
    pub machine: Machine,
    /// The implementation of the products.
    pub products: P,
    /// Groups of filters, each with its own channels.
    pub groups: usize,
    /// N.
    pub batch: usize,
    /// The packed weights of this pass, from the first group on.
    pub weights: &'a [f32],
    /// The distance in words from the weights of one group to those of the next.
    pub weight_stride: usize,
    /// `[groups * F]`, or `None`.
    pub bias: Option<&'a [f32]>,
    /// `[groups * C, H, W, N]`.
    pub images: &'a [f32],
    /// The scratch space of each thread.
    pub scratch: &'a Scratch,
}

/// Some output rows of one group, for a block of samples.
pub struct Slab<'a> {
    /// The images that these outputs read.
    pub images: ImageRows<'a>,
    /// The output rows.
    pub outputs: Range<usize>,
    /// The group's packed weights.
    pub weights: &'a [f32],
    /// `[F]`, or `None`.
    pub bias: Option<&'a [f32]>,
    /// `[F, row.places, column.places, N]`.
    pub out: Shared,
}

impl<P: Products> Correlation<'_, P> {
    /// Computes `out` `[groups * F, places, N]`.
    pub fn compute(&self, out: &mut [f32]) {
        let pass = self.pass;
        let map = pass.row.places * pass.column.places * self.batch;
        assert_eq!(out.len(), self.groups * pass.filters * map, "the output is that of the pass");
        assert_eq!(
            self.images.len(),
            self.groups * pass.channels * pass.row.size * pass.column.size * self.batch
        );
        if pass.row.outputs == 0 || pass.column.outputs == 0 {
            return;
        }
        let blocks = self.machine.blocks(self.batch);
        let most = slab_rows(pass, self.machine, self.products);
        let slabs = pass.row.outputs.div_ceil(most);
        let out = Shared(out.as_mut_ptr());
        // Neighbouring blocks are processed one after the other: together they read complete cache lines of
        // the images.
        for_each(self.groups * slabs * blocks, |task| {
            let (group, slab) = (task / (slabs * blocks), task / blocks % slabs);
            let block = self.machine.block(self.batch, task % blocks);
            let rows = part(pass.row.outputs, most, slab);
            // SAFETY: inside the output, as asserted; tasks write different blocks, rows or groups.
            let out = Shared(unsafe { out.at(group * pass.filters * map) });
            self.slab(group, block, rows, out);
        });
    }

    fn slab(&self, group: usize, block: Block, outputs: Range<usize>, out: Shared) {
        let Correlation { pass, machine, products, batch, .. } = *self;
        let rows = pass.row.seen(outputs.clone());
        let words = rows.len() * products.row_words(pass, block.vectors * machine.lanes);
        let images = &self.images[group * pass.channels * pass.row.size * pass.column.size * batch..];
        let slab = Slab {
            images: ImageRows { pass, machine, batch, block, rows, images },
            outputs,
            weights: &self.weights[group * self.weight_stride..][..products.weight_words(pass)],
            bias: self.bias.map(|bias| &bias[group * pass.filters..][..pass.filters]),
            out,
        };
        self.scratch.with(words, |packed| products.compute(&slab, packed));
    }
}
