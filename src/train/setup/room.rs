//! Checks that a node has enough memory for the networks that its ranks are about to create.

use ternflock_collectives::topology::Topology;

use crate::exchange::state_elements;
use crate::step::batch::Batch;
use crate::step::trainer::execution;
use ternflock_base::error::Result;
use ternflock_job::Job;
use ternflock_nn::{Beside, Graph, check_memory, needed_bytes, parameters};
use ternflock_optim::state_names;

/// The maximum number of ranks that share a node and its memory.
pub fn most_on_a_node(topology: &Topology) -> usize {
    (0..topology.nodes()).map(|node| topology.members(node).len()).max().unwrap_or(1)
}

/// Refuses to train `graph` with `job` if the memory of a node is too small for all of its ranks together. What rank 0 needs
/// for checkpoints counts if the run evaluates: benchmarks write none.
///
/// # Errors
/// Those of [`check_memory`].
pub fn check_room(job: &Job, graph: &Graph, topology: &Topology, evaluates: bool) -> Result<()> {
    let world = topology.world();
    let checkpoint = if evaluates { numbers_of_checkpoint(job, graph, world)? } else { 0 };
    let beside = Beside { each: numbers_beside(job, graph, world)?, checkpoint };
    check_memory(graph, execution(job, world, evaluates), beside, most_on_a_node(topology))
}

/// The bytes of memory that a rank of `world` needs to train `graph` with `job`, as [`check_room`] counts them.
///
/// # Errors
/// If they cannot be counted.
pub fn rank_bytes(job: &Job, graph: &Graph, world: usize, evaluates: bool) -> Result<u128> {
    needed_bytes(graph, execution(job, world, evaluates), numbers_beside(job, graph, world)?)
}

/// The bytes that rank 0 of `world` needs in addition while it writes a checkpoint.
///
/// # Errors
/// If they cannot be counted.
pub fn checkpoint_bytes(job: &Job, graph: &Graph, world: usize) -> Result<u128> {
    Ok(numbers_of_checkpoint(job, graph, world)? as u128 * size_of::<f32>() as u128)
}

/// [`check_room`] when `to` replaces `from` during a run: a network that is no larger always fits.
///
/// # Errors
/// Those of [`check_memory`].
pub fn check_change(
    (before, from): (&Job, &Graph),
    (job, to): (&Job, &Graph),
    topology: &Topology,
) -> Result<()> {
    let world = topology.world();
    // Each network with its own settings: lists of layers follow surgery.
    match rank_bytes(job, to, world, true)? <= rank_bytes(before, from, world, true)? {
        true => Ok(()),
        false => check_room(job, to, topology, true),
    }
}

/// Number of values that training `graph` keeps on a rank in addition to the network: the optimizer states,
/// the residuals of error feedback, the gradient sums of micro-batches, the unperturbed weights, and the parameters before
/// local steps.
fn numbers_beside(job: &Job, graph: &Graph, world: usize) -> Result<usize> {
    let table = parameters::table(graph)?;
    let states = optimizer_states(job) * parameters::count(&table);
    let batch = Batch::of(&job.train);
    let sums = usize::from(batch.at_a_time(world) < batch.share(world));
    let noises = job.stages.iter().map(|stage| &stage.smoothout).chain([&job.smoothout]);
    let clean = usize::from(noises.into_iter().any(|smoothout| smoothout.a > 0.0));
    let anchor = usize::from(job.exchange.every > 1);
    let states = states + (sums + clean + anchor) * parameters::count(&table);
    Ok(states + state_elements(&job.exchange, graph, &table, world)?)
}

/// The most states that an optimizer of `job` keeps of each parameter.
fn optimizer_states(job: &Job) -> usize {
    let kinds = job.stages.iter().map(|stage| &stage.optimizer.kind).chain([&job.optimizer.kind]);
    kinds.map(|kind| state_names(kind).len()).max().unwrap_or(0)
}

/// Number of values that rank 0 holds while it writes a checkpoint: the states that it gathers from all ranks, and the file,
/// which is built in memory.
fn numbers_of_checkpoint(job: &Job, graph: &Graph, world: usize) -> Result<usize> {
    let (table, statistics) = (parameters::table(graph)?, parameters::statistics_table(graph)?);
    let (trained, untrained) = (parameters::count(&table), parameters::count(&statistics));
    let states = optimizer_states(job) * trained;
    // With local steps, each rank has its own.
    let (shared, own) = if job.exchange.every > 1 { (0, states) } else { (states, 0) };
    let own = own + untrained + state_elements(&job.exchange, graph, &table, world)?;
    let gathered = own.saturating_mul(world);
    Ok((trained + untrained + shared).saturating_add(gathered.saturating_mul(2)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::Shape;

    /// A weight of 9 x 500 and its bias share a bucket. The output layer's weight of 500 x 10 stays float32
    /// in its own bucket and has no residual.
    #[test]
    fn states_and_residuals_stand_beside_a_network() {
        let job = |more: &str| {
            let text = format!(
                "name = \"a\"\n[data]\ndataset = \"digits\"\n[model]\npreset = \"mlp\"\n[train]\nsteps = 1\nglobal_batch = 8\n\
                 [optimizer]\nlearning_rate = 1.0\n{more}"
            );
            Job::from_toml(&text).unwrap()
        };
        let layers: Vec<serde_json::Map<_, _>> = serde_json::from_value(serde_json::json!([
            {"type": "linear", "units": 500}, {"type": "relu"}, {"name": "out", "type": "linear", "units": 10},
        ]))
        .unwrap();
        let graph = Graph::from_tables(Shape::Vector { features: 9 }, layers).unwrap();
        let beside = |more: &str| numbers_beside(&job(more), &graph, 1).unwrap();
        let (first, logits) = (10 * 500, 501 * 10);
        assert_eq!(beside("momentum = 0.0"), 0);
        assert_eq!(beside("momentum = 0.9"), first + logits);
        assert_eq!(beside("kind = \"adam\""), 2 * (first + logits));
        assert_eq!(beside("momentum = 0.0\n[smoothout]\na = 0.1"), first + logits);
        let local = "momentum = 0.0\n[exchange]\nevery = 4\nerror_feedback = false\n";
        assert_eq!(beside(local), first + logits, "the parameters before local steps");
        let feedback = "momentum = 0.0\n[exchange]\nerror_feedback = true\nbucket_elements = 1\n";
        assert_eq!(beside(feedback), first, "the logits stay float32 unless the job says otherwise");
        assert_eq!(beside(&format!("{feedback}keep_float = []")), first + logits);
        // Parameters and momentum once; the momentum of three ranks, gathered and in the file; their residuals.
        let of_checkpoint = |more: &str| numbers_of_checkpoint(&job(more), &graph, 3).unwrap();
        assert_eq!(of_checkpoint("momentum = 0.9"), 2 * (first + logits));
        let local = "momentum = 0.9\n[exchange]\nevery = 4\nerror_feedback = false\n";
        assert_eq!(of_checkpoint(local), (1 + 2 * 3) * (first + logits));
        assert_eq!(of_checkpoint(feedback), first + logits + 2 * 3 * first);
        let mut micro = job("momentum = 0.0");
        micro.train.micro_batch = Some(2);
        // Four micro-batches on one rank; one each on four ranks.
        let sums = [1, 2, 4].map(|world| numbers_beside(&micro, &graph, world).unwrap());
        assert_eq!(sums, [first + logits, first + logits, 0]);
    }
}
