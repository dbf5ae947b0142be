//! The state of averaging methods in checkpoints: one slot per kind of state, with the ranks as the first
//! dimension of its tensors.

use crate::exchange::method::RESIDUAL;
use crate::step::trainer::Trainer;
use ternflock_base::error::Result;
use ternflock_base::text::plural;
use ternflock_checkpoint::{Slot, Snapshot, Tensor};
use ternflock_job::{Exchange, Job};
use ternflock_world::World;

/// The name of a slot, and its tensors, `[ranks, ...]`.
pub type AveragingSlot = (&'static str, Vec<Tensor>);

/// The state of the averaging method of `trainer` on all ranks, on rank 0; nothing on the others.
pub fn gather(trainer: &Trainer, world: &mut World) -> Result<Vec<AveragingSlot>> {
    let mut states: Vec<_> = trainer.exchange().state().collect();
    states.sort_by_key(|state| (state.slot, state.tensor));
    let mut slots = Vec::<AveragingSlot>::new();
    for state in states {
        let shape = [&[world.size()], state.shape].concat();
        let values = world.gather_to_root(state.values)?;
        if world.rank() != 0 {
            continue;
        }
        let name = trainer.network.parameters.table[state.tensor].name.clone();
        let tensor = Tensor { name, shape, values };
        match slots.last_mut().filter(|(slot, _)| *slot == state.slot) {
            Some((_, tensors)) => tensors.push(tensor),
            None => slots.push((state.slot, vec![tensor])),
        }
    }
    Ok(slots)
}

/// Restores each rank's part of `slot` for the tensors whose state an averaging method keeps in the same shape. A stored
/// tensor that no method keeps, or that has another shape because settings such as `exchange.powersgd_rank` have
/// changed, is skipped: [`changed_slots`](super::changed_slots::changed_slots) says so. Residuals have the shape of their
/// parameters whatever the settings are, and are checked even if error feedback is now off. The message of an `Err` says
/// what does not fit.
pub fn restore(
    trainer: &mut Trainer,
    slot: &Slot,
    rank: usize,
    world: usize,
) -> std::result::Result<(), String> {
    let name = match slot.name.as_str() {
        RESIDUAL => "residual",
        other if trainer.exchange().state().any(|state| state.slot == other) => other,
        _ => return Ok(()),
    };
    for tensor in &slot.tensors {
        let table = &trainer.network.parameters.table;
        let parameter = table.iter().enumerate().find(|(_, parameter)| parameter.name == tensor.name);
        let (number, parameter) = parameter
            .ok_or_else(|| format!("keeps a {name} of `{}`, which its network does not have", tensor.name))?;
        let kept = trainer.exchange().state().find(|state| state.slot == slot.name && state.tensor == number);
        let needed = kept.as_ref().map_or(&parameter.spec.shape[..], |state| state.shape);
        let (ranks, shape) = tensor.shape.split_first().unwrap_or((&0, &[]));
        let found = &tensor.shape;
        if *ranks == 0 || (slot.name == RESIDUAL && shape != needed) {
            return Err(format!(
                "the {name} of `{}` has shape {found:?}, its network needs [ranks, {needed:?}]",
                tensor.name
            ));
        }
        let elements = tensor.values.len();
        if found.iter().try_fold(1, |all: usize, side| all.checked_mul(*side)) != Some(elements) {
            return Err(format!(
                "the {name} of `{}` has shape {found:?}, but {}",
                tensor.name,
                plural(elements, "value")
            ));
        }
        if kept.is_none_or(|state| state.shape != shape) {
            continue;
        }
        let Some(own) = trainer.exchange_mut().state_mut(&slot.name, number) else { continue };
        take_up(&tensor.values, *ranks, rank, world, own);
    }
    Ok(())
}

/// Restores `own`, the part of rank `rank` of `world`, from the `state` of `ranks` ranks. On another number
/// of ranks each takes the mean, so that residuals, for example, still add the same amount to the mean
/// gradient.
pub(super) fn take_up(state: &[f32], ranks: usize, rank: usize, world: usize, own: &mut [f32]) {
    let elements = own.len();
    for (index, own) in own.iter_mut().enumerate() {
        let of = |rank: usize| state[rank * elements + index];
        *own = if ranks == world { of(rank) } else { (0..ranks).map(of).sum::<f32>() / ranks as f32 };
    }
}

/// Whether the residuals of `snapshot` are those of gradients, and `trainer` now averages the movements of local steps, or
/// the other way round: the two have different units. A checkpoint without a readable job is taken as it is.
pub fn changes_residuals(trainer: &Trainer, snapshot: &Snapshot) -> bool {
    let of_movements = |job: &Exchange| job.every > 1 && snapshot.progress.step > job.every_start;
    Job::from_stored(&snapshot.job)
        .is_ok_and(|stored| of_movements(&stored.exchange) != of_movements(&trainer.job().exchange))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn residuals_go_to_their_ranks_or_to_all_alike() {
        let (stored, mut own) = ([1.0, 2.0, 3.0, 4.0, 8.0, 0.0], [9.0; 2]);
        take_up(&stored, 3, 1, 3, &mut own);
        assert_eq!(own, [3.0, 4.0]);
        for rank in 0..2 {
            take_up(&stored, 3, rank, 2, &mut own);
            assert_eq!(own, [4.0, 2.0]);
        }
    }
}
