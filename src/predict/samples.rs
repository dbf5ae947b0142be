//! What a network computes for samples. Letters: N samples of a batch, K outputs.

use std::ops::Range;

use crate::inputs::{Collection, Stored};
use crate::{Field, Give, Items, Kind, Predictor, Preparation, Problem, Rows, Trained};
use ternflock_base::error::{Error, Result};
use ternflock_data::to_input;
use ternflock_nn::layer::Mode;
use ternflock_nn::{Execution, Network, Shape};
use ternflock_tensor::{for_each_row, rows_mut};
use ternflock_train::restore_network;

/// What of the outputs is in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// The outputs as they are.
    Raw,
    /// This many of the most likely classes, with their probabilities: the softmax of the outputs.
    Classes(usize),
}

/// A network that reads samples in batches.
pub struct SamplePredictor {
    collection: Collection,
    preparation: Preparation,
    network: Network,
    outputs: Outputs,
    fields: Vec<Field>,
    path: std::path::PathBuf,
    /// The samples of a batch, one after another.
    samples: Vec<f32>,
    /// Scratch space: classes by their outputs.
    order: Vec<u32>,
}

impl SamplePredictor {
    /// The network of `trained` for the samples of `collection`, which `preparation` prepares.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] if the network does not end in a vector; those of building it.
    pub fn new(
        trained: &Trained,
        collection: Collection,
        preparation: Preparation,
        execution: Execution,
        outputs: Outputs,
    ) -> Result<SamplePredictor> {
        let Shape::Vector { features: classes } = trained.graph.output() else {
            let ends = trained.graph.output().described();
            return Err(trained.refuse(format!("its network ends in {ends}, not in a vector per sample")));
        };
        let field = |name, width, kind| Field { name, width, kind };
        let (outputs, fields) = match outputs {
            Outputs::Raw => (outputs, vec![field("output", classes, Kind::Real)]),
            Outputs::Classes(top) => {
                let top = top.min(classes);
                (
                    Outputs::Classes(top),
                    vec![field("class", top, Kind::Class), field("probability", top, Kind::Real)],
                )
            }
        };
        let network = restore_network(&trained.path, &trained.snapshot, execution)?;
        let samples = vec![0.0; execution.batch * trained.graph.input().elements()];
        let (path, order) = (trained.path.clone(), Vec::new());
        Ok(SamplePredictor { collection, preparation, network, outputs, fields, path, samples, order })
    }

    /// Reads the samples `items` into the network's input. An item with a problem is all zero, and so is the rest of the
    /// batch: another number of samples may be computed by other kernels, which round otherwise, and predictions must not
    /// depend on the number of ranks.
    fn fill(&mut self, items: Range<usize>) -> Result<Vec<Problem>> {
        let (count, size) = (items.len(), self.preparation.input().elements());
        let (samples, rest) = self.samples.split_at_mut(count * size);
        rest.fill(0.0);
        let mut reasons = vec![String::new(); count];
        let (collection, preparation) = (&self.collection, &self.preparation);
        for_each_row((rows_mut(samples, size), rows_mut(&mut reasons, 1)), |row, (out, reason)| {
            let mut stored = Stored::default();
            let read = collection.read(items.start + row, &mut stored);
            if let Err(problem) = read.and_then(|()| preparation.prepare(&stored, out)) {
                out.fill(0.0);
                reason[0] = problem;
            }
        });
        let batch = self.network.capacity();
        to_input(preparation.input(), &self.samples, self.network.input_mut(batch))?;
        let problems = reasons.into_iter().enumerate().filter(|(_, reason)| !reason.is_empty());
        Ok(problems.map(|(row, reason)| Problem { item: items.start + row, reason }).collect())
    }
}

impl Predictor for SamplePredictor {
    fn items(&self) -> &dyn Items {
        &self.collection
    }

    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn class_names(&self) -> &[String] {
        self.preparation.class_names()
    }

    fn run(&mut self, range: Range<usize>, give: Give) -> Result<()> {
        let (capacity, width) = (self.network.capacity(), self.width());
        for first in range.clone().step_by(capacity) {
            let batch = first..range.end.min(first + capacity);
            let problems = self.fill(batch.clone())?;
            // Samples are independent of each other.
            for (_, state) in self.network.recurrent_state() {
                state.values.fill(0.0);
            }
            let outputs = self.network.forward(capacity, Mode::Evaluate);
            if !outputs.iter().all(|output| output.is_finite()) {
                let cause = self.network.first_non_finite().unwrap_or_default();
                return Err(Error::checkpoint(&self.path, format!("its outputs are not finite: {cause}")));
            }
            let classes = outputs.len() / capacity;
            let mut values = Vec::with_capacity(batch.len() * width);
            let mut problem = problems.iter().peekable();
            for (item, outputs) in batch.zip(outputs.chunks_exact(classes)) {
                let start = values.len();
                match self.outputs {
                    Outputs::Raw => {
                        values.extend_from_slice(outputs);
                        self.preparation.restore_targets(&mut values[start..]);
                    }
                    Outputs::Classes(top) => most_likely(outputs, top, &mut self.order, &mut values),
                }
                if problem.next_if(|problem| problem.item == item).is_some() {
                    values[start..].fill(f32::NAN);
                }
            }
            if !give(&self.collection, Rows { values, problems }) {
                break;
            }
        }
        Ok(())
    }
}

/// Appends the `top` most likely classes of the `logits` `[K]` to `values`, and then their probabilities. Of equal ones,
/// the first comes first. `order` is reused.
fn most_likely(logits: &[f32], top: usize, order: &mut Vec<u32>, values: &mut Vec<f32>) {
    order.clear();
    order.extend(0..logits.len() as u32);
    let logit = |class: &u32| logits[*class as usize];
    let compare = |a: &u32, b: &u32| logit(b).total_cmp(&logit(a)).then(a.cmp(b));
    if top < order.len() {
        order.select_nth_unstable_by(top, compare);
        order.truncate(top);
    }
    order.sort_unstable_by(compare);
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let weight = |logit: f32| (f64::from(logit) - f64::from(largest)).exp();
    let total: f64 = logits.iter().map(|&logit| weight(logit)).sum();
    values.extend(order.iter().map(|&class| class as f32));
    values.extend(order.iter().map(|class| (weight(logit(class)) / total) as f32));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_top_classes_are_those_of_a_full_sort(
            logits in proptest::collection::vec(-20i8..20, 1..30), top in 1usize..40
        ) {
            let logits: Vec<f32> = logits.into_iter().map(|logit| f32::from(logit) / 4.0).collect();
            let top = top.min(logits.len());
            let mut expected: Vec<usize> = (0..logits.len()).collect();
            // A stable sort.
            expected.sort_by(|&a, &b| logits[b].total_cmp(&logits[a]));
            let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
            let mut values = vec![-1.0];
            most_likely(&logits, top, &mut Vec::new(), &mut values);
            prop_assert_eq!(values.len(), 1 + 2 * top);
            for (rank, &class) in expected.iter().take(top).enumerate() {
                prop_assert_eq!(values[1 + rank], class as f32);
                let probability = f64::from(logits[class]).exp() / total;
                prop_assert!((f64::from(values[1 + top + rank]) - probability).abs() < 1e-6 * probability);
            }
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        let mut values = Vec::new();
        most_likely(&[1e30, -1e30, 1e30], 3, &mut Vec::new(), &mut values);
        assert_eq!(values, [0.0, 2.0, 1.0, 0.5, 0.5, 0.0]);
    }
}
