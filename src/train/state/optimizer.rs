//! The optimizer state in checkpoints. It is that of all ranks, in the shape of the parameters, unless the ranks take local
//! steps: then it has the ranks as the first dimension of its tensors.

use ternflock_base::error::Result;
use ternflock_checkpoint::{Slot, Tensor};
use ternflock_nn::{Parameter, parameters};
use ternflock_world::World;

use crate::state::averaging::take_up;
use crate::step::trainer::Trainer;

/// The state of each rank, on rank 0; nothing on the others, and nothing if all ranks have the same.
pub fn gather(trainer: &Trainer, world: &mut World) -> Result<Vec<Slot>> {
    let mut slots = Vec::new();
    if trainer.shares_optimizer_state() {
        return Ok(slots);
    }
    for state in trainer.optimizer.states() {
        let mut tensors = Vec::new();
        for parameter in &trainer.network.parameters.table {
            let values = world.gather_to_root(&state.values[parameter.range.clone()])?;
            let shape = [&[world.size()], &parameter.spec.shape[..]].concat();
            tensors.push(Tensor { name: parameter.name.clone(), shape, values });
        }
        if world.rank() == 0 {
            slots.push(Slot { name: state.name.into(), tensors });
        }
    }
    Ok(slots)
}

/// The state in `tensors`, laid out by `table`. If they hold a state of each rank, `place`, a rank and the number of ranks,
/// selects one. Where the numbers differ, or without a place because all ranks must have the same, the state is the mean. The
/// message of an `Err` says what does not fit.
pub fn restore(
    table: &[Parameter],
    tensors: &[Tensor],
    place: Option<(usize, usize)>,
) -> std::result::Result<Vec<f32>, String> {
    // No checkpoint holds the states of 0 ranks.
    let (rank, world) = place.unwrap_or((0, 0));
    let mut values = vec![0.0; parameters::count(table)];
    for parameter in table {
        let tensor = tensors.iter().find(|tensor| tensor.name == parameter.name);
        let tensor = tensor.ok_or_else(|| format!("has no tensor `{}`", parameter.name))?;
        let (own, needed) = (&mut values[parameter.range.clone()], &parameter.spec.shape);
        match tensor.shape.split_first() {
            _ if tensor.shape == *needed => own.copy_from_slice(&tensor.values),
            Some((&ranks, shape)) if ranks > 0 && shape == needed => {
                take_up(&tensor.values, ranks, rank, world, own);
            }
            _ => {
                let found = &tensor.shape;
                return Err(format!(
                    "`{}` has shape {found:?}, its network needs {needed:?}, or this with the ranks in front",
                    parameter.name
                ));
            }
        }
    }
    Ok(values)
}

/// The number of ranks whose own states `slot` holds; `None` if it holds one that all ranks share.
pub fn ranks(slot: &Slot, table: &[Parameter]) -> Option<usize> {
    let of = |tensor: &Tensor| {
        let parameter = table.iter().find(|parameter| parameter.name == tensor.name)?;
        let (&ranks, shape) = tensor.shape.split_first()?;
        (shape == parameter.spec.shape && tensor.shape != parameter.spec.shape).then_some(ranks)
    };
    slot.tensors.iter().find_map(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::Parameters;

    #[test]
    fn a_state_is_shared_or_of_a_rank_or_the_mean() {
        let input = ternflock_nn::Shape::Image { channels: 1, height: 3, width: 3 };
        let graph = ternflock_models::preset("mlp", input, 2).unwrap();
        let table = Parameters::new(&graph).unwrap().table;
        let elements = parameters::count(&table);
        let tensors = |ranks: Option<usize>| -> Vec<Tensor> {
            let tensor = |parameter: &Parameter| {
                let shape = ranks.into_iter().chain(parameter.spec.shape.iter().copied()).collect();
                let of_rank = |rank: usize| std::iter::repeat_n(10.0 * rank as f32, parameter.range.len());
                Tensor {
                    name: parameter.name.clone(),
                    shape,
                    values: (0..ranks.unwrap_or(1)).flat_map(of_rank).collect(),
                }
            };
            table.iter().map(tensor).collect()
        };
        let restored = |ranks, place| restore(&table, &tensors(ranks), place).unwrap();
        assert_eq!(restored(None, Some((1, 3))), vec![0.0; elements], "one state for all");
        assert_eq!(restored(Some(3), Some((2, 3))), vec![20.0; elements], "that of rank 2");
        assert_eq!(restored(Some(3), Some((0, 2))), vec![10.0; elements], "the mean on two ranks");
        assert_eq!(restored(Some(3), None), vec![10.0; elements], "the mean, because all must have the same");
        let slot = |ranks| Slot { name: "momentum".into(), tensors: tensors(ranks) };
        assert_eq!([None, Some(3)].map(|held| ranks(&slot(held), &table)), [None, Some(3)]);
        let mut wrong = tensors(Some(3));
        wrong[0].shape = vec![7];
        assert!(restore(&table, &wrong, None).unwrap_err().contains("has shape [7], its network needs"));
        wrong.remove(0);
        assert!(restore(&table, &wrong, None).unwrap_err().contains("has no tensor"));
    }
}
