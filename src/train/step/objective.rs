//! The loss of a network on given samples as a function of its parameters, computed by all ranks together, as
//! in evaluation: without dropout and with batch norm's running statistics.

use std::sync::Arc;

use crate::step::evaluate::sum_tallies;
use crate::step::recurrent_state;
use ternflock_base::error::{Error, Result};
use ternflock_data::{Chunk, EvaluationFeed, shard};
use ternflock_landscape as landscape;
use ternflock_nn::layer::Mode;
use ternflock_nn::{Loss, Network, Shape, Tally, Targets, usual_loss};
use ternflock_tensor::add_scaled;
use ternflock_world::World;

/// The mean loss per sample or per token.
pub struct Objective<'a> {
    network: &'a mut Network,
    world: &'a mut World,
    feed: Box<dyn EvaluationFeed>,
    /// This rank's part.
    chunks: Vec<Chunk>,
    loss: Arc<dyn Loss>,
    targets: Targets,
    /// Number of labels of all ranks.
    count: u64,
    /// The gradient of the chunks so far.
    sum: Vec<f32>,
}

impl<'a> Objective<'a> {
    /// The objective on the first `samples` samples of `feed`, or on all if there are fewer; on a text, this
    /// number of tokens, from the beginnings of all columns. It does not depend on the number of ranks except
    /// for the order of sums.
    ///
    /// # Errors
    /// The errors of the feed, and of ranks that are late.
    pub fn new(
        network: &'a mut Network,
        world: &'a mut World,
        mut feed: Box<dyn EvaluationFeed>,
        samples: usize,
    ) -> Result<Objective<'a>> {
        let labels_per_item = match feed.input() {
            Shape::Tokens { steps, .. } => steps,
            _ => 1,
        };
        let items = feed.items().min(samples.div_ceil(labels_per_item)).max(1);
        let windows = samples.div_ceil(items * labels_per_item).max(1);
        let part = shard(items, world.rank(), world.size());
        let mut chunks = feed.chunks(part, network.capacity());
        chunks.retain(|chunk| chunk.window < windows);
        let loss = usual_loss(feed.target());
        let (mut targets, mut count) = (Targets::default(), 0);
        for chunk in &chunks {
            feed.fill(chunk, network.input_mut(chunk.items.len()), &mut targets)?;
            count += targets.count() as u64;
        }
        let count = world.gather([count])?.into_iter().map(|[count]| count).sum();
        let sum = vec![0.0; network.parameters.values.len()];
        Ok(Objective { network, world, feed, chunks, loss, targets, count, sum })
    }

    /// Number of labels over which the loss is averaged.
    pub fn count(&self) -> u64 {
        self.count
    }

    fn compute(&mut self, x: &[f32], with_gradient: bool) -> Result<f64> {
        let Objective { network, world, feed, chunks, loss, targets, count, sum } = self;
        network.parameters.values.copy_from_slice(x);
        // The mean over ranks is the mean over labels.
        let weight = (world.size() as f64 / *count as f64) as f32;
        sum.fill(0.0);
        let mut tally = Tally::default();
        for chunk in chunks {
            let batch = chunk.items.len();
            if chunk.window == 0 {
                recurrent_state::reset(network);
            }
            feed.fill(chunk, network.input_mut(batch), targets)?;
            network.forward(batch, Mode::Evaluate);
            let (outputs, gradient) = network.output_and_gradient();
            if with_gradient {
                tally += loss.compute(outputs, targets, weight, Some(gradient));
                network.backward(batch);
                add_scaled(1.0, &network.parameters.gradients, sum);
            } else {
                tally += loss.compute(outputs, targets, weight, None);
            }
        }
        if with_gradient {
            world.mean(sum)?;
        }
        Ok(sum_tallies(world, tally)?.loss / *count as f64)
    }
}

impl landscape::Objective for Objective<'_> {
    fn value_and_gradient(&mut self, x: &[f32], gradient: &mut [f32]) -> Result<f64> {
        let value = self.compute(x, true)?;
        if !value.is_finite() || self.sum.iter().any(|gradient| !gradient.is_finite()) {
            let what = format!("the loss {value} so close to the parameters, or its gradient, is not finite");
            return Err(Error::NonFinite { step: 0, rank: self.world.rank(), what });
        }
        gradient.copy_from_slice(&self.sum);
        Ok(value)
    }

    fn value(&mut self, x: &[f32]) -> Result<f64> {
        self.compute(x, false)
    }
}
