//! Several ranks of a job in one process, to look at the gradient of each.

use ternflock_collectives::topology::Topology;

use super::build::{blame, check_batch, check_network, stages_of};
use super::feeds::open_feeds;
use crate::step::trainer::Trainer;
use ternflock_base::error::Result;
use ternflock_job::Loaded;

/// The trainers of `ranks` ranks of `loaded` on one node, all of them in this process and at the first step of the first
/// stage. [`Trainer::local_gradients`] and [`Trainer::apply`] take their steps; nothing is exchanged. The parameters are
/// freshly drawn even if the job begins with a checkpoint.
///
/// # Errors
/// The errors of starting a run on that many ranks.
pub fn simulate(loaded: &Loaded, ranks: usize) -> Result<Vec<Trainer>> {
    check_batch(loaded, ranks)?;
    let topology = Topology::single(ranks);
    let feed = || open_feeds(loaded).map(|feeds| feeds.train);
    let first = feed()?;
    // The memory of all ranks is checked before the first one is allocated.
    let graph = check_network(loaded, &loaded.job.model, first.as_ref(), &topology, false)?;
    let settings = stages_of(loaded, first.samples())?.settings(&graph);
    let feeds = std::iter::once(Ok(first)).chain((1..ranks).map(|_| feed()));
    feeds
        .map(|feed| {
            let trainer = Trainer::new(&settings, graph.clone(), feed?, topology.clone(), false);
            trainer.map_err(blame(loaded, "model"))
        })
        .collect()
}
