//! One training step, as named phases.

use std::time::Instant;

use super::Trainer;
use crate::exchange::Agreed;
use ternflock_base::error::Result;
use ternflock_nn::Tally;
use ternflock_report::Phases;
use ternflock_tensor::within;
use ternflock_world::World;

/// The results of a step on this rank.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The tally of this rank's part of the batch.
    pub tally: Tally,
    /// The time of each phase.
    pub phases: Phases,
    /// The total time.
    pub seconds: f64,
    /// Bytes that this rank has sent to average gradients or, after local steps, the movements of parameters.
    pub bytes_sent: u64,
    /// Whether some rank wants to stop now. Ranks learn of it only when they are synchronised.
    pub stop: bool,
    /// Whether all ranks have the same parameters now; false after a local step that others will follow.
    pub is_synchronised: bool,
}

impl Trainer {
    /// Performs one step. `stop` says that this rank wants to stop after it; the result says whether any rank
    /// does. With local steps ([`Trainer::rhythm`]), the ranks exchange nothing in some steps, and `stop` is ignored
    /// in these.
    ///
    /// # Errors
    /// [`Error::NonFinite`](ternflock_base::error::Error::NonFinite) on all ranks when the loss or a gradient
    /// of one is not finite: the parameters are then still those of the previous step. With local steps, all ranks
    /// return it at the next synchronisation.
    /// [`Error::Exchange`](ternflock_base::error::Error::Exchange) when ranks are late or gone.
    pub fn step(&mut self, world: &mut World, stop: bool) -> Result<Step> {
        world.set_context(format_args!("step {}", self.step));
        if self.rhythm().is_local(self.step) {
            return self.local_step(world, stop);
        }
        let mut phases = Phases::default();
        let (start, before) = (Instant::now(), world.traffic().bytes_sent);
        let (tally, agreed) = self.compute_and_average(world, stop, &mut phases)?;
        if let Some(rank) = agreed.non_finite {
            return Err(self.explain_non_finite(world, rank, tally)?);
        }

        let bytes_sent = world.traffic().bytes_sent - before;
        let update = Instant::now();
        self.update();
        phases.update += update.elapsed().as_secs_f64();
        self.step += 1;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Step { tally, phases, seconds, bytes_sent, stop: agreed.stop, is_synchronised: true })
    }

    /// A step whose gradients are averaged by `average`, all at once after the backward pass: a baseline for
    /// the exchange. Its time is counted as exchange time; values that are not finite are not detected.
    ///
    /// # Errors
    /// The errors of computing the gradients, and of `average`.
    pub fn step_by(
        &mut self,
        world: &mut World,
        average: impl FnOnce(&mut World, &mut [f32]) -> Result<()>,
    ) -> Result<Step> {
        let start = Instant::now();
        let tally = self.local_gradients((world.rank(), world.size()))?;
        let averaging = Instant::now();
        average(world, &mut self.network.parameters.gradients)?;
        let update = Instant::now();
        self.apply();
        let seconds = |from: Instant, to: Instant| to.duration_since(from).as_secs_f64();
        let phases = Phases {
            compute: seconds(start, averaging),
            exchange: seconds(averaging, update),
            update: update.elapsed().as_secs_f64(),
            ..Phases::default()
        };
        let seconds = start.elapsed().as_secs_f64();
        Ok(Step { tally, phases, seconds, bytes_sent: 0, stop: false, is_synchronised: true })
    }

    /// Computes the gradients of rank `rank` of `world` at the present step, and leaves them in the parameters' gradients,
    /// without averaging. Values that are not finite are not detected.
    ///
    /// # Errors
    /// The errors of reading samples.
    pub fn local_gradients(&mut self, (rank, world): (usize, usize)) -> Result<Tally> {
        let amplitude = self.amplitude();
        let Trainer { network, compute, step, .. } = self;
        let at = (*step, amplitude);
        let tally = within(|| compute.gradients(network, (rank, world), at, &[0], &mut |_, _| {}));
        self.compute.restore(&mut self.network);
        tally
    }

    /// Completes the present step with the parameters' gradients, which must be equal on all ranks.
    pub fn apply(&mut self) {
        self.update();
        self.step += 1;
    }

    /// Computes this rank's gradients and their mean over the ranks. Afterwards the weights are unperturbed,
    /// even after an error.
    fn compute_and_average(
        &mut self,
        world: &mut World,
        stop: bool,
        phases: &mut Phases,
    ) -> Result<(Tally, Agreed)> {
        let amplitude = self.amplitude();
        let Trainer { network, exchange, compute, step, .. } = self;
        let (step, rank) = (*step, (world.rank(), world.size()));
        let averaged = exchange.average(world, step, stop, phases, |parts, give| {
            compute.gradients(network, rank, (step, amplitude), parts, give)
        });
        self.compute.restore(&mut self.network);
        averaged
    }

    /// How far SmoothOut perturbs the weights at this step; `None` if it does not.
    pub(super) fn amplitude(&self) -> Option<f32> {
        self.compute.amplitude(self.step - self.start, self.steps - self.start)
    }

    /// The update, from averaged gradients that are equal on every rank: first penalties and forces, then the
    /// optimizer (clipping, decay, momentum), then the weights that penalties set to zero and those that stay
    /// zero.
    fn update(&mut self) {
        self.descend();
        let values = &mut self.network.parameters.values;
        if let Some(lasso) = &mut self.group_lasso {
            lasso.make_zeros(self.optimizer.rates(), values);
        }
        if let Some(frozen) = &self.frozen {
            frozen.restore(values);
        }
    }

    /// The part of the update that moves parameters along their gradients: those of the loss, of penalties and of forces.
    pub(super) fn descend(&mut self) {
        let rate = self.learning_rate(self.step);
        let parameters = &mut self.network.parameters;
        if let Some(lasso) = &mut self.group_lasso {
            lasso.add_gradients(parameters);
        }
        if let Some(force) = &mut self.force {
            force.add(&parameters.values, &mut parameters.gradients);
        }
        if let Some(frozen) = &mut self.frozen {
            frozen.note(parameters);
        }
        self.optimizer.step(self.step - self.optimizer_start, rate, parameters);
    }
}
