//! Samples as feeds: shuffled in every epoch for training, and in their own order for evaluation.

use std::ops::Range;
use std::sync::Arc;

use super::ahead::{Batch, Place, ReadAhead, Taken};
use super::layout::to_input;
use super::{Facts, Selection};
use crate::Order;
use crate::feed::{Chunk, EvaluationFeed, TrainingFeed, chunks};
use ternflock_base::error::Result;
use ternflock_nn::{Shape, TargetKind, Targets};

/// Training samples, in the order of [`Order`]. The batch that is probably next is read while the network computes.
pub struct SampleFeed {
    selection: Selection,
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
        Ok(SampleFeed {
            selection,
            order,
            ahead: None,
            spare: Batch::default(),
            next: Next::new(global_batch),
        })
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
        self.selection.samples.input()
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
        let place = (step, part);
        let mut batch = self.batch(&place)?;
        to_input(self.selection.samples.input(), &batch.inputs, input)?;
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
    /// The present batch.
    batch: Batch,
}

impl SampleSet {
    /// All of `selection`.
    pub fn new(selection: Selection) -> SampleSet {
        SampleSet { selection, batch: Batch::default() }
    }
}

impl EvaluationFeed for SampleSet {
    fn input(&self) -> Shape {
        self.selection.samples.input()
    }

    fn target(&self) -> TargetKind {
        self.selection.samples.target()
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
        to_input(self.selection.samples.input(), &batch.inputs, input)
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
