//! How a rank computes its part of a global batch: at once, or one micro-batch after another.

use std::ops::Range;

use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_data::shard;
use ternflock_job::Train;

/// The sizes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Samples of a step, over all ranks.
    global: usize,
    /// Maximum number of samples that a rank computes at a time.
    micro: usize,
}

impl Batch {
    /// The sizes that `train` sets.
    pub fn of(train: &Train) -> Batch {
        Batch { global: train.global_batch, micro: train.micro_batch.unwrap_or(train.global_batch) }
    }

    /// Samples of a step, over all ranks.
    pub fn global(&self) -> usize {
        self.global
    }

    /// The size of the largest part that a rank of `world` has.
    pub fn share(&self, world: usize) -> usize {
        self.global.div_ceil(world)
    }

    /// The maximum number of samples that a rank of `world` computes at a time, which is the capacity that a
    /// network needs.
    pub fn at_a_time(&self, world: usize) -> usize {
        self.size(self.share(world))
    }

    /// The same for a rank whose part has `part` samples: all of them, unless they exceed a micro-batch.
    pub fn size(&self, part: usize) -> usize {
        part.min(self.micro)
    }

    /// The micro-batches of `part`, in their order.
    pub fn micro_batches(&self, part: Range<usize>) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = self.size(part.len()).max(1);
        part.clone().step_by(size).map(move |first| first..part.end.min(first + size))
    }

    /// Refuses a micro-batch that does not divide the part of some rank of `world`.
    pub fn check(&self, world: usize) -> Result<()> {
        // Parts differ by one sample at most: the first and the last rank cover both sizes.
        let parts = [0, world - 1].map(|rank| shard(self.global, rank, world).len());
        let uneven = parts.into_iter().find(|&part| part > self.micro && !part.is_multiple_of(self.micro));
        uneven.map_or(Ok(()), |part| {
            Err(Error::Usage(format!(
                "a micro-batch of {} does not divide the {} that a rank computes in a step ({} over {})",
                self.micro,
                plural(part, "sample"),
                self.global,
                plural(world, "rank")
            )))
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_micro_batch_divides_the_part_of_every_rank() {
        assert!(Batch { global: 64, micro: 16 }.check(4).is_ok());
        // 7 and 6 samples.
        let error = Batch { global: 13, micro: 3 }.check(2).unwrap_err().to_string();
        assert!(error.contains("micro-batch of 3 does not divide the 7 samples"), "{error}");
        let error = Batch { global: 13, micro: 7 }.check(1).unwrap_err().to_string();
        assert!(error.contains("does not divide the 13 samples that a rank computes"), "{error}");
        // A smaller part is computed at once.
        assert!(Batch { global: 13, micro: 7 }.check(2).is_ok());
    }

    proptest! {
        #[test]
        fn micro_batches_cover_a_part_in_order(
            micro in 1usize..20, count in 1usize..9, world in 1usize..6, rank in 0usize..6
        ) {
            let rank = rank % world;
            let batch = Batch { global: micro * count * world, micro };
            prop_assert!(batch.check(world).is_ok());
            let part = shard(batch.global, rank, world);
            let all: Vec<_> = batch.micro_batches(part.clone()).collect();
            prop_assert_eq!(all.len(), count);
            prop_assert!(all.iter().all(|range| range.len() == micro && micro <= batch.at_a_time(world)));
            prop_assert_eq!(all.into_iter().flatten().collect::<Vec<_>>(), part.collect::<Vec<_>>());
        }
    }
}
