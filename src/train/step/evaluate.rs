//! Evaluation over all ranks, which counts every sample exactly once.

use std::sync::Arc;

use crate::step::recurrent_state;
use ternflock_base::error::Result;
use ternflock_data::{EvaluationFeed, shard};
use ternflock_nn::layer::Mode;
use ternflock_nn::{Loss, Network, Tally, Targets, usual_loss};
use ternflock_world::World;

/// Images are evaluated in batches of at least this size, however small a rank's share of a training batch
/// is. Text is evaluated in batches with the number of columns that the network was built for, because its
/// logits take too much memory for more.
pub const EVALUATION_BATCH: usize = 64;

/// A set of samples and the buffers to evaluate on it.
pub struct Evaluator {
    feed: Box<dyn EvaluationFeed>,
    loss: Arc<dyn Loss>,
    targets: Targets,
}

impl Evaluator {
    /// Evaluates on all of `feed`.
    pub fn new(feed: Box<dyn EvaluationFeed>) -> Evaluator {
        let loss = usual_loss(feed.target());
        Evaluator { feed, loss, targets: Targets::default() }
    }

    /// The set to evaluate on.
    pub fn feed(&self) -> &dyn EvaluationFeed {
        &*self.feed
    }

    /// The tally of items `part`, in batches of the network's capacity. The recurrent state of the network is
    /// afterwards the same as before.
    pub fn tally(&mut self, network: &mut Network, part: std::ops::Range<usize>) -> Result<Tally> {
        let (mut total, state) = (Tally::default(), recurrent_state::copy(network));
        for chunk in self.feed.chunks(part, network.capacity()) {
            let batch = chunk.items.len();
            if chunk.window == 0 {
                recurrent_state::reset(network);
            }
            self.feed.fill(&chunk, network.input_mut(batch), &mut self.targets)?;
            let outputs = network.forward(batch, Mode::Evaluate);
            total += self.loss.compute(outputs, &self.targets, 1.0, None);
        }
        recurrent_state::put_back(network, &state);
        Ok(total)
    }
}

/// The tally of the complete set, of which each rank evaluates a part. The sum is taken in rank order, so it
/// is the same number on every rank.
pub fn evaluate(evaluator: &mut Evaluator, network: &mut Network, world: &mut World) -> Result<Tally> {
    let part = shard(evaluator.feed.items(), world.rank(), world.size());
    let mine = evaluator.tally(network, part)?;
    sum_tallies(world, mine)
}

/// The sum of all ranks' tallies.
pub(crate) fn sum_tallies(world: &mut World, mine: Tally) -> Result<Tally> {
    let all = world.gather([mine.loss.to_bits(), mine.correct, mine.samples])?;
    Ok(all.into_iter().fold(Tally::default(), |mut sum, [loss, correct, samples]| {
        sum += Tally { loss: f64::from_bits(loss), correct, samples };
        sum
    }))
}
