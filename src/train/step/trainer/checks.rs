//! Checks for ranks that differ and for values that are not finite.

use super::Trainer;
use crate::state::hash::hash_values;
use ternflock_base::error::{Error, Result};
use ternflock_nn::Tally;
use ternflock_world::World;

impl Trainer {
    /// Checks that all ranks are at the same step, with bit-identical parameters and optimizer state.
    ///
    /// # Errors
    /// [`Error::Disagree`] on all ranks, naming two that differ.
    pub fn verify(&self, world: &mut World) -> Result<()> {
        world.set_context(format_args!("step {}, comparison of all parameters", self.step));
        world.agree("the step", self.step)?;
        let states = self.optimizer.states().iter().map(|state| &state.values);
        // Rotated, so that two equal hashes do not cancel.
        let hash = std::iter::once(&self.network.parameters.values)
            .chain(states)
            .fold(0u64, |hash, values| hash.rotate_left(1) ^ hash_values(values));
        world.agree(&format!("step {}: the hash of parameters and the optimizer's state", self.step), hash)
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
    pub(super) fn explain_non_finite(&self, world: &mut World, rank: usize, tally: Tally) -> Result<Error> {
        let loss = tally.mean_loss();
        let bad_gradient = || {
            let parameters = &self.network.parameters;
            parameters.table.iter().find_map(|parameter| {
                let values = &parameters.gradients[parameter.range.clone()];
                let at = values.iter().position(|g| !g.is_finite())?;
                let kept = if self.exchange.residuals().next().is_some() {
                    ", including the residual of error feedback,"
                } else {
                    ""
                };
                Some(format!(
                    "the gradient of `{}`{kept} holds {} at element {at}",
                    parameter.name, values[at]
                ))
            })
        };
        let found = self.network.first_non_finite().or_else(bad_gradient).unwrap_or_default();
        let what = world.broadcast_from(rank, &format!("the loss is {loss}; {found}"))?;
        let rate = self.learning_rate(self.step);
        let noise = self.amplitude().map_or(String::new(), |a| {
            format!("smoothout.a = {} moves the weights by {a} now; ", self.job.smoothout.a)
        });
        let what = format!("{what} ({noise}learning rate {rate}; a smaller one may help)");
        Ok(Error::NonFinite { step: self.step, rank, what })
    }
}
