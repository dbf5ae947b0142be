//! Choosing the method that averages the gradients of a trainer.

use ternflock_collectives::topology::Topology;

use super::Trainer;
use crate::exchange::method::{self, Method};
use crate::exchange::{Choice, Exchange, rows_read};
use crate::step::statistics::STATISTICS;
use ternflock_base::error::{Error, Result};
use ternflock_job::{self as job, Gradients};
use ternflock_nn::{Graph, Network};
use ternflock_optim::STATE_NAMES;
use ternflock_world::World;

/// The exchange of the gradients of `network` with the settings `train`, by `method` or by the one that `job` names.
///
/// # Errors
/// Those of [`Exchange::with_method`]; [`Error::Usage`] when a slot of the method has another owner in checkpoints.
pub(super) fn exchange(
    method: Option<&'static dyn Method>,
    job: &job::Exchange,
    train: &job::Train,
    network: &Network,
    topology: Topology,
) -> Result<Exchange> {
    let method = method.unwrap_or_else(|| method::of(job.gradients));
    let (graph, parameters) = (network.graph(), &network.parameters);
    let mut exchange = Exchange::with_method(method, job, train.seed, graph, parameters, topology)?;
    exchange.bound_rows(rows_of_an_exchange(job, train, graph));
    check_slots(&exchange)?;
    Ok(exchange)
}

/// The most rows of an embedding that the samples between two exchanges read.
pub(super) fn rows_of_an_exchange(job: &job::Exchange, train: &job::Train, graph: &Graph) -> usize {
    rows_read(graph, train.global_batch.saturating_mul(job.every as usize))
}

/// Refuses slots that checkpoints use for the optimizer or for the statistics of each rank, because both
/// would share a group.
fn check_slots(exchange: &Exchange) -> Result<()> {
    let owner = |slot: &str| match slot {
        STATISTICS => Some("the running statistics of each rank"),
        slot => STATE_NAMES.contains(&slot).then_some("optimizers"),
    };
    match exchange.state().find_map(|state| Some((state.slot, owner(state.slot)?))) {
        None => Ok(()),
        Some((slot, owner)) => Err(Error::Usage(format!(
            "the averaging method `{}` keeps its state in the slot `{slot}`, which is that of {owner} in checkpoints: \
             give the slot another name",
            exchange.method().name()
        ))),
    }
}

impl Trainer {
    /// The exchange, to read its figures.
    pub fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    /// The exchange, to restore the state of its method.
    pub fn exchange_mut(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// If the job leaves the choice to the ranks, chooses together with all of them how gradients are
    /// averaged, and gives the reason; `resumed_choice` is the earlier choice of a resumed run. The state of
    /// a method that is replaced is dropped.
    ///
    /// # Errors
    /// Those of measuring the links between the ranks, and of [`Trainer::set_exchange`].
    pub fn choose_exchange(
        &mut self,
        world: &mut World,
        resumed_choice: Option<Gradients>,
    ) -> Result<Option<String>> {
        let asked = &self.job.exchange;
        let Some(Choice { gradients, algorithm, coding, reason }) =
            self.exchange.choose(asked, world, resumed_choice)?
        else {
            return Ok(None);
        };
        if gradients == self.exchange.gradients() {
            self.exchange.set_algorithm(algorithm);
            self.exchange.set_coding(coding);
            return Ok(Some(reason));
        }
        // Without compression no layer travels at low rank either.
        let low_rank = if method::of(gradients).is_lossless() { Vec::new() } else { asked.low_rank.clone() };
        self.set_exchange(&job::Exchange { gradients, low_rank, ..asked.clone() }, world.topology())?;
        Ok(Some(reason))
    }

    /// Averages gradients as set by `exchange` from now on. The state of the present method is dropped.
    ///
    /// # Errors
    /// Those of [`Trainer::set_method`].
    pub fn set_exchange(&mut self, exchange: &job::Exchange, topology: Topology) -> Result<()> {
        self.set_method(method::of(exchange.gradients), exchange, topology)
    }

    /// [`Trainer::set_exchange`] with `method` in place of the one that `exchange` names.
    ///
    /// # Errors
    /// [`Error::Usage`] when a layer to keep in float32 does not exist, or when a slot of the method's state
    /// has the name of an optimizer's slot.
    pub fn set_method(
        &mut self,
        method: &'static dyn Method,
        exchange: &job::Exchange,
        topology: Topology,
    ) -> Result<()> {
        let train = &self.job.train;
        self.exchange = self::exchange(Some(method), exchange, train, &self.network, topology)?;
        Ok(())
    }
}
