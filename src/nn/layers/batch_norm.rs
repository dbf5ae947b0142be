//! Batch normalisation (Ioffe and Szegedy, 2015) with PyTorch's running statistics, optionally over ghost
//! batches (Hoffer, Hubara and Soudry, "Train longer, generalize better", 2017, algorithm 1) and optionally
//! followed by ReLU.
//!
//! Letters: C channels, H W image, T steps, N samples, G samples per ghost batch; images `[C, H, W, N]`, vectors
//! `[N, C]`, sequences `[T, N, C]`.

mod kernels;

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, SEQUENCE, VECTOR, single, tokens_instead};
use crate::coupling::{Axis, Coupling};
use crate::declare::WithoutMatrix;
use crate::init::{Fan, Init};
use crate::layer::{
    BIAS, Backward, BackwardReads, Describe, Forward, Layer, Mode, ParameterSpec, TensorRole, Tensors,
    TensorsMut, WEIGHT,
};
use crate::spec::default;
use crate::{Execution, Shape};
use kernels::{Channel, Ghost, Sums};
use ternflock_base::text::plural;
use ternflock_tensor::{Buffers, for_each_row, rows, rows_mut, transpose};

/// y = (x - mean) / sqrt(variance + eps) * weight + bias, per channel. Training uses the mean and the biased
/// variance of the channel's values in the rank's part of the batch; evaluation uses the running statistics.
///
/// Parameters: weight `[C]` and bias `[C]`. Statistics: running_mean `[C]` and running_var `[C]`. Each
/// training step multiplies them by 1 - momentum and adds momentum times the batch's mean and unbiased
/// variance; ghost batches do so one after another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchNorm {
    /// Added to the variance.
    #[serde(default = "default_eps")]
    pub eps: f64,
    /// The weight of a batch in the running statistics.
    #[serde(default = "default_momentum")]
    pub momentum: f64,
    /// Whether the layer has a weight and a bias.
    #[serde(default = "default::yes")]
    pub affine: bool,
    /// G: the number of samples over which statistics are computed. By default all samples of the rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ghost_batch: Option<usize>,
    /// Whether ReLU follows; it is then computed in the same pass.
    #[serde(default)]
    pub relu: bool,
}

fn default_eps() -> f64 {
    1e-5
}

fn default_momentum() -> f64 {
    0.1
}

impl BatchNorm {
    /// C, and H W or T, of the only input.
    fn channels(&self, inputs: &[Shape]) -> Result<(usize, usize), String> {
        if !(self.eps > 0.0 && self.eps.is_finite()) {
            return Err(format!("eps = {} must be above 0", self.eps));
        }
        if !(self.momentum > 0.0 && self.momentum <= 1.0) {
            return Err(format!("momentum = {} must be above 0 and at most 1", self.momentum));
        }
        if self.ghost_batch == Some(0) {
            return Err("ghost_batch must be at least 1".into());
        }
        match single(inputs)? {
            Shape::Image { channels, height, width } => Ok((channels, height * width)),
            Shape::Vector { features } => Ok((features, 1)),
            Shape::Sequence { steps, features } => Ok((features, steps)),
            tokens @ Shape::Tokens { .. } => Err(format!("takes numbers, got {}", tokens_instead(tokens))),
        }
    }

    /// G for a batch of `batch` samples.
    fn ghost(&self, batch: usize) -> usize {
        self.ghost_batch.unwrap_or(batch).clamp(1, batch.max(1))
    }

    /// A tensor with one number per channel, which begins as `init`.
    fn tensor(
        &self,
        inputs: &[Shape],
        name: &'static str,
        init: Init,
        role: TensorRole,
    ) -> Result<ParameterSpec, String> {
        let (channels, _) = self.channels(inputs)?;
        let fan = Fan { inputs: 1, outputs: 1 };
        Ok(ParameterSpec { name, shape: vec![channels], init, fan, role, axes: vec![Axis::Makes(1)] })
    }
}

const RUNNING_MEAN: &str = "running_mean";
const RUNNING_VAR: &str = "running_var";

impl Examples for BatchNorm {
    const EXAMPLES: &'static [Example] = &[
        Example { table: r#"{"type": "batch_norm"}"#, inputs: &[IMAGE] },
        Example { table: r#"{"type": "batch_norm", "affine": false}"#, inputs: &[VECTOR] },
        Example { table: r#"{"type": "batch_norm"}"#, inputs: &[SEQUENCE] },
    ];
}

impl WithoutMatrix for BatchNorm {}

impl Describe for BatchNorm {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        self.channels(inputs)?;
        single(inputs)
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let tensor = |name, init| self.tensor(inputs, name, init, TensorRole::Normalisation);
        match self.affine {
            true => Ok(vec![tensor(WEIGHT, Init::Constant(1.0))?, tensor(BIAS, Init::Zero)?]),
            false => Ok(Vec::new()),
        }
    }

    fn statistics(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let tensor = |name, init| self.tensor(inputs, name, init, TensorRole::Statistic);
        Ok(vec![tensor(RUNNING_MEAN, Init::Zero)?, tensor(RUNNING_VAR, Init::Constant(1.0))?])
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        // Zero minus its running mean is not zero.
        Ok(Coupling { zero_stays_zero: self.affine, ..Coupling::unit_by_unit() })
    }

    fn fits_batch(&self, inputs: &[Shape], batch: usize) -> Result<(), String> {
        let (_, positions) = self.channels(inputs)?;
        match self.ghost_batch {
            Some(ghost) if !batch.is_multiple_of(ghost) => {
                let samples = plural(batch, "sample");
                Err(format!(
                    "ghost_batch = {ghost} does not divide the {samples} that a rank computes in a step"
                ))
            }
            _ if self.ghost(batch) * positions < 2 => {
                Err("a channel has only one value, so it has no variance; a rank needs a larger part of the \
                    batch"
                    .into())
            }
            _ => Ok(()),
        }
    }

    fn build(
        &self,
        inputs: &[Shape],
        Execution { batch, .. }: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        let (channels, positions) = self.channels(inputs)?;
        let is_by_row = !matches!(single(inputs)?, Shape::Image { .. });
        let mut turned = || buffers.zeros(&[channels, if is_by_row { positions } else { 0 }, batch]);
        let turned = [turned()?, turned()?, turned()?];
        Ok(Box::new(Normalisation {
            options: self.clone(),
            channels,
            positions,
            is_by_row,
            fixed: false,
            ghosts: buffers.zeros(&[channels, batch.div_ceil(self.ghost(batch))])?,
            sums: buffers.zeros(&[channels])?,
            turned,
        }))
    }
}

struct Normalisation {
    options: BatchNorm,
    channels: usize,
    positions: usize,
    /// Whether the channels of a vector or of a step are adjacent.
    is_by_row: bool,
    /// The moments of the last training step: `[C, ghost batches]`. After an evaluation, the running
    /// statistics: `[C, 1]`.
    ghosts: Vec<Ghost>,
    /// Whether the last pass used statistics that do not depend on its batch, which are the running ones.
    fixed: bool,
    /// The sums of the last backward pass, by channel.
    sums: Vec<Sums>,
    /// For vectors and sequences: x, then y or dy, then dx, each as `[C, N]` or `[C, T, N]`.
    turned: [Vec<f32>; 3],
}

impl Layer for Normalisation {
    fn forward(&mut self, mut pass: Forward<'_>) {
        let (c, n, x) = (self.channels, pass.batch, pass.x.get(0));
        let width = self.positions * n;
        let channel = self.channel(n, pass.parameters);
        let [x_turned, y_turned, _] = &mut self.turned;
        let (x, y) = match self.is_by_row {
            true => {
                transpose(x, width, c, &mut x_turned[..c * width]);
                (&x_turned[..c * width], &mut y_turned[..c * width])
            }
            false => (x, &mut *pass.y),
        };
        let per_channel = n.div_ceil(self.options.ghost(n));
        self.fixed = pass.mode == Mode::Evaluate;
        match pass.mode {
            Mode::Train(_) => {
                let ghosts = &mut self.ghosts[..c * per_channel];
                for_each_row(
                    (rows(x, width), rows_mut(y, width), rows_mut(ghosts, per_channel)),
                    |index, (x, y, ghosts)| channel(index).train(x, y, ghosts),
                );
                self.run_on(&mut pass.statistics, per_channel);
            }
            Mode::Evaluate => {
                let statistics = pass.statistics.view();
                let (means, variances) = (statistics.get(RUNNING_MEAN), statistics.get(RUNNING_VAR));
                let ghosts = rows_mut(&mut self.ghosts[..c], 1);
                for_each_row((rows(x, width), rows_mut(y, width), ghosts), |index, (x, y, ghosts)| {
                    ghosts[0] = channel(index).evaluate(x, y, means[index], variances[index]);
                });
            }
        }
        if self.is_by_row {
            transpose(&self.turned[1][..c * width], c, width, pass.y);
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let (c, n) = (self.channels, pass.batch);
        let width = self.positions * n;
        let channel = self.channel(n, pass.parameters);
        let [x_turned, dy_turned, dx_turned] = &mut self.turned;
        let mut dx = pass.dx.get(0);
        let wants_dx = dx.is_some();
        let (x, dy, to) = match self.is_by_row {
            true => {
                transpose(pass.dy, width, c, &mut dy_turned[..c * width]);
                (&x_turned[..c * width], &dy_turned[..c * width], &mut dx_turned[..c * width])
            }
            false => (pass.x.get(0), pass.dy, dx.as_deref_mut().unwrap_or(&mut [])),
        };
        let ghosts = if self.fixed { 1 } else { n.div_ceil(self.options.ghost(n)) };
        let (per_channel, fixed) = (ghosts, self.fixed);
        let (ghosts, sums) =
            (rows(&self.ghosts[..c * per_channel], per_channel), rows_mut(&mut self.sums, 1));
        let (x, dy) = (rows(x, width), rows(dy, width));
        if wants_dx {
            for_each_row((x, dy, ghosts, sums, rows_mut(to, width)), |index, (x, dy, ghosts, sums, dx)| {
                sums[0] = channel(index).backward(x, dy, Some(dx), ghosts, fixed);
            });
        } else {
            for_each_row((x, dy, ghosts, sums), |index, (x, dy, ghosts, sums)| {
                sums[0] = channel(index).backward(x, dy, None, ghosts, fixed);
            });
        }
        if let Some(dx) = dx.filter(|_| self.is_by_row) {
            transpose(&self.turned[2][..c * width], c, width, dx);
        }
        if self.options.affine {
            let part = |tensor: &mut [f32], part: fn(&Sums) -> f32| {
                tensor.iter_mut().zip(&self.sums).for_each(|(gradient, sums)| *gradient = part(sums));
            };
            part(pass.gradients.get(WEIGHT), |sums| sums.weight);
            part(pass.gradients.get(BIAS), |sums| sums.bias);
        }
    }
}

impl Normalisation {
    /// How each channel of a batch of `samples` is normalised.
    fn channel<'a>(
        &self,
        samples: usize,
        parameters: Tensors<'a>,
    ) -> impl Fn(usize) -> Channel + Sync + use<'a> {
        let BatchNorm { eps, relu, .. } = self.options;
        let ghost = self.options.ghost(samples);
        let (weights, biases) = (parameters.find(WEIGHT), parameters.find(BIAS));
        move |index| {
            let of = |tensor: Option<&[f32]>, without| tensor.map_or(without, |tensor| tensor[index]);
            let (weight, bias) = (of(weights, 1.0), of(biases, 0.0));
            Channel { samples, ghost, weight, bias, eps, relu }
        }
    }

    /// Adds the ghost batches, `per_channel` of them, to the running statistics.
    fn run_on(&self, statistics: &mut TensorsMut<'_>, per_channel: usize) {
        let share = self.options.momentum as f32;
        let seen = || self.ghosts.chunks_exact(per_channel.max(1));
        let run = |running: &mut [f32], value: fn(&Ghost) -> f32| {
            for (running, ghosts) in running.iter_mut().zip(seen()) {
                for ghost in ghosts {
                    *running = (1.0 - share) * *running + share * value(ghost);
                }
            }
        };
        run(statistics.get(RUNNING_MEAN), |ghost| ghost.mean);
        run(statistics.get(RUNNING_VAR), |ghost| ghost.variance);
    }
}

#[cfg(test)]
mod tests;
