//! Images as feeds: shuffled afresh every epoch to train on, in their own order to evaluate on.

use std::ops::Range;

use super::feed::{Chunk, EvaluationFeed, TrainingFeed};
use super::{Fill, Images, Order, labels};
use crate::error::Result;
use crate::nn::Shape;

impl Images {
    /// The shape of a sample, as a network takes it.
    pub fn shape(&self) -> Shape {
        Shape::Image { channels: self.channels, height: self.height, width: self.width }
    }
}

/// Images to train on, in the order of [`Order`].
pub struct ImageFeed {
    images: Images,
    fill: Fill,
    order: Order,
    /// The samples of the batch under way.
    samples: Vec<usize>,
}

impl ImageFeed {
    /// Draws batches of `global_batch` over all ranks from `images`, in the order that `seed` says.
    ///
    /// # Errors
    /// When there is no sample, or none in a batch.
    pub fn new(images: Images, fill: Fill, seed: u64, global_batch: usize) -> Result<ImageFeed> {
        let order = Order::new(seed, images.len(), global_batch)?;
        Ok(ImageFeed { images, fill, order, samples: Vec::new() })
    }
}

impl TrainingFeed for ImageFeed {
    fn input(&self) -> Shape {
        self.images.shape()
    }

    fn classes(&self) -> usize {
        self.images.classes
    }

    fn samples(&self) -> usize {
        self.images.len()
    }

    fn fill(
        &mut self,
        step: u64,
        part: Range<usize>,
        input: &mut [f32],
        labels: &mut Vec<usize>,
    ) -> Result<()> {
        self.order.indices(step, part, &mut self.samples);
        self::labels(&self.images, &self.samples, labels);
        self.fill.pixels(&self.images, &self.samples, input)
    }

    fn hash(&self) -> u64 {
        self.images.hash()
    }
}

/// Images to evaluate on.
pub struct ImageSet {
    images: Images,
    fill: Fill,
    /// The samples of the batch under way.
    samples: Vec<usize>,
}

impl ImageSet {
    /// All of `images`.
    pub fn new(images: Images, fill: Fill) -> ImageSet {
        ImageSet { images, fill, samples: Vec::new() }
    }
}

impl EvaluationFeed for ImageSet {
    fn input(&self) -> Shape {
        self.images.shape()
    }

    fn classes(&self) -> usize {
        self.images.classes
    }

    fn items(&self) -> usize {
        self.images.len()
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        let firsts = part.clone().step_by(capacity);
        firsts.map(|first| Chunk { items: first..part.end.min(first + capacity), window: 0 }).collect()
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], labels: &mut Vec<usize>) -> Result<()> {
        self.samples.clear();
        self.samples.extend(chunk.items.clone());
        self::labels(&self.images, &self.samples, labels);
        self.fill.pixels(&self.images, &self.samples, input)
    }

    fn hash(&self) -> u64 {
        self.images.hash()
    }
}

#[cfg(test)]
mod tests {
    use super::super::digits;
    use super::*;

    /// The batch that a rank fills is the order's, pixels and labels.
    #[test]
    fn a_training_batch_holds_the_samples_of_its_step() {
        let images = digits::load().unwrap().train;
        let fill = Fill::new(&images, None).unwrap();
        let mut feed = ImageFeed::new(images.clone(), fill.clone(), 3, 32).unwrap();
        let (mut samples, mut expected_labels) = (Vec::new(), Vec::new());
        Order::new(3, images.len(), 32).unwrap().indices(7, 10..21, &mut samples);
        self::labels(&images, &samples, &mut expected_labels);
        let mut expected = vec![0.0; 11 * 64];
        fill.pixels(&images, &samples, &mut expected).unwrap();
        let (mut input, mut labels) = (vec![f32::NAN; 11 * 64], vec![99]);
        feed.fill(7, 10..21, &mut input, &mut labels).unwrap();
        assert_eq!((input, labels), (expected, expected_labels));
    }

    #[test]
    fn chunks_hold_every_sample_once() {
        let images = digits::load().unwrap().test;
        let fill = Fill::new(&images, None).unwrap();
        let mut set = ImageSet::new(images.clone(), fill);
        let mut seen = Vec::new();
        for part in [0..100, 100..100, 100..359] {
            for chunk in set.chunks(part, 64) {
                let mut input = vec![0.0; chunk.items.len() * 64];
                let mut labels = Vec::new();
                set.fill(&chunk, &mut input, &mut labels).unwrap();
                seen.extend(labels.iter().map(|&label| label as u8));
            }
        }
        assert_eq!(seen, images.labels);
    }
}
