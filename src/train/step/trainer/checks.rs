//! Checks for ranks that differ and for values that are not finite.

use super::Trainer;
use crate::state::hash::hash_values;
use ternflock_base::error::{Error, Result};
use ternflock_nn::{Tally, non_finite};
use ternflock_world::World;

impl Trainer {
    /// Checks that all ranks are at the same step, with bit-identical parameters and optimizer state. After local steps
    /// only the parameters are compared, because each rank has its own optimizer state.
    ///
    /// # Errors
    /// [`Error::Disagree`] on all ranks, naming two that differ.
    pub fn verify(&self, world: &mut World) -> Result<()> {
        world.set_context(format_args!("step {}, comparison of all parameters", self.step));
        world.agree("the step", self.step)?;
        let shared = if self.shares_optimizer_state() { self.optimizer.states() } else { &[] };
        let states = shared.iter().map(|state| &state.values);
        // Rotated, so that two equal hashes do not cancel.
        let hash = std::iter::once(&self.network.parameters.values)
            .chain(states)
            .fold(0u64, |hash, values| hash.rotate_left(1) ^ hash_values(values));
        let what = if shared.is_empty() { "parameters" } else { "parameters and the optimizer's state" };
        world.agree(&format!("step {}: the hash of {what}", self.step), hash)
    }

    /// Refuses parameters that the last update has made NaN or infinite, before they are evaluated or saved.
    ///
    /// # Errors
    /// [`Error::NonFinite`] with the name of the first of them.
    pub fn check_parameters(&self, rank: usize) -> Result<()> {
        let parameters = &self.network.parameters;
        let Some(at) = parameters.values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
        let bad = parameters.table.iter().find(|parameter| parameter.range.contains(&at));
        let name = bad.map_or("", |parameter| &parameter.name);
        let what = format!(
            "parameter `{name}` became {} in the previous update (learning rate {}; a smaller one may help)",
            parameters.values[at],
            self.learning_rate(self.step.saturating_sub(1).max(self.start))
        );
        Err(Error::NonFinite { step: self.step, rank, what })
    }

    /// The same error on every rank: the message of rank `rank`, which saw the bad value.
    pub(super) fn explain_non_finite(
        &mut self,
        world: &mut World,
        rank: usize,
        tally: Tally,
    ) -> Result<Error> {
        let has_residual = self.exchange.residuals().next().is_some();
        let kept = if has_residual { ", including the residual of error feedback," } else { "" };
        let what = world.broadcast_from(rank, &self.describe_non_finite(tally, kept))?;
        Ok(Error::NonFinite { step: self.step, rank, what: format!("{what} {}", self.advice(self.step)) })
    }

    /// The loss of a step of this rank, and the first value of it that is not finite. `including` says what gradients hold
    /// besides. With SmoothOut, outputs whose buffer was reused are computed again without the perturbation.
    pub(super) fn describe_non_finite(&mut self, tally: Tally, including: &str) -> String {
        let bad_value = self.network.first_non_finite();
        let bad_gradient = || {
            let parameters = &self.network.parameters;
            parameters.table.iter().find_map(|parameter| {
                let found = non_finite(&parameters.gradients[parameter.range.clone()])?;
                Some(format!("the gradient of `{}`{including} {found}", parameter.name))
            })
        };
        let found = bad_value.or_else(bad_gradient).unwrap_or_default();
        format!("the loss is {}; {found}", tally.mean_loss())
    }

    /// The settings at `step` that may help against values that are not finite.
    pub(super) fn advice(&self, step: u64) -> String {
        let rate = self.learning_rate(step);
        let noise = self.amplitude().map_or(String::new(), |a| {
            format!("smoothout.a = {} moves the weights by {a} now; ", self.job.smoothout.a)
        });
        format!("({noise}learning rate {rate}; a smaller one may help)")
    }
}
