//! Notes on the state in a checkpoint that a resumed run does not simply continue.

use std::collections::BTreeSet;

use crate::exchange::method::RESIDUAL;
use crate::state::averaging::changes_residuals;
use crate::state::optimizer::ranks;
use crate::step::statistics::STATISTICS;
use crate::step::trainer::Trainer;
use ternflock_base::text::plural;
use ternflock_checkpoint::Snapshot;
use ternflock_optim::STATE_NAMES;

/// The tensors whose state in one slot does not fit: the checkpoint and the job both use the slot, but not for the same
/// tensors and shapes.
struct Fit<'a> {
    /// Those whose state begins anew.
    fresh: Vec<&'a str>,
    /// Those whose stored state nothing keeps.
    dropped: Vec<&'a str>,
}

impl<'a> Fit<'a> {
    fn of(trainer: &'a Trainer, snapshot: &'a Snapshot, slot: &str) -> Fit<'a> {
        let table = &trainer.network.parameters.table;
        let stored = snapshot.optimizer.iter().filter(|stored| stored.name == slot);
        let stored: Vec<_> = stored.flat_map(|stored| &stored.tensors).collect();
        let kept = trainer.exchange().state().filter(|state| state.slot == slot);
        let kept: Vec<_> = kept.map(|state| (table[state.tensor].name.as_str(), state.shape)).collect();
        let fits = |name: &str, shape: &[usize]| {
            stored.iter().any(|tensor| tensor.name == name && tensor.shape.get(1..) == Some(shape))
        };
        let fresh = kept.iter().filter(|(name, shape)| !fits(name, shape)).map(|(name, _)| *name);
        let names = stored.iter().map(|tensor| tensor.name.as_str());
        let dropped = names.filter(|name| kept.iter().all(|(of, _)| of != name));
        Fit { fresh: fresh.collect(), dropped: dropped.collect() }
    }
}

/// "`a`", or "`a` and 3 other tensors"; nothing if there are none.
fn list(names: &[&str]) -> Option<String> {
    let (first, others) = names.split_first()?;
    Some(match others.len() {
        0 => format!("`{first}`"),
        others => format!("`{first}` and {}", plural(others, "other tensor")),
    })
}

/// A note for each slot of the optimizer or the averaging method that does not simply continue when
/// `trainer`, not yet started on `world` ranks, is restored from `snapshot`.
pub fn changed_slots(trainer: &Trainer, snapshot: &Snapshot, world: usize) -> Vec<String> {
    let kept: BTreeSet<&str> = trainer.exchange().state().map(|state| state.slot).collect();
    let optimizer: Vec<&str> = trainer.optimizer.states().iter().map(|state| state.name).collect();
    let stored = snapshot.optimizer.iter().map(|slot| slot.name.as_str());
    let stored: BTreeSet<&str> =
        stored.filter(|slot| *slot != STATISTICS && !optimizer.contains(slot)).collect();
    let note = |slot: &&str| -> Vec<String> {
        let (what, it_starts, is, it) = match *slot {
            RESIDUAL => ("residuals of error feedback".to_owned(), "they start from zero", "are", "them"),
            slot if STATE_NAMES.contains(&slot) => {
                (format!("optimizer state `{slot}`"), "it starts from zero", "is", "it")
            }
            slot => (format!("state `{slot}` of the averaging method"), "it starts anew", "is", "it"),
        };
        match (stored.contains(slot), kept.contains(slot)) {
            (false, _) => vec![format!("the checkpoint holds no {what}: {it_starts}")],
            (true, false) => {
                vec![format!("the {what} in the checkpoint {is} dropped, because the job does not use {it}")]
            }
            (true, true) if *slot == RESIDUAL && changes_residuals(trainer, snapshot) => vec![format!(
                "the {what} in the checkpoint {is} dropped: gradients and the movements of local steps have different units"
            )],
            (true, true) => {
                let Fit { fresh, dropped } = Fit::of(trainer, snapshot, slot);
                let mean = (snapshot.progress.ranks != world as u64)
                    .then(|| format!("each rank continues with the mean of all ranks' {what}"));
                let fresh = list(&fresh).map(|of| {
                    format!(
                        "the checkpoint holds no {what} of the shape that the job needs for {of}: {it_starts}"
                    )
                });
                let dropped = list(&dropped).map(|of| {
                    format!(
                        "the {what} in the checkpoint {is} dropped for {of}, because the job keeps none there"
                    )
                });
                [mean, fresh, dropped].into_iter().flatten().collect()
            }
        }
    };
    let table = &trainer.network.parameters.table;
    let means = snapshot.optimizer.iter().filter(|slot| optimizer.contains(&slot.name.as_str()));
    let shares = trainer.shares_optimizer_state_after(snapshot.progress.step);
    let means = means.filter(|slot| ranks(slot, table).is_some_and(|ranks| shares || ranks != world));
    let means = means.map(|slot| {
        format!("each rank continues with the mean of all ranks' optimizer state `{}`", slot.name)
    });
    kept.union(&stored).flat_map(note).chain(means).collect()
}
