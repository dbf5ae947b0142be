//! Samples as feeds: shuffled in every epoch for training, and in their own order for evaluation.

use std::ops::Range;

use super::layout::{parts_to_input, to_input};
use super::{Facts, Selection};
use crate::feed::{Chunk, EvaluationFeed, TrainingFeed, chunks};
use crate::{Augment, Order, View};
use ternflock_base::error::{Error, Result};
use ternflock_job as job;
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::xxh3_64;

/// Training samples, in the order of [`Order`].
pub struct SampleFeed {
    reader: Reader,
    seed: u64,
    order: Order,
    /// The places in the selection of the current batch.
    places: Vec<usize>,
}

impl SampleFeed {
    /// Draws batches of `global_batch` over all ranks from `selection`, in the order of `seed`.
    ///
    /// # Errors
    /// If there is no sample, or no sample in a batch.
    pub fn new(selection: Selection, seed: u64, global_batch: usize) -> Result<SampleFeed> {
        let order = Order::new(seed, selection.numbers.len(), global_batch)?;
        Ok(SampleFeed { reader: Reader::new(selection), seed, order, places: Vec::new() })
    }

    /// Varies images as `how` says; the seed, the step and the position of a sample determine how.
    ///
    /// # Errors
    /// If the samples are no images, or if they are smaller than the crop.
    pub fn augmented(mut self, how: Option<&job::Augment>) -> Result<SampleFeed> {
        self.reader.augment(how)?;
        Ok(self)
    }
}

impl TrainingFeed for SampleFeed {
    fn input(&self) -> Shape {
        self.reader.input()
    }

    fn target(&self) -> TargetKind {
        self.reader.selection.samples.target()
    }

    fn samples(&self) -> usize {
        self.reader.selection.numbers.len()
    }

    fn fill(
        &mut self,
        step: u64,
        part: Range<usize>,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        let (first, seed) = (part.start, self.seed);
        self.order.indices(step, part, &mut self.places);
        let view = |augment: &Augment, position| augment.random(seed, step, first + position);
        self.reader.fill(self.places.iter().copied(), view, input, targets)
    }

    fn empty_classes(&self) -> Vec<usize> {
        self.reader.selection.empty_classes()
    }

    fn remarks(&self) -> Vec<String> {
        self.reader.selection.samples.remarks()
    }

    fn target_scale(&self) -> Option<&[f32]> {
        self.reader.selection.samples.target_scale()
    }

    fn hash(&self) -> u64 {
        self.reader.selection.samples.hash()
    }

    fn facts(&self) -> Facts {
        self.reader.facts()
    }
}

/// Evaluation samples.
pub struct SampleSet {
    reader: Reader,
}

impl SampleSet {
    /// All of `selection`.
    pub fn new(selection: Selection) -> SampleSet {
        SampleSet { reader: Reader::new(selection) }
    }

    /// Uses the centre of images, in the size to which `how` crops them.
    ///
    /// # Errors
    /// If the samples are no images, or if they are smaller than the crop.
    pub fn augmented(mut self, how: Option<&job::Augment>) -> Result<SampleSet> {
        self.reader.augment(how)?;
        Ok(self)
    }
}

impl EvaluationFeed for SampleSet {
    fn input(&self) -> Shape {
        self.reader.input()
    }

    fn target(&self) -> TargetKind {
        self.reader.selection.samples.target()
    }

    fn class_names(&self) -> Option<&[String]> {
        self.reader.selection.samples.class_names()
    }

    fn items(&self) -> usize {
        self.reader.selection.numbers.len()
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        chunks(part, capacity)
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()> {
        self.reader.fill(chunk.items.clone(), |augment, _| augment.central(), input, targets)
    }

    fn target_scale(&self) -> Option<&[f32]> {
        self.reader.selection.samples.target_scale()
    }

    fn hash(&self) -> u64 {
        self.reader.selection.samples.hash()
    }

    fn facts(&self) -> Facts {
        self.reader.facts()
    }
}

/// Reads batches of a selection into the layout of a network's input.
struct Reader {
    selection: Selection,
    augment: Option<Augment>,
    /// The samples of the current batch.
    numbers: Vec<usize>,
    /// Their inputs, one after another.
    values: Vec<f32>,
}

impl Reader {
    fn new(selection: Selection) -> Reader {
        Reader { selection, augment: None, numbers: Vec::new(), values: Vec::new() }
    }

    /// Uses parts of images, whose size `how` sets.
    fn augment(&mut self, how: Option<&job::Augment>) -> Result<()> {
        self.augment = match (how, self.selection.samples.input()) {
            (None, _) => None,
            (how, Shape::Image { height, width, .. }) => Some(Augment::of_size(how, [height, width])?),
            (_, shape) => {
                let message = format!("images are padded, cropped and mirrored, but the samples are {shape}");
                return Err(Error::Usage(message));
            }
        };
        Ok(())
    }

    /// The shape of a sample as the network sees it.
    fn input(&self) -> Shape {
        match (self.selection.samples.input(), &self.augment) {
            (Shape::Image { channels, .. }, Some(augment)) => {
                Shape::Image { channels, height: augment.height, width: augment.width }
            }
            (shape, _) => shape,
        }
    }

    /// Reads the samples at `places` of the selection. `view` selects the part of an image by its position in the batch.
    fn fill(
        &mut self,
        places: impl Iterator<Item = usize>,
        view: impl Fn(&Augment, usize) -> View,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        self.numbers.clear();
        self.numbers.extend(places.map(|place| self.selection.numbers[place]));
        let samples = &*self.selection.samples;
        self.values.resize(self.numbers.len() * samples.input().elements(), 0.0);
        samples.read(&self.numbers, &mut self.values, targets)?;
        match &self.augment {
            None => to_input(samples.input(), &self.values, input),
            Some(augment) => {
                let view = |position| view(augment, position);
                parts_to_input(samples.input(), &self.values, augment, view, input)
            }
        }
    }

    /// The facts of the complete set, the number of samples that are selected, and which these are.
    fn facts(&self) -> Facts {
        let numbers = &self.selection.numbers;
        let mut facts = self.selection.samples.facts();
        facts.retain(|(name, _)| *name != "samples");
        facts.insert(0, ("samples", numbers.len().to_string()));
        facts.push(("selection", format!("{:016x}", xxh3_64(bytemuck::cast_slice(numbers)))));
        facts
    }
}
