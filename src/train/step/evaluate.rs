//! Evaluation over all ranks, which counts every sample exactly once.

use std::ops::Range;

use crate::step::criterion::Criterion;
use crate::step::recurrent_state;
use ternflock_base::error::Result;
use ternflock_data::{EvaluationFeed, shard};
use ternflock_job::Task;
use ternflock_nn::layer::Mode;
use ternflock_nn::metrics::WORDS;
use ternflock_nn::{Evaluation, Measures, Network, Tally, Targets};
use ternflock_world::World;

/// Images are evaluated in batches of at least this size, however small a rank's share of a training batch
/// is. Text is evaluated in batches with the number of columns that the network was built for, because its
/// logits take too much memory for more.
pub const EVALUATION_BATCH: usize = 64;

/// A set of samples and the buffers to evaluate on it.
pub struct Evaluator {
    feed: Box<dyn EvaluationFeed>,
    criterion: Criterion,
    /// Whether a confusion matrix is counted.
    confusion: bool,
    targets: Targets,
}

impl Evaluator {
    /// Evaluates on all of `feed`, for the task `task`.
    ///
    /// # Errors
    /// If the task does not fit the data.
    pub fn new(feed: Box<dyn EvaluationFeed>, task: &Task) -> Result<Evaluator> {
        let criterion = Criterion::evaluation(task, feed.as_ref())?;
        Ok(Evaluator { feed, criterion, confusion: false, targets: Targets::default() })
    }

    /// The same, which also counts a confusion matrix of up to [`MOST_CONFUSED`](ternflock_nn::metrics::MOST_CONFUSED) classes.
    #[must_use]
    pub fn with_confusion(self) -> Evaluator {
        Evaluator { confusion: true, ..self }
    }

    /// The task.
    pub fn task(&self) -> ternflock_report::Task {
        self.criterion.task()
    }

    /// The set to evaluate on.
    pub fn feed(&self) -> &dyn EvaluationFeed {
        &*self.feed
    }

    /// The evaluation of items `part`, in batches of the network's capacity. The recurrent state of the network is
    /// afterwards the same as before.
    pub fn evaluate(&mut self, network: &mut Network, part: Range<usize>) -> Result<Evaluation> {
        let (mut tally, state) = (Tally::default(), recurrent_state::copy(network));
        let mut measures = self.criterion.measures(self.confusion);
        for chunk in self.feed.chunks(part, network.capacity()) {
            let batch = chunk.items.len();
            if chunk.window == 0 {
                recurrent_state::reset(network);
            }
            self.feed.fill(&chunk, network.input_mut(batch), &mut self.targets)?;
            let outputs = network.forward(batch, Mode::Evaluate);
            tally += self.criterion.compute(outputs, &self.targets, 1.0, None)?;
            measures.add(outputs, &self.targets);
        }
        recurrent_state::put_back(network, &state);
        Ok(Evaluation { tally, measures })
    }
}

/// The evaluation of the complete set, of which each rank evaluates a part. Counts are exact; sums of losses and errors are
/// taken in rank order, so they are the same numbers on every rank.
pub fn evaluate(evaluator: &mut Evaluator, network: &mut Network, world: &mut World) -> Result<Evaluation> {
    let part = shard(evaluator.feed.items(), world.rank(), world.size());
    let Evaluation { tally, measures } = evaluator.evaluate(network, part)?;
    let measures = merge(world, &measures, tally.samples)?;
    Ok(Evaluation { tally: sum_tallies(world, tally)?, measures })
}

/// The measures of all ranks together; `mine` are over `samples` samples.
fn merge(world: &mut World, mine: &Measures, samples: u64) -> Result<Measures> {
    let (words, mut all) = (mine.words(), mine.emptied());
    if words.is_empty() {
        return Ok(all);
    }
    let samples = world.gather([samples])?;
    for (number, words) in words.chunks(WORDS).enumerate() {
        let mut record = [0; WORDS];
        record[..words.len()].copy_from_slice(words);
        let mut before = 0;
        for (record, [samples]) in world.gather(record)?.iter().zip(&samples) {
            all.merge(number * WORDS, &record[..words.len()], before..before + samples);
            before += samples;
        }
    }
    Ok(all)
}

/// The sum of all ranks' tallies.
pub(crate) fn sum_tallies(world: &mut World, mine: Tally) -> Result<Tally> {
    let all = world.gather([mine.loss.to_bits(), mine.correct, mine.squares.to_bits(), mine.samples])?;
    Ok(all.into_iter().fold(Tally::default(), |mut sum, [loss, correct, squares, samples]| {
        sum += Tally { loss: f64::from_bits(loss), correct, squares: f64::from_bits(squares), samples };
        sum
    }))
}
