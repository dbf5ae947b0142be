//! Images as feeds: shuffled in every epoch for training, and in their own order for evaluation.

use std::ops::Range;

use super::feed::{Chunk, EvaluationFeed, Facts, TrainingFeed, chunks};
use super::{Augment, Fill, Images, Order, labels};
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind, Targets};

/// The shape of a sample of `images`, as the input of a network.
fn shape(images: &Images, augment: &Augment) -> Shape {
    Shape::Image { channels: images.channels, height: augment.height, width: augment.width }
}

/// Training images, in the order of [`Order`].
pub struct ImageFeed {
    images: Images,
    fill: Fill,
    augment: Augment,
    seed: u64,
    order: Order,
    /// The samples of the current batch.
    samples: Vec<usize>,
}

impl ImageFeed {
    /// Draws batches of `global_batch` over all ranks from `images`. `seed` determines the order, and
    /// together with the position of a sample also the part of its image.
    ///
    /// # Errors
    /// If there is no sample, or no sample in a batch.
    pub fn new(
        images: Images,
        fill: Fill,
        augment: Augment,
        seed: u64,
        global_batch: usize,
    ) -> Result<ImageFeed> {
        let order = Order::new(seed, images.len(), global_batch)?;
        Ok(ImageFeed { images, fill, augment, seed, order, samples: Vec::new() })
    }
}

impl TrainingFeed for ImageFeed {
    fn input(&self) -> Shape {
        shape(&self.images, &self.augment)
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(self.images.classes)
    }

    fn samples(&self) -> usize {
        self.images.len()
    }

    fn fill(
        &mut self,
        step: u64,
        part: Range<usize>,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        let first = part.start;
        self.order.indices(step, part, &mut self.samples);
        self::labels(&self.images, &self.samples, targets);
        let view = |position| self.augment.random(self.seed, step, first + position);
        self.fill.pixels(&self.images, &self.samples, &self.augment, view, input)
    }

    fn empty_classes(&self) -> Vec<usize> {
        let mut is_empty = vec![true; self.images.classes];
        self.images.labels.iter().for_each(|&label| is_empty[usize::from(label)] = false);
        (0..is_empty.len()).filter(|&class| is_empty[class]).collect()
    }

    fn hash(&self) -> u64 {
        self.images.hash()
    }

    fn facts(&self) -> Facts {
        self.images.facts()
    }
}

/// Evaluation images.
pub struct ImageSet {
    images: Images,
    fill: Fill,
    augment: Augment,
    /// The samples of the current batch.
    samples: Vec<usize>,
}

impl ImageSet {
    /// All of `images`: of each the centre, with the size that `augment` sets.
    pub fn new(images: Images, fill: Fill, augment: Augment) -> ImageSet {
        ImageSet { images, fill, augment, samples: Vec::new() }
    }
}

impl EvaluationFeed for ImageSet {
    fn input(&self) -> Shape {
        shape(&self.images, &self.augment)
    }

    fn target(&self) -> TargetKind {
        TargetKind::Class(self.images.classes)
    }

    fn items(&self) -> usize {
        self.images.len()
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        chunks(part, capacity)
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()> {
        self.samples.clear();
        self.samples.extend(chunk.items.clone());
        self::labels(&self.images, &self.samples, targets);
        let view = |_| self.augment.central();
        self.fill.pixels(&self.images, &self.samples, &self.augment, view, input)
    }

    fn hash(&self) -> u64 {
        self.images.hash()
    }

    fn facts(&self) -> Facts {
        self.images.facts()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{View, digits};
    use super::*;
    use ternflock_job as job;

    /// The batch that a rank fills follows the order, with pixels and labels.
    #[test]
    fn a_training_batch_holds_the_samples_of_its_step() {
        let images = digits::load().unwrap().train;
        let fill = Fill::new(&images, None).unwrap();
        let augment = Augment::new(None, &images).unwrap();
        let mut feed = ImageFeed::new(images.clone(), fill.clone(), augment.clone(), 3, 32).unwrap();
        let (mut samples, mut expected_targets) = (Vec::new(), Targets::default());
        Order::new(3, images.len(), 32).unwrap().indices(7, 10..21, &mut samples);
        labels(&images, &samples, &mut expected_targets);
        let mut expected = vec![0.0; 11 * 64];
        fill.pixels(&images, &samples, &augment, |_| View::WHOLE, &mut expected).unwrap();
        let (mut input, mut targets) = (vec![f32::NAN; 11 * 64], Targets::of_labels(vec![99]));
        feed.fill(7, 10..21, &mut input, &mut targets).unwrap();
        assert_eq!((input, targets), (expected, expected_targets));
    }

    #[test]
    fn chunks_hold_every_sample_once() {
        let images = digits::load().unwrap().test;
        let fill = Fill::new(&images, None).unwrap();
        let augment = Augment::new(None, &images).unwrap();
        let mut set = ImageSet::new(images.clone(), fill, augment);
        let mut seen = Vec::new();
        for part in [0..100, 100..100, 100..359] {
            for chunk in set.chunks(part, 64) {
                let mut input = vec![0.0; chunk.items.len() * 64];
                let mut targets = Targets::default();
                set.fill(&chunk, &mut input, &mut targets).unwrap();
                seen.extend(targets.labels.iter().map(|&label| label as u8));
            }
        }
        assert_eq!(seen, images.labels);
    }

    /// The samples of a batch, including crop and mirror, do not depend on the number of ranks. Those of the
    /// next epoch differ.
    #[test]
    fn augmentation_is_the_samples_whoever_fills_it() {
        let images = digits::load().unwrap().train;
        let job = job::Augment { padding: 2, crop: Some(7), mirror: true };
        let feed = || {
            let (fill, augment) =
                (Fill::new(&images, None).unwrap(), Augment::new(Some(&job), &images).unwrap());
            ImageFeed::new(images.clone(), fill, augment, 3, 8).unwrap()
        };
        let mut targets = Targets::default();
        let mut filled = |step, part: Range<usize>| {
            let (mut feed, batch) = (feed(), part.len());
            let mut input = vec![f32::NAN; batch * 49];
            feed.fill(step, part, &mut input, &mut targets).unwrap();
            // One row per sample.
            (0..batch)
                .map(|i| input.iter().skip(i).step_by(batch).copied().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        let whole = filled(11, 0..8);
        assert_eq!([filled(11, 0..3), filled(11, 3..4), filled(11, 4..8)].concat(), whole);
        assert_eq!(feed().input(), Shape::Image { channels: 1, height: 7, width: 7 });
        let plain = {
            let mut out = vec![0.0; 8 * 49];
            let augment =
                Augment::new(Some(&job::Augment { padding: 0, mirror: false, ..job }), &images).unwrap();
            let mut feed =
                ImageFeed::new(images.clone(), Fill::new(&images, None).unwrap(), augment, 3, 8).unwrap();
            feed.fill(11, 0..8, &mut out, &mut targets).unwrap();
            out
        };
        assert_ne!(whole[0], plain.iter().step_by(8).copied().collect::<Vec<_>>());
    }
}
