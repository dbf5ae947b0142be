//! Local steps (Lin, Stich, Patel and Jaggi, "Don't Use Large Mini-Batches, Use Local SGD", ICLR 2020): each rank takes
//! several steps with the gradients of its own samples. Then the ranks average the movements of their parameters since
//! these were last equal, by the method that otherwise averages gradients.

use std::time::Instant;

use super::Trainer;
use super::step::Step;
use crate::exchange::method::RESIDUAL;
use crate::exchange::{Agreed, GradientSink};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_nn::{Parameter, Parameters, Tally};
use ternflock_report::Phases;
use ternflock_tensor::{all_finite, for_each_row, rows, rows_mut, vectorise, within};
use ternflock_world::World;

/// Elements that one thread takes at a time.
const PART: usize = 1 << 15;

/// The local steps since all ranks last had the same parameters.
#[derive(Default)]
pub(super) struct LocalSteps {
    /// The parameters at that time; empty in a job without local steps.
    anchor: Vec<f32>,
    /// Local steps since then.
    taken: u64,
    /// By tensor: the sum of the rates at which these steps moved it.
    rates: Vec<f64>,
    /// The first of these steps at which this rank had a value that is not finite, and what it was.
    failure: Option<(u64, String)>,
}

impl LocalSteps {
    /// Buffers for `parameters` in a job whose exchanges are `every` steps apart.
    pub fn new(every: u64, parameters: &Parameters) -> LocalSteps {
        let (elements, tensors) = match every {
            0 | 1 => (0, 0),
            _ => (parameters.values.len(), parameters.table.len()),
        };
        LocalSteps { anchor: vec![0.0; elements], rates: vec![0.0; tensors], ..LocalSteps::default() }
    }

    /// Begins with `parameters`, which are equal on all ranks.
    fn begin(&mut self, parameters: &[f32]) {
        self.anchor.copy_from_slice(parameters);
        self.rates.fill(0.0);
        self.failure = None;
    }
}

impl Trainer {
    /// Whether all ranks have the same parameters now. Only then may they be evaluated, saved or changed.
    pub fn is_synchronised(&self) -> bool {
        self.local_steps.taken == 0
    }

    /// Performs one local step, and synchronises the ranks if the rhythm says so.
    ///
    /// # Errors
    /// Those of [`Trainer::step`]. Until the next synchronisation, a rank whose loss or gradient is not finite waits
    /// without computing; then all ranks return the error, with the step at which it happened.
    pub(super) fn local_step(&mut self, world: &mut World, stop: bool) -> Result<Step> {
        let (start, mut phases) = (Instant::now(), Phases::default());
        if self.is_synchronised() {
            self.local_steps.begin(&self.network.parameters.values);
            if self.step == self.job.exchange.every_start {
                self.clear_residuals();
            }
        }
        let tally = match self.local_steps.failure {
            None => self.compute_and_update(world, &mut phases)?,
            Some(_) => Tally::default(),
        };
        self.local_steps.taken += 1;
        let (agreed, bytes_sent) = match self.synchronises_next() {
            true => self.synchronise(world, stop, &mut phases)?,
            false => (Agreed::default(), 0),
        };
        self.step += 1;
        let seconds = start.elapsed().as_secs_f64();
        Ok(Step {
            tally,
            phases,
            seconds,
            bytes_sent,
            stop: agreed.stop,
            is_synchronised: self.is_synchronised(),
        })
    }

    /// Drops all residuals, because those of gradients and of movements have different units.
    pub(crate) fn clear_residuals(&mut self) {
        for number in 0..self.network.parameters.table.len() {
            if let Some(residual) = self.exchange.state_mut(RESIDUAL, number) {
                residual.fill(0.0);
            }
        }
    }

    /// The step of this rank alone, unless it shows a value that is not finite.
    fn compute_and_update(&mut self, world: &World, phases: &mut Phases) -> Result<Tally> {
        let computing = Instant::now();
        let tally = self.local_gradients((world.rank(), world.size()))?;
        phases.compute += computing.elapsed().as_secs_f64();
        let updating = Instant::now();
        if tally.loss.is_finite() && all_finite(&self.network.parameters.gradients) {
            self.descend();
            if let Some(frozen) = &self.frozen {
                frozen.restore(&mut self.network.parameters.values);
            }
            let sums = self.local_steps.rates.iter_mut().zip(self.optimizer.rates());
            sums.for_each(|(sum, rate)| *sum += rate);
        } else {
            self.local_steps.failure = Some((self.step, self.describe_non_finite(tally, "")));
        }
        phases.update += updating.elapsed().as_secs_f64();
        Ok(tally)
    }

    /// Moves the parameters of all ranks to the anchor plus the mean of their movements, and applies what acts on shared
    /// parameters only. Returns the decisions of the ranks, and the bytes that this rank has sent.
    fn synchronise(&mut self, world: &mut World, stop: bool, phases: &mut Phases) -> Result<(Agreed, u64)> {
        world.set_context(format_args!("step {}", self.step));
        let updating = Instant::now();
        let Trainer { network, exchange, local_steps, step, .. } = self;
        let Parameters { table, values, gradients, .. } = &mut network.parameters;
        within(|| subtract(&local_steps.anchor, values, gradients));
        phases.update += updating.elapsed().as_secs_f64();
        let (before, finite) = (world.traffic().bytes_sent, local_steps.failure.is_none());
        let ((), agreed) = exchange.average(world, *step, stop, phases, |parts, give| {
            deliver(table, gradients, parts, finite, give);
            Ok(())
        })?;
        let bytes_sent = world.traffic().bytes_sent - before;
        if let Some(rank) = agreed.non_finite {
            return Err(self.explain_local_failure(world, rank)?);
        }
        let updating = Instant::now();
        let Parameters { values, gradients, .. } = &mut network.parameters;
        within(|| subtract(&local_steps.anchor, gradients, values));
        local_steps.taken = 0;
        self.finish_update(world)?;
        phases.update += updating.elapsed().as_secs_f64();
        Ok((agreed, bytes_sent))
    }

    /// The zeros that penalties make and those that stay, in parameters that are equal on all ranks.
    fn finish_update(&mut self, world: &mut World) -> Result<()> {
        let Trainer { network, group_lasso, frozen, local_steps, .. } = self;
        let values = &mut network.parameters.values;
        if let Some(lasso) = group_lasso {
            if self.optimizer.rates_depend_on_gradients() {
                // Each rank has moved at rates of its own.
                let mut rates: Vec<f32> = local_steps.rates.iter().map(|rate| *rate as f32).collect();
                world.mean(&mut rates)?;
                local_steps.rates.iter_mut().zip(rates).for_each(|(to, rate)| *to = f64::from(rate));
            }
            lasso.make_zeros(&local_steps.rates, values);
        }
        if let Some(frozen) = frozen {
            frozen.restore_zeros_of(&local_steps.anchor, values);
        }
        Ok(())
    }

    /// The same error on every rank: that of rank `rank`, at the step at which it saw a value that is not finite.
    fn explain_local_failure(&self, world: &mut World, rank: usize) -> Result<Error> {
        let LocalSteps { taken, failure, .. } = &self.local_steps;
        let (step, what) = failure.clone().unwrap_or_else(|| {
            let what = format!(
                "{} moved {}",
                plural(*taken as usize, "local step"),
                self.bad_movement().unwrap_or_default()
            );
            (self.step, what)
        });
        let text = world.broadcast_from(rank, &format!("{step} {what}"))?;
        let (step, what) = text.split_once(' ').unwrap_or_default();
        let step = step.parse().unwrap_or(self.step);
        Ok(Error::NonFinite { step, rank, what: format!("{what} {}", self.advice(step)) })
    }

    /// The first movement that is not finite, with the residual of error feedback.
    fn bad_movement(&self) -> Option<String> {
        let parameters = &self.network.parameters;
        parameters.table.iter().find_map(|parameter| {
            let moved = &parameters.gradients[parameter.range.clone()];
            let at = moved.iter().position(|value| !value.is_finite())?;
            Some(format!("element {at} of `{}` by {}", parameter.name, moved[at]))
        })
    }
}

/// Gives `gradients`, laid out as `table`, to the exchange in the same parts as a backward pass that begins them at the
/// layers `parts`, the last layers first.
fn deliver<'a>(
    table: &[Parameter],
    gradients: &'a mut [f32],
    parts: &[usize],
    finite: bool,
    give: &mut GradientSink<'_, 'a>,
) {
    let mut rest = gradients;
    for &layer in parts {
        let first = table.partition_point(|parameter| parameter.layer < layer);
        let start = table.get(first).map_or(rest.len(), |parameter| parameter.range.start.min(rest.len()));
        let (before, part) = rest.split_at_mut(start);
        rest = before;
        give(finite, part);
    }
}

/// `to` becomes `from` minus `what`.
fn subtract(from: &[f32], what: &[f32], to: &mut [f32]) {
    for_each_row((rows(from, PART), rows(what, PART), rows_mut(to, PART)), |_, (from, what, to)| {
        vectorise(
            #[inline(always)]
            || to.iter_mut().zip(from.iter().zip(what)).for_each(|(to, (from, what))| *to = from - what),
        );
    });
}
