//! The checkpoint of a trainer: the state gathered from all ranks, and the snapshot that rank 0 writes.
//!
//! Random numbers need no state (design rule). So parameters, running statistics, the states of the optimizer, of the
//! averaging method and of recurrent layers, and a few counters are all.

use ternflock_base::error::Result;
use ternflock_checkpoint::{self as checkpoint, Best, Origin, Progress, Slot, Snapshot, Tensor};
use ternflock_job::{Job, ScheduleKind};
use ternflock_nn::Parameter;
use ternflock_optim::{Plateau, State};
use ternflock_tensor as tensor;

use crate::state::averaging::{self, AveragingSlot};
use crate::state::optimizer;
use crate::step::trainer::Trainer;
use crate::step::{recurrent_state, statistics};
use ternflock_world::World;

/// The state of all ranks that a checkpoint holds: on rank 0; empty on the others.
pub struct Gathered {
    /// The state of averaging methods, in slots next to those of the optimizer, with the ranks as first
    /// dimension of the tensors.
    averaging: Vec<AveragingSlot>,
    /// Each rank's own optimizer state, with local steps.
    optimizer: Vec<Slot>,
    /// The state that recurrent layers carry to the next step.
    recurrent_state: Vec<Tensor>,
    /// The running statistics of layers: the mean over the ranks, on every rank, and each rank's own.
    statistics: Vec<f32>,
    own_statistics: Vec<Tensor>,
}

impl Trainer {
    /// Gathers the state of all ranks that a checkpoint holds, for [`Trainer::snapshot`] on rank 0.
    ///
    /// # Errors
    /// [`Error::Exchange`](ternflock_base::error::Error::Exchange) when ranks are late or gone.
    pub fn gather(&mut self, world: &mut World) -> Result<Gathered> {
        let averaging = averaging::gather(self, world)?;
        let optimizer = optimizer::gather(self, world)?;
        let global_batch = self.global_batch();
        let recurrent_state = recurrent_state::gather(self.recurrent_state(), global_batch, world)?;
        let own_statistics = statistics::gather(&self.network, world)?;
        let statistics = statistics::averaged(&self.network, world)?;
        Ok(Gathered { averaging, optimizer, recurrent_state, statistics, own_statistics })
    }

    /// The checkpoint of a run of `job` on `ranks` ranks now, in its stage `stage`, with its best evaluation.
    /// It borrows the values of the trainer and those that were gathered. Its vocabulary, the
    /// preparation of its samples and the facts that identify the data are left empty.
    pub fn snapshot<'a>(
        &'a self,
        gathered: &'a Gathered,
        job: &Job,
        ranks: usize,
        stage: Option<&str>,
        best: Option<Best>,
    ) -> Snapshot<&'a [f32]> {
        let heeds = matches!(self.job().schedule.kind, ScheduleKind::Plateau { .. });
        let Plateau { cuts, waited, best_loss } = self.plateau;
        let samples_seen = self.step * job.train.global_batch as u64;
        Snapshot {
            origin: Origin::now(),
            network: self.network.graph().to_json(),
            job: job.to_toml(),
            parameters: self.parameters(&gathered.statistics),
            optimizer: self.slots(gathered),
            recurrent_state: gathered.recurrent_state.iter().map(borrow).collect(),
            vocabulary: Vec::new(),
            preparation: String::new(),
            data: checkpoint::Data::new(),
            progress: Progress {
                step: self.step,
                epoch: samples_seen / self.training_samples() as u64,
                samples_seen,
                ranks: ranks as u64,
                threads: tensor::threads() as u64,
                blas: Some(tensor::blas().to_string()),
                vectors: Some(tensor::vector_instructions().into()),
                products: Some(self.network.precision().arithmetic().into()),
                gradients: self.recorded_gradients(),
                stage: stage.map(|name| checkpoint::Stage {
                    name: name.into(),
                    start: self.start,
                    optimizer_start: self.optimizer_start,
                }),
                plateau: heeds.then_some(checkpoint::Plateau { cuts, waited, best_loss }),
                best,
                metrics: Default::default(),
            },
        }
    }

    /// All tensors of the network, with `statistics` as those that are not trained. A layer's tensors stand
    /// together: first the trained ones, then the others.
    fn parameters<'a>(&'a self, statistics: &'a [f32]) -> Vec<Tensor<&'a [f32]>> {
        let parameters = &self.network.parameters;
        let trained = parameters.table.iter().map(|p| (p, &parameters.values[..]));
        let untrained = parameters.statistics.table.iter().map(|p| (p, statistics));
        let mut all: Vec<_> = trained.chain(untrained).collect();
        all.sort_by_key(|(p, _)| p.layer);
        all.into_iter().map(|(p, values)| tensor_of(p, values)).collect()
    }

    /// The optimizer state, and the further slots of the same group.
    fn slots<'a>(&'a self, gathered: &'a Gathered) -> Vec<Slot<&'a [f32]>> {
        let table = &self.network.parameters.table;
        let slot = |state: &'a State| {
            let tensors = table.iter().map(|p| tensor_of(p, &state.values)).collect();
            Slot { name: state.name.into(), tensors }
        };
        let own = |slot: &'a Slot| Slot {
            name: slot.name.clone(),
            tensors: slot.tensors.iter().map(borrow).collect(),
        };
        let mut slots: Vec<_> = match self.shares_optimizer_state() {
            true => self.optimizer.states().iter().map(slot).collect(),
            false => gathered.optimizer.iter().map(own).collect(),
        };
        for (name, tensors) in &gathered.averaging {
            slots.push(Slot { name: (*name).into(), tensors: tensors.iter().map(borrow).collect() });
        }
        if !gathered.own_statistics.is_empty() {
            let tensors = gathered.own_statistics.iter().map(borrow).collect();
            slots.push(Slot { name: statistics::STATISTICS.into(), tensors });
        }
        slots
    }
}

/// The tensor of `parameter` in `values`, at the place that it gives.
fn tensor_of<'a>(parameter: &Parameter, values: &'a [f32]) -> Tensor<&'a [f32]> {
    Tensor {
        name: parameter.name.clone(),
        shape: parameter.spec.shape.clone(),
        values: &values[parameter.range.clone()],
    }
}

fn borrow(tensor: &Tensor) -> Tensor<&[f32]> {
    Tensor { name: tensor.name.clone(), shape: tensor.shape.clone(), values: &tensor.values[..] }
}
