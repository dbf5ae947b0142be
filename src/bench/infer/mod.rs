//! Times complete forward passes of several networks, alternately, and each of their layers, to show the gain
//! of a smaller network.
//!
//! - [`contestant`]: a network and its generated inputs.
//! - [`sizes`]: networks of the zoo with other numbers of hidden units, without a file.
//! - [`verify`]: whether one network computes the same as another.
//! - [`sparse`]: layers in the unstructured sparse form of the same weights.

pub mod contestant;
pub mod sizes;
pub mod sparse;
pub mod verify;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use serde::Serialize;

use super::interference::cpu_seconds;
use super::{Interference, Watch as Machine};
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;
use ternflock_tensor::{blas, threads, vector_instructions, within};

pub use contestant::Contestant;
pub use sizes::{default_batch, sized};
pub use verify::Verdict;

use sparse::SparseLayer;

/// The time for consecutive passes of one network; there is at least one pass.
const TURN: Duration = Duration::from_millis(20);

/// The minimum number of rounds, however long they take.
const FEWEST_ROUNDS: usize = 3;

/// The report. External scripts rely on the keys.
#[derive(Clone, Debug, Serialize)]
pub struct Inference {
    /// Samples of a pass.
    pub batch: usize,
    /// Compute threads.
    pub threads: usize,
    /// The BLAS, with its version and the core type of its kernels.
    pub blas: String,
    /// How the networks compute matrix products and convolutions.
    pub products: &'static str,
    /// The vector instructions of the program's own kernels.
    pub instructions: &'static str,
    /// Rounds, each of which ran every network.
    pub rounds: usize,
    /// Interference from other work while it was timed.
    pub interference: Interference,
    /// The networks, in the order they were given.
    pub models: Vec<ModelTime>,
}

/// The forward pass of a network.
#[derive(Clone, Debug, Serialize)]
pub struct ModelTime {
    /// Its file, or its name if there is no file.
    pub path: String,
    /// Trained parameters.
    pub params: u64,
    /// Floating-point operations per sample.
    pub flops: u64,
    /// The time of a pass.
    pub median_ms: f64,
    /// The processor time of a pass, over all threads. On a busy machine, it is more reliable than the
    /// elapsed time.
    pub cpu_ms: f64,
    /// The speed relative to the first network.
    pub speed_up: f64,
    /// Passes timed.
    pub passes: usize,
    /// The comparison with the first network, if it was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verdict>,
    /// Layer by layer.
    pub layers: Vec<LayerMedian>,
}

/// The time of a layer.
#[derive(Clone, Debug, Serialize)]
pub struct LayerMedian {
    /// Its name in the network.
    pub name: String,
    /// The layer as it is: dense.
    pub median_ms: f64,
    /// The layer with its weight in the unstructured sparse form, if that was requested and it has a weight.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub csr: Option<CsrTime>,
}

/// A layer in the unstructured sparse form of its weight.
#[derive(Clone, Debug, Serialize)]
pub struct CsrTime {
    /// Its time.
    pub median_ms: f64,
    /// The share of the weight that is zero.
    pub zeros: f64,
}

/// Times passes of `networks` for about `seconds`, and their layers in sparse form if requested.
///
/// # Errors
/// If there are no networks, or if their inputs differ.
pub fn infer(mut networks: Vec<Contestant>, seconds: f64, csr: bool) -> Result<Inference> {
    check(&networks)?;
    let mut watches = networks.iter().map(|n| Watch::new(n, csr)).collect::<Result<Vec<_>>>()?;
    let machine = Machine::start();
    let (begin, mut rounds) = (Instant::now(), 0);
    while rounds < FEWEST_ROUNDS || begin.elapsed().as_secs_f64() < seconds {
        for (network, watch) in networks.iter_mut().zip(&mut watches) {
            watch.turn(network);
        }
        rounds += 1;
    }
    let interference = machine.finish();
    let batch = networks[0].batch;
    let models = networks.iter().zip(watches).map(|(network, watch)| watch.read(network));
    let mut models = models.collect::<Result<Vec<ModelTime>>>()?;
    let first = models[0].median_ms;
    models.iter_mut().for_each(|model| model.speed_up = first / model.median_ms);
    Ok(Inference {
        batch,
        threads: threads(),
        blas: blas().to_string(),
        products: networks[0].network.precision().described(),
        instructions: vector_instructions(),
        rounds,
        interference,
        models,
    })
}

/// Refuses networks that cannot have the same inputs.
fn check(networks: &[Contestant]) -> Result<()> {
    let Some((first, others)) = networks.split_first() else {
        return Err(Error::Usage("there is no network to time".into()));
    };
    let input = |contestant: &Contestant| contestant.network.graph().input();
    match others.iter().find(|other| input(other) != input(first)) {
        Some(other) => Err(Error::Usage(format!(
            "`{}` takes {}, but `{}` takes {}: networks that are compared must take the same input",
            first.name,
            input(first).described(),
            other.name,
            input(other).described()
        ))),
        None => Ok(()),
    }
}

/// The times of one network, in seconds.
struct Watch {
    passes: Vec<f64>,
    /// The processor times.
    cpu: Vec<f64>,
    /// By layer.
    layers: Vec<Vec<f64>>,
    /// By layer, for layers with a weight that may be sparse; empty if it was not requested.
    sparse: Vec<Option<(SparseLayer, Vec<f64>)>>,
}

impl Watch {
    fn new(contestant: &Contestant, csr: bool) -> Result<Watch> {
        let count = contestant.network.graph().layers().len();
        let sparse = |index| match csr {
            true => Ok(SparseLayer::new(contestant, index)?.map(|layer| (layer, Vec::new()))),
            false => Ok(None),
        };
        let sparse = (0..count).map(sparse).collect::<Result<_>>()?;
        Ok(Watch { passes: Vec::new(), cpu: Vec::new(), layers: vec![Vec::new(); count], sparse })
    }

    /// Consecutive passes. The first one is not timed; it fills the caches.
    fn turn(&mut self, contestant: &mut Contestant) {
        contestant.pass();
        let begin = Instant::now();
        loop {
            contestant.network.clock.reset();
            let (cpu, start) = (cpu_seconds(), Instant::now());
            contestant.pass();
            self.passes.push(start.elapsed().as_secs_f64());
            self.cpu.push(cpu_seconds() - cpu);
            for (times, (forward, _)) in self.layers.iter_mut().zip(contestant.network.clock.times()) {
                times.push(forward.as_secs_f64());
            }
            if begin.elapsed() >= TURN {
                break;
            }
        }
        for (layer, times) in self.sparse.iter_mut().flatten() {
            layer.forward();
            let start = Instant::now();
            within(|| layer.forward());
            times.push(start.elapsed().as_secs_f64());
        }
    }

    fn read(self, contestant: &Contestant) -> Result<ModelTime> {
        let graph = contestant.network.graph();
        let flops = (0..graph.layers().len()).map(|layer| graph.multiply_adds(layer));
        let names = graph.layers().iter().map(|node| node.name.clone());
        let csr = |sparse: Option<(SparseLayer, Vec<f64>)>| {
            sparse.map(|(layer, times)| CsrTime { median_ms: 1e3 * median(times), zeros: layer.zeros() })
        };
        let layers = names.zip(self.layers).zip(self.sparse).map(|((name, times), sparse)| LayerMedian {
            name,
            median_ms: 1e3 * median(times),
            csr: csr(sparse),
        });
        Ok(ModelTime {
            path: contestant.name.clone(),
            params: contestant.network.parameters.values.len() as u64,
            flops: 2 * flops.sum::<Result<u64>>()?,
            passes: self.passes.len(),
            median_ms: 1e3 * median(self.passes),
            cpu_ms: 1e3 * median(self.cpu),
            speed_up: 1.0,
            verified: contestant.verified,
            layers: layers.collect(),
        })
    }
}
