//! Predicts how fast a job would train on nodes that need not exist. The times to compute, encode and decode
//! are measured on these ranks; the exchange is simulated by running the collectives on a virtual clock.

mod clock;
mod link;
mod machine;
mod models;
mod report;
mod step;

pub use link::Link;
pub use models::{MODELS, job_of};
pub use report::{Forecast, Network, Verdict};

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ternflock_collectives::all_reduce::Coding;
use ternflock_collectives::cost::Costs;
use ternflock_collectives::simulated::Wire;
use ternflock_collectives::topology::Topology;

use clock::Exchanges;
use machine::{Compute, Model, measure};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_bench::scaling::{Mode, Point, Scaling};
use ternflock_bench::{Contender, Interference, Watch};
use ternflock_job::Loaded;
use ternflock_train::method::wire;
use ternflock_train::overlaps;
use ternflock_world::World;

/// The settings of a forecast.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The numbers of nodes. Each node has as many ranks as the existing ones.
    pub nodes: Vec<usize>,
    /// Networks between them.
    pub links: Vec<Link>,
    /// The averaging methods.
    pub ways: Vec<Contender>,
    /// What stays constant as nodes are added. With [`Mode::Weak`], the batch of the job is that of one rank.
    pub mode: Mode,
    /// The number of measured steps.
    pub steps: usize,
    /// The speed of the ranks in the forecast relative to these ranks, for computing, encoding and decoding.
    pub speed: f64,
}

/// Computes the forecast, which is the same on each rank of `world`.
///
/// # Errors
/// [`Error::Usage`] for settings without a forecast; the errors of starting a training run;
/// [`Error::Exchange`] if ranks are late or have ended.
pub fn forecast(loaded: &Loaded, scenario: &Scenario, world: &mut World) -> Result<Forecast> {
    let topology = world.topology();
    let members = ranks_of_a_node(&topology)
        .and_then(|members| check(loaded, scenario, members, &topology).map(|()| members));
    let members = world.all_or_none(members)?;
    let watch = Watch::start();
    let mut costs = faster(world.costs()?, scenario.speed);
    let inter_node = wire(&costs.inter_node);
    if members == 1 {
        costs.intra_node = costs.inter_node;
    }
    let mut measured: HashMap<usize, (Model, Compute)> = HashMap::new();
    for &nodes in &scenario.nodes {
        let batch = batch(loaded, scenario.mode, nodes * members);
        if let Entry::Vacant(place) = measured.entry(batch) {
            let (model, compute) = measure(loaded, batch, scenario.steps, world)?;
            place.insert((model, faster_compute(compute, scenario.speed)));
        }
    }
    let interference = Interference::of(&world.gather(watch.words())?, &topology);
    let networks = scenario.links.iter().map(|link| {
        let (name, wire) = match link {
            Link::Measured => ("measured".to_owned(), inter_node),
            Link::Named(name, wire) => (name.clone(), *wire),
        };
        network(loaded, scenario, (members, &costs), (name, wire), &measured)
    });
    Ok(Forecast { interference, networks: networks.collect::<Result<_>>()? })
}

/// One network.
fn network(
    loaded: &Loaded,
    scenario: &Scenario,
    (members, costs): (usize, &Costs),
    (name, wire): (String, Wire),
    measured: &HashMap<usize, (Model, Compute)>,
) -> Result<Network> {
    let mut points = Vec::new();
    for &nodes in &scenario.nodes {
        let ranks = nodes * members;
        let (model, compute) = &measured[&batch(loaded, scenario.mode, ranks)];
        let global_batch = global_batch(loaded, scenario.mode, ranks);
        let topology = Topology::new((0..ranks).map(|rank| rank / members).collect());
        let overlaps = overlaps(loaded.job.exchange.overlap, &topology);
        let mut exchanges = Exchanges::new(&topology, costs, wire);
        // `check` has refused the all-reduce of the MPI library.
        let ways = scenario.ways.iter().filter_map(|way| way.ours()).map(|way| {
            // One rank has nothing to average in float32.
            let every = if ranks == 1 && way.method.is_lossless() { 1 } else { loaded.job.exchange.every };
            // An exchange of movements has the rows of all local steps.
            let buckets = model.buckets(way.method, global_batch.saturating_mul(every as usize));
            let step = step::step(&buckets, compute, overlaps, every, |shares| {
                exchanges.bucket(way.algorithm, shares)
            })?;
            Ok(step::report(way, &step, model, &topology, every, global_batch))
        });
        points.push(Point {
            ways: ways.collect::<Result<_>>()?,
            ranks,
            hosts: nodes,
            threads: compute.threads,
            global_batch,
            parameters: model.parameters,
            unit: model.unit.clone(),
            interference: None,
        });
    }
    let scaling = Scaling { job: loaded.job.name.clone(), mode: scenario.mode, points };
    let Wire { latency, byte, message } = wire;
    let verdict = report::verdict(&scaling);
    Ok(Network { name, latency_s: latency, byte_s: byte, message_s: message, scaling, verdict })
}

/// The number of ranks on each existing node.
fn ranks_of_a_node(topology: &Topology) -> Result<usize> {
    let members: Vec<usize> = (0..topology.nodes()).map(|node| topology.members(node).len()).collect();
    match members[..] {
        [first, ref rest @ ..] if rest.iter().all(|&other| other == first) => Ok(first),
        _ => Err(Error::Usage(format!(
            "the nodes have {members:?} ranks: a forecast needs the same number of ranks on each node; start ranks on one node, or the \
             same number on each"
        ))),
    }
}

fn check(loaded: &Loaded, scenario: &Scenario, members: usize, topology: &Topology) -> Result<()> {
    let refuse = |why: String| Err(Error::Usage(why));
    if scenario.links.contains(&Link::Measured) && topology.nodes() == 1 {
        return refuse(
            "--link measured: there is one node; start a rank on each of two or more, or use --link 1gbit,100us".into(),
        );
    }
    if scenario.ways.contains(&Contender::MpiAllreduceF32) {
        return refuse(
            "--ways: mpi_allreduce_f32 has no forecast, because the MPI library does not reveal its algorithm; `ternflock bench scaling` measures it"
                .into(),
        );
    }
    if let Some(way) = scenario.ways.iter().find(|way| way.coding() != Coding::Never) {
        return refuse(format!(
            "--ways: {} has no forecast, because the lengths of coded messages depend on the gradients; `ternflock bench scaling` \
             measures it",
            way.name()
        ));
    }
    let batch = loaded.job.train.global_batch;
    match scenario.nodes.iter().find(|&&nodes| scenario.mode == Mode::Strong && nodes * members > batch) {
        Some(nodes) => refuse(format!(
            "--nodes: {} cannot share a batch of {}; ask for {} at most, raise train.global_batch, or use \
             --weak, which keeps the samples per rank",
            plural(nodes * members, "rank"),
            plural(batch, "sample"),
            plural(batch / members, "node")
        )),
        None => Ok(()),
    }
}

/// The number of samples in the largest share of the `ranks` ranks.
fn batch(loaded: &Loaded, mode: Mode, ranks: usize) -> usize {
    let batch = loaded.job.train.global_batch;
    if mode == Mode::Weak { batch } else { batch.div_ceil(ranks) }
}

fn global_batch(loaded: &Loaded, mode: Mode, ranks: usize) -> usize {
    let batch = loaded.job.train.global_batch;
    if mode == Mode::Weak { batch * ranks } else { batch }
}

/// Ranks that compute `speed` times as fast and have the same links.
fn faster(costs: Costs, speed: f64) -> Costs {
    let Costs { encode, decode, copy, code_planes, restore_planes, add_planes, add_floats, .. } = costs;
    let [encode, decode, copy, code_planes, restore_planes, add_planes, add_floats] =
        [encode, decode, copy, code_planes, restore_planes, add_planes, add_floats].map(|cost| cost / speed);
    Costs { encode, decode, copy, code_planes, restore_planes, add_planes, add_floats, ..costs }
}

fn faster_compute(compute: Compute, speed: f64) -> Compute {
    let Compute { seconds, update, left, threads } = compute;
    let left = left.into_iter().map(|left| left / speed).collect();
    Compute { seconds: seconds / speed, update: update / speed, left, threads }
}
