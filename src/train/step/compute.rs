//! A rank's part of a step up to its gradients: forward, loss and backward, for its complete part of the
//! batch at once or for one micro-batch after another.

use std::sync::Arc;

use ternflock_collectives::topology::Topology;

use crate::exchange::GradientSink;
use crate::step::batch::Batch;
use crate::step::recurrent_state::Places;
use ternflock_base::error::Result;
use ternflock_data::{TrainingFeed, shard};
use ternflock_job::Job;
use ternflock_nn::layer::{Draw, Mode, RecurrentState};
use ternflock_nn::{Loss, Network, Tally, Targets, usual_loss};
use ternflock_smoothout::SmoothOut;
use ternflock_tensor::{add_scaled, for_each_row, rows, rows_mut};

/// Everything that computing gradients needs in addition to the network.
pub struct Compute {
    pub feed: Box<dyn TrainingFeed>,
    seed: u64,
    batch: Batch,
    loss: Arc<dyn Loss>,
    targets: Targets,
    places: Places,
    sums: Sums,
    smoothout: Option<SmoothOut>,
}

impl Compute {
    /// The settings of `job` for `network`, on a rank of `topology`.
    ///
    /// # Errors
    /// When the job perturbs layers that do not exist.
    pub fn new(
        job: &Job,
        feed: Box<dyn TrainingFeed>,
        network: &mut Network,
        topology: &Topology,
    ) -> Result<Compute> {
        let batch = Batch::of(&job.train);
        let mut compute = Compute {
            loss: usual_loss(feed.target()),
            targets: Targets::with_capacity(batch.at_a_time(topology.world())),
            feed,
            seed: job.train.seed,
            batch,
            places: Places::new(network, &batch, topology.world()),
            sums: Sums::default(),
            smoothout: None,
        };
        compute.set_up(job, network, false, topology)?;
        Ok(compute)
    }

    /// Continues with the settings of `job` and with `network`; if that is a new network, its recurrent layers start
    /// without a state. With `freeze_zeros`, zeros among its weights are not perturbed.
    ///
    /// # Errors
    /// Those of [`Compute::new`].
    pub fn set_up(
        &mut self,
        job: &Job,
        network: &mut Network,
        freeze_zeros: bool,
        topology: &Topology,
    ) -> Result<()> {
        let several = self.batch.at_a_time(topology.world()) < self.batch.share(topology.world());
        let parameters = network.parameters.values.len();
        self.sums = Sums { values: vec![0.0; if several { parameters } else { 0 }] };
        self.smoothout = SmoothOut::new(&job.smoothout, network.graph(), &network.parameters.table)?
            .map(|smoothout| smoothout.spare_zeros(freeze_zeros));
        Ok(())
    }

    /// Allocates the recurrent state of `network`, which replaces another one.
    pub fn change_network(&mut self, network: &mut Network, topology: &Topology) {
        self.places = Places::new(network, &self.batch, topology.world());
    }

    /// The state that the layers carry to the next step, with one row per place of this rank.
    pub fn recurrent_state<'n>(&'n mut self, network: &'n mut Network) -> Vec<(&'n str, RecurrentState<'n>)> {
        self.places.all(network)
    }

    /// How far the weights are perturbed at step `step` of `steps` of a stage; `None` if they are not.
    pub fn amplitude(&self, step: u64, steps: u64) -> Option<f32> {
        self.smoothout.as_ref().map(|smoothout| smoothout.amplitude(step, steps))
    }

    /// Computes the gradients of rank `rank` of `world` at step `step`, at weights perturbed by `amplitude`,
    /// and passes them to `give` part by part. Returns the tally of this rank's part of the batch. Each
    /// sample has the weight P / batch, so that the mean over ranks is the mean over the batch even if parts
    /// differ by one sample. The loss of a sequence is the sum over its tokens, as in Zaremba's code, which
    /// his learning rates and clipping norms assume.
    ///
    /// Parameters may be perturbed afterwards: see [`Compute::restore`].
    pub fn gradients<'a>(
        &'a mut self,
        network: &'a mut Network,
        (rank, world): (usize, usize),
        (step, amplitude): (u64, Option<f32>),
        parts: &[usize],
        give: &mut GradientSink<'_, 'a>,
    ) -> Result<Tally> {
        let Compute { feed, seed, batch, loss, targets, places, sums, smoothout } = self;
        let part = shard(batch.global(), rank, world);
        let (weight, first) = (world as f32 / batch.global() as f32, part.start);
        if feed.restarts(step) {
            places.reset(network);
        }
        let (mut total, mut done) = (Tally::default(), 0);
        for samples in batch.micro_batches(part.clone()) {
            let (size, at) = (samples.len(), samples.start - first..samples.end - first);
            let is_last = samples.end == part.end;
            let draw = Draw { seed: *seed, step, first_sample: samples.start };
            if let (Some(smoothout), Some(a)) = (&mut *smoothout, amplitude) {
                smoothout.perturb(draw, a, &mut network.parameters.values);
            }
            places.give(network, at.clone());
            feed.fill(step, samples, network.input_mut(size), targets)?;
            network.forward(size, Mode::Train(draw));
            places.take(network, at);
            let (outputs, gradient) = network.output_and_gradient();
            total += loss.compute(outputs, targets, weight, Some(gradient));
            done += 1;
            // After a loss that is not finite no further computation is useful, and the network shows its
            // origin.
            if is_last || !total.loss.is_finite() {
                let (finite, mut sums) = (total.loss.is_finite(), sums.rest(done > 1));
                network.backward_in_parts(size, parts, &mut |gradients| {
                    sums.add_to(gradients);
                    give(finite, gradients);
                });
                break;
            }
            network.backward(size);
            sums.add(done == 1, &network.parameters.gradients);
        }
        Ok(total)
    }

    /// Restores the parameters to their values before [`Compute::gradients`], to the bit.
    pub fn restore(&mut self, network: &mut Network) {
        if let Some(smoothout) = &mut self.smoothout {
            smoothout.restore(&mut network.parameters.values);
        }
    }
}

/// The sums of the gradients of all micro-batches but the last, laid out as the parameters; empty if there is
/// only one.
#[derive(Default)]
struct Sums {
    values: Vec<f32>,
}

impl Sums {
    /// Adds the gradients of a micro-batch; those of the first replace the previous contents.
    fn add(&mut self, is_first: bool, gradients: &[f32]) {
        let both = (rows_mut(&mut self.values, WIDTH), rows(gradients, WIDTH));
        for_each_row(both, |_, (sums, gradients)| match is_first {
            true => sums.copy_from_slice(gradients),
            false => add_scaled(1.0, gradients, sums),
        });
    }

    /// The sums still to be added to the gradients of the last micro-batch, which are delivered from the last
    /// layers to the first; empty unless there were micro-batches before.
    fn rest(&self, any: bool) -> Rest<'_> {
        Rest { sums: if any { &self.values } else { &[] } }
    }
}

/// Sums that have not been added to gradients yet.
struct Rest<'s> {
    sums: &'s [f32],
}

impl Rest<'_> {
    /// Adds the last of them to `gradients`, the part that precedes the one delivered before.
    fn add_to(&mut self, gradients: &mut [f32]) {
        if self.sums.is_empty() {
            return;
        }
        let (rest, sums) = self.sums.split_at(self.sums.len() - gradients.len());
        self.sums = rest;
        let both = (rows(sums, WIDTH), rows_mut(gradients, WIDTH));
        for_each_row(both, |_, (sums, gradients)| add_scaled(1.0, sums, gradients));
    }
}

/// Number of elements that a thread processes at a time.
const WIDTH: usize = 16 * 1024;
