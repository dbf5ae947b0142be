//! The order in which samples are drawn.
//!
//! The training set is shuffled again in every epoch, and epochs follow each other without a gap: position t
//! = step * global_batch + i of the endless stream belongs to epoch t / samples, so a batch may span two
//! epochs, and no sample is left out. The stream depends only on the seed, and not on the rank, the number of
//! ranks or the step at which a run resumes.

use std::ops::Range;

use rand::seq::SliceRandom;

use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Reader, Stream};
use ternflock_base::split::chunk;

/// The samples of every step, the same on all ranks.
#[derive(Clone, Debug)]
pub struct Order {
    seed: u64,
    samples: usize,
    global_batch: usize,
    /// Epoch e is in slot e % 2, so that both epochs of a batch are available.
    slots: [Permutation; 2],
}

#[derive(Clone, Debug, Default)]
struct Permutation {
    epoch: Option<u64>,
    samples: Vec<usize>,
}

impl Order {
    /// The order of `samples` training samples in batches of `global_batch` over all ranks.
    ///
    /// # Errors
    /// If there is no sample, or no sample in a batch.
    pub fn new(seed: u64, samples: usize, global_batch: usize) -> Result<Self> {
        if samples == 0 || global_batch == 0 {
            return Err(Error::Usage(format!(
                "cannot draw batches of {global_batch} from {samples} training samples: both must be at least 1"
            )));
        }
        Ok(Order { seed, samples, global_batch, slots: Default::default() })
    }

    /// Replaces `out` with the samples at positions `range` of the global batch of `step`.
    ///
    /// Steps may be requested in any order; consecutive steps allocate nothing after the first two epochs.
    pub fn indices(&mut self, step: u64, range: Range<usize>, out: &mut Vec<usize>) {
        debug_assert!(range.end <= self.global_batch, "{range:?} of a batch of {}", self.global_batch);
        out.clear();
        let first = step * self.global_batch as u64;
        let mut position = first + range.start as u64;
        let end = first + range.end as u64;
        while position < end {
            let epoch = position / self.samples as u64;
            let start = (position % self.samples as u64) as usize;
            let count = (self.samples - start).min((end - position) as usize);
            out.extend_from_slice(&self.permutation(epoch)[start..start + count]);
            position += count as u64;
        }
    }

    fn permutation(&mut self, epoch: u64) -> &[usize] {
        let slot = &mut self.slots[(epoch % 2) as usize];
        if slot.epoch != Some(epoch) {
            let stream =
                Stream { seed: self.seed, purpose: Purpose::Shuffle, step: epoch, subject: 0, tensor: 0 };
            slot.samples.clear();
            slot.samples.extend(0..self.samples);
            slot.samples.shuffle(&mut Reader::new(stream));
            slot.epoch = Some(epoch);
        }
        &slot.samples
    }
}

/// The share of `rank` in `total` items, with `world` ranks. Shares are disjoint, cover all items in the
/// order of the ranks, and differ in size by at most one.
pub fn shard(total: usize, rank: usize, world: usize) -> Range<usize> {
    debug_assert!(rank < world, "rank {rank} of {world}");
    chunk(0..total, world, rank)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn batch(order: &mut Order, step: u64, range: Range<usize>) -> Vec<usize> {
        let mut out = Vec::new();
        order.indices(step, range, &mut out);
        out
    }

    /// A run must be able to resume with a later build, so the order itself is fixed, not only its
    /// properties.
    #[test]
    fn the_order_of_a_seed_stays_what_it_was() {
        let mut order = Order::new(1, 8, 8).unwrap();
        assert_eq!(batch(&mut order, 0, 0..8), [7, 2, 5, 6, 0, 4, 3, 1]);
        assert_eq!(batch(&mut order, 1, 0..8), [7, 3, 5, 0, 6, 1, 2, 4]);
    }

    #[test]
    fn seeds_and_epochs_differ() {
        let draw = |seed, step| batch(&mut Order::new(seed, 100, 100).unwrap(), step, 0..100);
        assert_ne!(draw(1, 0), draw(2, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
    }

    #[test]
    fn each_sample_is_equally_likely_to_come_first() {
        let mut order = Order::new(5, 10, 10).unwrap();
        let mut counts = [0f64; 10];
        for epoch in 0..10_000 {
            counts[batch(&mut order, epoch, 0..1)[0]] += 1.0;
        }
        // With nine degrees of freedom, one seed in a thousand exceeds 27.9 by chance.
        let chi2: f64 = counts.iter().map(|count| (count - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi2 < 27.9, "{chi2}: {counts:?}");
    }

    #[test]
    fn nothing_to_draw_is_refused() {
        assert!(Order::new(1, 0, 8).is_err());
        assert!(Order::new(1, 8, 0).is_err());
    }

    #[test]
    fn steps_in_sequence_allocate_nothing() {
        let mut order = Order::new(3, 50, 16).unwrap();
        let mut out = Vec::new();
        let buffers = |order: &Order, out: &Vec<usize>| {
            [out.as_ptr(), order.slots[0].samples.as_ptr(), order.slots[1].samples.as_ptr()]
        };
        for step in 0..7 {
            order.indices(step, 0..16, &mut out);
        }
        let before = buffers(&order, &out);
        for step in 7..100 {
            order.indices(step, 0..16, &mut out);
        }
        assert_eq!(buffers(&order, &out), before);
    }

    proptest! {
        #[test]
        fn shards_cover_and_differ_by_at_most_one(total in 0usize..1000, world in 1usize..20) {
            let shards: Vec<_> = (0..world).map(|rank| shard(total, rank, world)).collect();
            let all: Vec<_> = shards.iter().cloned().flatten().collect();
            prop_assert_eq!(all, (0..total).collect::<Vec<_>>());
            let sizes = shards.iter().map(ExactSizeIterator::len);
            prop_assert!(sizes.clone().max().unwrap() - sizes.min().unwrap() <= 1);
        }

        #[test]
        fn every_sample_comes_once_an_epoch(
            seed in any::<u64>(), samples in 1usize..200, global_batch in 1usize..500, epochs in 1usize..4
        ) {
            let mut order = Order::new(seed, samples, global_batch).unwrap();
            let steps = (samples * epochs).div_ceil(global_batch);
            let stream: Vec<_> =
                (0..steps).flat_map(|step| batch(&mut order, step as u64, 0..global_batch)).collect();
            for epoch in stream.chunks_exact(samples) {
                let mut sorted = epoch.to_vec();
                sorted.sort_unstable();
                prop_assert_eq!(sorted, (0..samples).collect::<Vec<_>>());
            }
        }

        #[test]
        fn ranks_share_one_stream_however_many_they_are(
            seed in any::<u64>(), samples in 1usize..100, global_batch in 1usize..150, world in 1usize..9,
            step in 0u64..1000
        ) {
            let whole = batch(&mut Order::new(seed, samples, global_batch).unwrap(), step, 0..global_batch);
            // Each rank starts at another step: a resumed run replays nothing.
            let mut shared = Vec::new();
            for rank in 0..world {
                let mut order = Order::new(seed, samples, global_batch).unwrap();
                let part = shard(global_batch, rank, world);
                batch(&mut order, step.saturating_sub(rank as u64 * 3), part.clone());
                shared.extend(batch(&mut order, step, part));
            }
            prop_assert_eq!(shared, whole);
        }
    }
}
