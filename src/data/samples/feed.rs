//! Samples as feeds: shuffled in every epoch for training, and in their own order for evaluation.

use std::ops::Range;

use super::layout::to_input;
use super::{Facts, Selection};
use crate::Order;
use crate::feed::{Chunk, EvaluationFeed, TrainingFeed, chunks};
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind, Targets};
use xxhash_rust::xxh3::xxh3_64;

/// Training samples, in the order of [`Order`].
pub struct SampleFeed {
    reader: Reader,
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
        Ok(SampleFeed { reader: Reader::new(selection), order, places: Vec::new() })
    }
}

impl TrainingFeed for SampleFeed {
    fn input(&self) -> Shape {
        self.reader.selection.samples.input()
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
        self.order.indices(step, part, &mut self.places);
        self.reader.fill(self.places.iter().copied(), input, targets)
    }

    fn empty_classes(&self) -> Vec<usize> {
        self.reader.selection.empty_classes()
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
}

impl EvaluationFeed for SampleSet {
    fn input(&self) -> Shape {
        self.reader.selection.samples.input()
    }

    fn target(&self) -> TargetKind {
        self.reader.selection.samples.target()
    }

    fn items(&self) -> usize {
        self.reader.selection.numbers.len()
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        chunks(part, capacity)
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()> {
        self.reader.fill(chunk.items.clone(), input, targets)
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
    /// The samples of the current batch.
    numbers: Vec<usize>,
    /// Their inputs, one after another.
    values: Vec<f32>,
}

impl Reader {
    fn new(selection: Selection) -> Reader {
        Reader { selection, numbers: Vec::new(), values: Vec::new() }
    }

    /// Reads the samples at `places` of the selection.
    fn fill(
        &mut self,
        places: impl Iterator<Item = usize>,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        self.numbers.clear();
        self.numbers.extend(places.map(|place| self.selection.numbers[place]));
        let samples = &*self.selection.samples;
        self.values.resize(self.numbers.len() * samples.input().elements(), 0.0);
        samples.read(&self.numbers, &mut self.values, targets)?;
        to_input(samples.input(), &self.values, input)
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
