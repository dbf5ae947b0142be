//! SmoothOut: noise on the weights at which gradients are computed (W. Wen et al., "SmoothOut: Smoothing Out
//! Sharp Minima to Improve Generalization in Deep Learning", 2018). A step updates the weights without the
//! noise. So training minimises the mean of the loss around the weights, in which sharp minima are shallow
//! and flat ones are not.
//!
//! With u uniform on (-1, 1), or normal, for each weight w, and `a` times the schedule's factor for a:
//!
//! ```text
//! none:    w + a u
//! filter:  w + a |W| u / (|U| + 1e-6)    W the weights of a filter, a row of the tensor as a matrix; U its draws (AdaSmoothOut)
//! weight:  w + a |w| u
//! ```
//!
//! [`ParameterSpec::row`](ternflock_nn::layer::ParameterSpec::row) defines a row: the weights of a filter, of
//! a unit, or of a gate of a hidden unit at each level of a recurrent highway network. Each bias is a filter
//! of one weight. A row of zeros therefore gets no noise with `filter` or `weight`. Frozen zeros are not part
//! of the network: they never get noise, and their draws do not count in |U| ([`SmoothOut::spare_zeros`]).
//! Each micro-batch of each rank has its own draws, or all micro-batches of a step share them. Draws are a
//! pure function of the seed, the step, the position of the micro-batch in the global batch, the tensor and
//! the weight (docs/adr/0013), so checkpoints do not store them.

mod noise;
mod quantiles;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::ops::Range;

use noise::{Shape, perturb_filters, perturb_tensor};
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Stream};
use ternflock_base::suggest::suggest;
use ternflock_job::{self as job, Adapt, Distribution, NoiseSchedule};
use ternflock_nn::layer::Draw;
use ternflock_nn::layer::TensorRole;
use ternflock_nn::{Graph, Parameter};
use ternflock_tensor::within;

/// A tensor that is perturbed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tensor {
    /// Its number in the network.
    number: u16,
    /// Its range in the flat vectors.
    range: Range<usize>,
    /// The number of weights per filter.
    filter: usize,
    /// Whether zeros in it can be frozen: yes for weights, no for biases.
    is_weight: bool,
}

/// The noise of a network, and a buffer for its clean weights.
#[derive(Clone, Debug)]
pub struct SmoothOut {
    a: f64,
    adapt: Adapt,
    schedule: NoiseSchedule,
    /// All micro-batches of a step have the same noise.
    shared: bool,
    /// Weights that are zero get no noise.
    spares_zeros: bool,
    shape: Shape,
    tensors: Vec<Tensor>,
    /// The ranges between the tensors.
    others: Vec<Range<usize>>,
    /// While the weights are perturbed: the clean weights.
    clean: Vec<f32>,
    is_perturbed: bool,
}

impl SmoothOut {
    /// The noise that `job` sets for `graph`, whose parameters are laid out as in `table`; `None` if there is
    /// none.
    ///
    /// # Errors
    /// If `job` names a layer that does not exist, or if there is nothing to perturb.
    pub fn new(job: &job::SmoothOut, graph: &Graph, table: &[Parameter]) -> Result<Option<SmoothOut>> {
        let tensors = tensors(job, graph, table)?;
        if job.a == 0.0 {
            return Ok(None);
        }
        if tensors.is_empty() {
            return Err(Error::Usage(
                "smoothout: there is no weight to perturb; smoothout.batch_norm = true includes those of \
                 batch norm"
                    .into(),
            ));
        }
        let end = table.last().map_or(0, |last| last.range.end);
        let mut others = Vec::new();
        let mut from = 0;
        for range in tensors.iter().map(|tensor| &tensor.range).chain([&(end..end)]) {
            if from < range.start {
                others.push(from..range.start);
            }
            from = range.end;
        }
        Ok(Some(SmoothOut {
            a: job.a,
            adapt: job.adapt,
            schedule: job.schedule,
            shared: job.noise == job::Noise::Shared,
            spares_zeros: false,
            shape: match job.distribution {
                Distribution::Uniform => Shape::Uniform,
                Distribution::Normal => Shape::Normal(quantiles::normal().into()),
            },
            tensors,
            others,
            clean: vec![0.0; end],
            is_perturbed: false,
        }))
    }

    /// The same noise. If `spare`, weights that are zero stay zero at every draw, as a stage with frozen
    /// zeros requires.
    pub fn spare_zeros(self, spare: bool) -> SmoothOut {
        SmoothOut { spares_zeros: spare, ..self }
    }

    /// `a` at step `step` of `steps`.
    pub fn amplitude(&self, step: u64, steps: u64) -> f32 {
        (self.a * factor(self.schedule, step as f64, steps as f64)) as f32
    }

    /// Adds noise with the amplitude `a`, for the micro-batch of `draw`, to the clean `values`, which are all
    /// parameters of the network. Earlier noise is removed. Nothing is allocated, and the result does not
    /// depend on the number of threads.
    pub fn perturb(&mut self, draw: Draw, a: f32, values: &mut Vec<f32>) {
        if !self.is_perturbed {
            std::mem::swap(values, &mut self.clean);
            self.others.iter().for_each(|range| {
                values[range.clone()].copy_from_slice(&self.clean[range.clone()]);
            });
            self.is_perturbed = true;
        }
        let place = if self.shared { 0 } else { draw.first_sample as u32 };
        within(|| {
            for Tensor { number, range, filter, is_weight } in &self.tensors {
                let stream = Stream {
                    seed: draw.seed,
                    purpose: Purpose::SmoothOut,
                    step: draw.step,
                    subject: place,
                    tensor: *number,
                };
                let (clean, noisy) = (&self.clean[range.clone()], &mut values[range.clone()]);
                let spares = self.spares_zeros && *is_weight;
                match self.adapt {
                    Adapt::None if spares => perturb_tensor(&stream, &self.shape, clean, noisy, |w, u| {
                        if w == 0.0 { w } else { w + a * u }
                    }),
                    Adapt::None => perturb_tensor(&stream, &self.shape, clean, noisy, |w, u| w + a * u),
                    // Zeros get no noise in any case.
                    Adapt::Weight => {
                        perturb_tensor(&stream, &self.shape, clean, noisy, |w, u| w + a * w.abs() * u);
                    }
                    Adapt::Filter => {
                        perturb_filters(&stream, &self.shape, a, (*filter, spares), clean, noisy);
                    }
                }
            }
        });
    }

    /// Restores `values` to the clean weights before the first [`SmoothOut::perturb`], to the bit.
    pub fn restore(&mut self, values: &mut Vec<f32>) {
        if std::mem::take(&mut self.is_perturbed) {
            std::mem::swap(values, &mut self.clean);
        }
    }
}

/// The factor of `a` at step t of the T steps of a stage: 1, or sqrt((1 + t)^-0.55), or (tanh(10 (t / T -
/// 1/2)) + 1) / 2, as in the authors' code.
fn factor(schedule: NoiseSchedule, t: f64, steps: f64) -> f64 {
    match schedule {
        NoiseSchedule::Constant => 1.0,
        NoiseSchedule::Anneal => (1.0 + t).powf(-0.55).sqrt(),
        NoiseSchedule::Grow => ((10.0 * (t / steps - 0.5)).tanh() + 1.0) / 2.0,
    }
}

/// The tensors that `job` selects: those of the layers that it names, or of all layers. Those of batch norm
/// are included only if it enables them.
fn tensors(job: &job::SmoothOut, graph: &Graph, table: &[Parameter]) -> Result<Vec<Tensor>> {
    let name = |p: &Parameter| graph.layers()[p.layer].name.as_str();
    let is_free = |p: &Parameter| job.batch_norm || p.spec.role != TensorRole::Normalisation;
    let mut names: Vec<&str> = table.iter().filter(|p| is_free(p)).map(name).collect();
    names.dedup();
    let known: HashSet<&str> = names.iter().copied().collect();
    if let Some(unknown) = job.layers.iter().flatten().find(|layer| !known.contains(layer.as_str())) {
        return Err(Error::Usage(format!(
            "smoothout.layers: no layer with weights to perturb is called `{unknown}`; {}",
            suggest(unknown, &names)
        )));
    }
    let layers = job.layers.as_ref().map(|layers| layers.iter().map(String::as_str).collect::<HashSet<_>>());
    let is_chosen =
        |p: &Parameter| is_free(p) && layers.as_ref().is_none_or(|layers| layers.contains(name(p)));
    let tensor = |(number, p): (usize, &Parameter)| Tensor {
        number: number as u16,
        range: p.range.clone(),
        filter: p.spec.row(),
        is_weight: p.spec.role.decays(),
    };
    Ok(table.iter().enumerate().filter(|(_, p)| is_chosen(p)).map(tensor).collect())
}
