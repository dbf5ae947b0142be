//! Measures a complete training step of a network (forward, loss, backward and update) on generated inputs,
//! and large matrix products on the same machine in the same minute for comparison.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Interference, Watch};
use ternflock_base::error::{Error, Result};
use ternflock_base::quantile::median;
use ternflock_base::rng::{Purpose, Stream};
use ternflock_job::{self as job, Adapt, Distribution, OptimizerKind};
use ternflock_models as models;
use ternflock_nn::layer::{Draw, Mode};
use ternflock_nn::loss::CrossEntropy;
use ternflock_nn::{Execution, Graph, Loss, Network, Shape, Targets};
use ternflock_optim::Optimizer;
use ternflock_smoothout::SmoothOut;
use ternflock_tensor::{
    Buffers, Gemm, Precision, blas, matrix, matrix_mut, set_threads, vector_instructions, within,
};

/// Default samples per batch, as in Caffe's examples and in Zaremba et al. (2014).
const IMAGES: usize = 64;
const TEXTS: usize = 20;

/// The norm to which the gradient of a language model is clipped.
const CLIP_NORM: f64 = 5.0;

/// The share of one layer in a step, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct LayerTime {
    /// Its name in the network.
    pub name: String,
    /// The forward pass.
    pub forward_ms: f64,
    /// The backward pass: all of its gradients.
    pub backward_ms: f64,
}

/// The report on a step.
#[derive(Clone, Debug, Serialize)]
pub struct StepTime {
    /// The network: the name of a preset.
    pub model: String,
    /// Samples per step.
    pub batch: usize,
    /// Compute threads.
    pub threads: usize,
    /// The BLAS, with its version and the core type of its kernels.
    pub blas: String,
    /// How the network computes matrix products and convolutions.
    pub products: &'static str,
    /// The vector instructions of this program's own kernels.
    pub instructions: &'static str,
    /// Samples per second, or tokens per second for a language model.
    pub samples_per_s: f64,
    /// The median time of a step.
    pub step_ms_median: f64,
    /// Billions of floating-point operations per second in the products of the step.
    pub gflops: f64,
    /// The same for square products of size 1024, with the same threads in the same run.
    pub gemm_peak_gflops: f64,
    /// The peak memory of the process before those products.
    pub peak_rss_mb: f64,
    /// Steps timed.
    pub steps: usize,
    /// The loss and its gradient.
    pub loss_ms: f64,
    /// The update of the parameters.
    pub update_ms: f64,
    /// The additional time of SmoothOut's noise on all weights.
    pub noise: Vec<NoiseTime>,
    /// Interference from other work while it was timed.
    pub interference: Interference,
    /// The means, layer by layer.
    pub layers: Vec<LayerTime>,
}

/// The time of one kind of SmoothOut's noise: to perturb the weights and to restore them.
#[derive(Clone, Debug, Serialize)]
pub struct NoiseTime {
    /// The kind, as in a job file.
    pub kind: &'static str,
    /// The median.
    pub ms: f64,
    /// The median in percent of the step.
    pub percent: f64,
}

/// A network that is ready to take steps.
pub struct Stepper {
    network: Network,
    optimizer: Optimizer,
    targets: Targets,
    batch: usize,
    /// Rows of the logits: samples, or tokens.
    rows: usize,
    /// Floating-point operations per step.
    operations: f64,
    step: u64,
    loss: Duration,
    update: Duration,
}

/// The default batch size for timing `model`.
///
/// # Errors
/// [`Error::Usage`] when there is no such preset.
pub fn default_batch(model: &str) -> Result<usize> {
    let (input, _) = given(find(model)?);
    Ok(if is_text(input) { TEXTS } else { IMAGES })
}

/// The preset for `model`.
fn find(model: &str) -> Result<&'static str> {
    models::find(model).map_err(|error| Error::Usage(format!("--model: {error}")))
}

/// The shape of the samples of `preset`, and the number of classes.
fn given(preset: &str) -> (Shape, usize) {
    models::samples(preset, models::training_steps(preset))
}

fn is_text(input: Shape) -> bool {
    matches!(input, Shape::Tokens { .. })
}

impl Stepper {
    /// The preset `model` with batches and a precision as in `execution`, on the current number of compute threads.
    ///
    /// # Errors
    /// [`Error::Usage`] when there is no such preset, [`Error::Shape`] if it cannot train on such a batch or
    /// does not fit into memory.
    pub fn new(model: &str, execution: Execution) -> Result<Stepper> {
        let batch = execution.batch;
        let name = find(model)?;
        let (input, classes) = given(name);
        let mut network = build(models::preset(name, input, classes)?, execution)?;
        network.parameters.initialise(1);
        let (kind, clip_norm) = (OptimizerKind::Sgd { momentum: 0.9 }, is_text(input).then_some(CLIP_NORM));
        let job =
            job::Optimizer { kind, learning_rate: 1e-6, weight_decay: 5e-4, decay_layers: None, clip_norm };
        let optimizer = Optimizer::new(&job, network.parameters.values.len());
        let word = |tensor: u16, at: usize| {
            Stream { seed: 1, purpose: Purpose::Benchmark, step: 0, subject: 0, tensor }.word(at as u64)
        };
        let inputs = network.input_mut(batch);
        for (at, value) in inputs.iter_mut().enumerate() {
            *value = match input {
                Shape::Tokens { vocabulary, .. } => (word(0, at) as usize % vocabulary) as f32,
                _ => word(0, at) as f32 / 2f32.powi(32),
            };
        }
        let rows = match input {
            Shape::Tokens { steps, .. } => steps * batch,
            _ => batch,
        };
        let targets = Targets::of_labels((0..rows).map(|at| word(1, at) as usize % classes).collect());
        let operations = operations(&network)? * batch as f64;
        let (loss, update) = (Duration::ZERO, Duration::ZERO);
        Ok(Stepper { network, optimizer, targets, batch, rows, operations, step: 0, loss, update })
    }

    /// Performs one step and returns the mean loss per sample or token.
    pub fn step(&mut self) -> f64 {
        let Stepper { network, optimizer, targets, batch, rows, step, loss, update, .. } = self;
        within(|| {
            let draw = Draw { seed: 1, step: *step, first_sample: 0 };
            network.forward(*batch, Mode::Train(draw));
            let start = Instant::now();
            let (outputs, gradient) = network.output_and_gradient();
            let tally = CrossEntropy.compute(outputs, targets, 1.0 / *rows as f32, Some(gradient));
            *loss += start.elapsed();
            network.backward(*batch);
            let start = Instant::now();
            optimizer.step(*step, 1e-6, &mut network.parameters);
            *update += start.elapsed();
            *step += 1;
            tally.mean_loss()
        })
    }

    /// Times steps for about `seconds`, at least three.
    fn time(&mut self, seconds: f64) -> Vec<f64> {
        self.step();
        self.step();
        self.network.clock.reset();
        (self.loss, self.update) = (Duration::ZERO, Duration::ZERO);
        let (begin, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || begin.elapsed().as_secs_f64() < seconds {
            let start = Instant::now();
            self.step();
            times.push(start.elapsed().as_secs_f64());
        }
        times
    }

    /// Times the noise, relative to a step of `step` seconds.
    fn noise(&mut self, step: f64) -> Result<Vec<NoiseTime>> {
        const REPEATS: u64 = 21;
        let kinds = [
            ("uniform", Distribution::Uniform, Adapt::None),
            ("normal", Distribution::Normal, Adapt::None),
            ("filter", Distribution::Uniform, Adapt::Filter),
        ];
        let graph = self.network.graph().clone();
        let parameters = &mut self.network.parameters;
        kinds
            .into_iter()
            .map(|(kind, distribution, adapt)| {
                let job = job::SmoothOut { a: 1e-3, distribution, adapt, ..job::SmoothOut::default() };
                let smoothout = SmoothOut::new(&job, &graph, &parameters.table)?;
                let mut smoothout = smoothout.ok_or_else(|| Error::Usage("there is no noise".into()))?;
                let mut once = |step| {
                    let start = Instant::now();
                    smoothout.perturb(Draw { seed: 1, step, first_sample: 0 }, 1e-3, &mut parameters.values);
                    smoothout.restore(&mut parameters.values);
                    start.elapsed().as_secs_f64()
                };
                once(0);
                let ms = 1e3 * median((1..=REPEATS).map(once).collect());
                Ok(NoiseTime { kind, ms, percent: ms / step / 10.0 })
            })
            .collect()
    }

    fn layers(&self, steps: usize) -> Vec<LayerTime> {
        let mean = |time: Duration| 1e3 * time.as_secs_f64() / steps as f64;
        let named = self.network.graph().layers().iter().zip(self.network.clock.times());
        named
            .map(|(node, (forward, backward))| LayerTime {
                name: node.name.clone(),
                forward_ms: mean(forward),
                backward_ms: mean(backward),
            })
            .collect()
    }
}

/// The network of `graph`, for training as in `execution`.
fn build(graph: Graph, execution: Execution) -> Result<Network> {
    graph.check_batch(execution.batch)?;
    Network::new(graph, execution)
}

/// Floating-point operations per sample in the products of a step: forward, and as many for each gradient.
/// The gradient of the input is not computed, nor are those of layers without parameters before the first
/// weight.
fn operations(network: &Network) -> Result<f64> {
    let graph = network.graph();
    let mut sum = 0.0;
    for layer in 0..graph.layers().len() {
        let wanted = graph.sources(layer).iter().any(|&source| network.wants_gradient(source));
        let passes = if wanted { 3.0 } else { 2.0 };
        sum += 2.0 * passes * graph.multiply_adds(layer)? as f64;
    }
    Ok(sum)
}

/// Times steps of `model` for about `seconds`, with batches and a precision as in `execution` on `threads`
/// threads.
///
/// # Errors
/// Those of [`Stepper::new`]; also if the system refuses so many threads.
pub fn step(model: &str, execution: Execution, threads: usize, seconds: f64) -> Result<StepTime> {
    set_threads(threads)?;
    let mut stepper = Stepper::new(model, execution)?;
    let watch = Watch::start();
    let times = stepper.time(seconds);
    let interference = watch.finish();
    let (steps, peak_rss_mb) = (times.len(), peak_rss_mb());
    let second = median(times);
    let mean = |time: Duration| 1e3 * time.as_secs_f64() / steps as f64;
    Ok(StepTime {
        model: find(model)?.into(),
        batch: execution.batch,
        threads,
        blas: blas().to_string(),
        products: execution.precision.described(),
        instructions: vector_instructions(),
        samples_per_s: stepper.rows as f64 / second,
        step_ms_median: 1e3 * second,
        gflops: stepper.operations / second / 1e9,
        gemm_peak_gflops: gemm_peak(execution.precision)?,
        peak_rss_mb,
        steps,
        loss_ms: mean(stepper.loss),
        update_ms: mean(stepper.update),
        noise: stepper.noise(second)?,
        interference,
        layers: stepper.layers(steps),
    })
}

/// Billions of floating-point operations per second in square products of size 1024: the best of a few.
fn gemm_peak(precision: Precision) -> Result<f64> {
    const SIDE: usize = 1024;
    let (a, mut c) = (vec![1.0; SIDE * SIDE], vec![0.0; SIDE * SIDE]);
    let mut gemm = Gemm::new(precision, &[[SIDE; 3]], &mut Buffers::allocating()).map_err(Error::Usage)?;
    let mut product = |c: &mut [f32]| {
        let start = Instant::now();
        let a = matrix(&a, SIDE, SIDE);
        within(|| gemm.multiply(1.0, a, a, 0.0, matrix_mut(c, SIDE, SIDE)));
        2.0 * (SIDE as f64).powi(3) / start.elapsed().as_secs_f64() / 1e9
    };
    Ok((0..12).map(|_| product(&mut c)).fold(0.0, f64::max))
}

/// The peak memory of this process.
fn peak_rss_mb() -> f64 {
    // SAFETY: the record consists of plain numbers, for which all zeros are valid; the call fills it.
    let usage = unsafe {
        let mut usage: libc::rusage = std::mem::zeroed();
        libc::getrusage(libc::RUSAGE_SELF, &mut usage);
        usage
    };
    // In kilobytes on Linux, in bytes on macOS.
    let unit = if cfg!(target_os = "macos") { 1.0 } else { 1024.0 };
    usage.ru_maxrss as f64 * unit / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_lenet_is_counted_and_timed() {
        let time = step("lenet", Execution::float32(4), 1, 0.0).unwrap();
        assert_eq!((time.model.as_str(), time.batch, time.threads, time.steps), ("lenet", 4, 1, 3));
        // The forward pass has 2,293,000 multiply-adds per sample. The 288,000 of the first convolution have
        // one gradient, the others two.
        let operations = 2.0 * (3.0 * 2_293_000.0 - 288_000.0) * 4.0;
        let expected = operations / time.step_ms_median / 1e6;
        assert!((time.gflops / expected - 1.0).abs() < 1e-9, "{} {expected}", time.gflops);
        assert!(time.gemm_peak_gflops > 0.0 && time.peak_rss_mb > 1.0);
        let kinds: Vec<_> = time.noise.iter().map(|noise| noise.kind).collect();
        assert_eq!(kinds, ["uniform", "normal", "filter"]);
        assert!(time.noise.iter().all(|noise| noise.ms > 0.0 && noise.percent > 0.0));
        assert_eq!(time.layers.len(), 8);
        let all: f64 = time.layers.iter().map(|layer| layer.forward_ms + layer.backward_ms).sum();
        assert!(all > 0.0);
    }

    fn graph(layers: serde_json::Value) -> Graph {
        let tables: Vec<serde_json::Map<_, _>> = serde_json::from_value(layers).unwrap();
        Graph::from_tables(Shape::Vector { features: 3 }, tables).unwrap()
    }

    /// The first product is 3 x 5, the second is 5 x 2; the layers before the first one have no parameters.
    #[test]
    fn gradients_that_nobody_wants_are_not_counted() {
        let layers = serde_json::json!([
            {"type": "relu"}, {"type": "dropout", "rate": 0.5}, {"type": "linear", "units": 5}, {"type": "relu"},
            {"type": "linear", "units": 2},
        ]);
        let network = build(graph(layers), Execution::float32(4)).unwrap();
        assert_eq!(operations(&network).unwrap(), 2.0 * (2.0 * 15.0 + 3.0 * 10.0));
    }

    #[test]
    fn a_batch_that_ghost_batches_do_not_divide_is_refused() {
        let graph = || graph(serde_json::json!([{"type": "batch_norm", "ghost_batch": 4}]));
        assert!(build(graph(), Execution::float32(8)).is_ok());
        let error = build(graph(), Execution::float32(6)).err().unwrap().to_string();
        assert!(error.contains("ghost_batch = 4 does not divide the 6 samples"), "{error}");
    }

    #[test]
    fn an_unknown_model_is_refused_with_the_nearest() {
        let error = Stepper::new("lenett", Execution::float32(1)).err().unwrap().to_string();
        assert!(error.contains("--model: no preset is called `lenett`; did you mean `lenet`?"), "{error}");
    }
}
