//! Samples as feeds: shuffled in every epoch for training, and in their own order for evaluation.

use std::ops::Range;
use std::sync::Arc;

use super::ahead::{Batch, Place, ReadAhead, Taken};
use super::shown::Shown;
use super::{Facts, Selection};
use crate::feed::{Chunk, EvaluationFeed, TrainingFeed, chunks};
use crate::{Augment, Order};
use ternflock_base::error::Result;
use ternflock_job as job;
use ternflock_nn::{Shape, TargetKind, Targets};

/// Training samples, in the order of [`Order`]. The batch that is probably next is read while the network computes.
pub struct SampleFeed {
    selection: Selection,
    shown: Shown,
    seed: u64,
    order: Order,
    ahead: Option<ReadAhead>,
    /// The batch that is not being read.
    spare: Batch,
    next: Next,
}

impl SampleFeed {
    /// Draws batches of `global_batch` over all ranks from `selection`, in the order of `seed`.
    ///
    /// # Errors
    /// If there is no sample, or no sample in a batch.
    pub fn new(selection: Selection, seed: u64, global_batch: usize) -> Result<SampleFeed> {
        let order = Order::new(seed, selection.numbers.len(), global_batch)?;
        let shown = Shown::whole(selection.samples.input());
        Ok(SampleFeed {
            selection,
            shown,
            seed,
            order,
            ahead: None,
            spare: Batch::default(),
            next: Next::new(global_batch),
        })
    }

    /// Varies images as `how` says; the seed, the step and the position of a sample determine how.
    ///
    /// # Errors
    /// If the samples are no images, or if they are smaller than the crop.
    pub fn augmented(mut self, how: Option<&job::Augment>) -> Result<SampleFeed> {
        self.shown.augment(how)?;
        Ok(self)
    }

    /// The numbers of the samples at `place`.
    fn numbers(&mut self, place: &Place, numbers: &mut Vec<usize>) {
        self.order.indices(place.0, place.1.clone(), numbers);
        numbers.iter_mut().for_each(|number| *number = self.selection.numbers[*number]);
    }

    /// The batch at `place`, which was read ahead or is read now.
    fn batch(&mut self, place: &Place) -> Result<Batch> {
        let taken = self.ahead.as_mut().map_or(Ok(None), |ahead| ahead.take(place))?;
        let mut batch = match taken {
            Some(Taken { batch, read: Some(read) }) => return read.map(|()| batch),
            Some(Taken { batch, read: None }) => batch,
            None => std::mem::take(&mut self.spare),
        };
        self.numbers(place, &mut batch.numbers);
        batch.read(&*self.selection.samples)?;
        Ok(batch)
    }
}

impl TrainingFeed for SampleFeed {
    fn input(&self) -> Shape {
        self.shown.input()
    }

    fn target(&self) -> TargetKind {
        self.selection.samples.target()
    }

    fn samples(&self) -> usize {
        self.selection.numbers.len()
    }

    fn fill(
        &mut self,
        step: u64,
        part: Range<usize>,
        input: &mut [f32],
        targets: &mut Targets,
    ) -> Result<()> {
        let (place, first, seed) = ((step, part.clone()), part.start, self.seed);
        let mut batch = self.batch(&place)?;
        let view = |augment: &Augment, position| augment.random(seed, step, first + position);
        self.shown.write(&batch.inputs, view, input)?;
        std::mem::swap(targets, &mut batch.targets);
        let next = self.next.after(place);
        self.numbers(&next, &mut batch.numbers);
        if self.ahead.is_none() {
            self.ahead = Some(ReadAhead::new(Arc::clone(&self.selection.samples))?);
        }
        if let Some(ahead) = &mut self.ahead {
            ahead.begin(next, batch);
        }
        Ok(())
    }

    fn empty_classes(&self) -> Vec<usize> {
        self.selection.empty_classes()
    }

    fn remarks(&self) -> Vec<String> {
        self.selection.samples.remarks()
    }

    fn class_counts(&self) -> Option<Vec<u64>> {
        self.selection.class_counts()
    }

    fn target_scale(&self) -> Option<&[f32]> {
        self.selection.samples.target_scale()
    }

    fn hash(&self) -> u64 {
        self.selection.samples.hash()
    }

    fn facts(&self) -> Facts {
        self.selection.facts()
    }
}

/// Which batch follows: steps share their parts in the same way.
struct Next {
    /// No part goes beyond it.
    global_batch: usize,
    /// The present step.
    step: u64,
    /// Its parts so far.
    parts: Vec<Range<usize>>,
    /// The number of parts of the step before; 0 if there was none.
    per_step: usize,
}

impl Next {
    fn new(global_batch: usize) -> Next {
        Next { global_batch, step: 0, parts: Vec::new(), per_step: 0 }
    }

    /// The place that probably follows `place`.
    fn after(&mut self, (step, part): Place) -> Place {
        if step != self.step {
            self.per_step = self.parts.len();
            self.step = step;
            self.parts.clear();
        }
        // The parts of a step are equally long and follow each other.
        let following = part.end..(part.end + part.len()).min(self.global_batch);
        self.parts.push(part);
        match self.parts.len() < self.per_step {
            true => (step, following),
            false => (step + 1, self.parts[0].clone()),
        }
    }
}

/// Evaluation samples.
pub struct SampleSet {
    selection: Selection,
    shown: Shown,
    /// The present batch.
    batch: Batch,
}

impl SampleSet {
    /// All of `selection`.
    pub fn new(selection: Selection) -> SampleSet {
        let shown = Shown::whole(selection.samples.input());
        SampleSet { selection, shown, batch: Batch::default() }
    }

    /// Uses the centre of images, in the size to which `how` crops them.
    ///
    /// # Errors
    /// If the samples are no images, or if they are smaller than the crop.
    pub fn augmented(mut self, how: Option<&job::Augment>) -> Result<SampleSet> {
        self.shown.augment(how)?;
        Ok(self)
    }
}

impl EvaluationFeed for SampleSet {
    fn input(&self) -> Shape {
        self.shown.input()
    }

    fn target(&self) -> TargetKind {
        self.selection.samples.target()
    }

    fn class_names(&self) -> Option<&[String]> {
        self.selection.samples.class_names()
    }

    fn items(&self) -> usize {
        self.selection.numbers.len()
    }

    fn chunks(&self, part: Range<usize>, capacity: usize) -> Vec<Chunk> {
        chunks(part, capacity)
    }

    fn fill(&mut self, chunk: &Chunk, input: &mut [f32], targets: &mut Targets) -> Result<()> {
        let batch = &mut self.batch;
        batch.numbers.clear();
        batch.numbers.extend_from_slice(&self.selection.numbers[chunk.items.clone()]);
        batch.read(&*self.selection.samples)?;
        std::mem::swap(targets, &mut batch.targets);
        self.shown.write(&batch.inputs, |augment, _| augment.central(), input)
    }

    fn target_scale(&self) -> Option<&[f32]> {
        self.selection.samples.target_scale()
    }

    fn hash(&self) -> u64 {
        self.selection.samples.hash()
    }

    fn facts(&self) -> Facts {
        self.selection.facts()
    }
}
