//! Evaluation: every sample counted exactly once, over all ranks.

use crate::step::recurrent_state;
use ternflock_base::error::Result;
use ternflock_data::{EvaluationFeed, shard};
use ternflock_nn::layer::Mode;
use ternflock_nn::{Network, Tally, softmax_cross_entropy};
use ternflock_world::World;

/// Evaluation of images runs in batches of at least this many, however small a rank's share of a training batch is. Text is
/// evaluated in batches of as many columns as the network was built for: its logits take too much memory to have more.
pub const EVALUATION_BATCH: usize = 64;

/// A set of samples and the buffers to evaluate on it.
pub struct Evaluator {
    feed: Box<dyn EvaluationFeed>,
    labels: Vec<usize>,
}

impl Evaluator {
    /// Evaluates on all of `feed`.
    pub fn new(feed: Box<dyn EvaluationFeed>) -> Evaluator {
        Evaluator { feed, labels: Vec::new() }
    }

    /// What is evaluated on.
    pub fn feed(&self) -> &dyn EvaluationFeed {
        &*self.feed
    }

    /// The tally of items `part`, in batches of the network's capacity. What the network carries from batch to batch is
    /// afterwards what it was before.
    pub fn tally(&mut self, network: &mut Network, part: std::ops::Range<usize>) -> Result<Tally> {
        let (mut total, state) = (Tally::default(), recurrent_state::copy(network));
        for chunk in self.feed.chunks(part, network.capacity()) {
            let batch = chunk.items.len();
            if chunk.window == 0 {
                recurrent_state::reset(network);
            }
            self.feed.fill(&chunk, network.input_mut(batch), &mut self.labels)?;
            let logits = network.forward(batch, Mode::Evaluate);
            total += softmax_cross_entropy(logits, &self.labels, 1.0, None);
        }
        recurrent_state::put_back(network, &state);
        Ok(total)
    }
}

/// The tally of the whole set, each rank having done its part of it. The sum is taken in the order of the ranks, so it
/// is the same number everywhere.
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
