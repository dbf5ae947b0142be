//! The surgery that begins a stage, on all ranks alike.

use crate::run::stages::Stages;
use crate::setup::room::check_change;
use crate::step::trainer::Trainer;
use ternflock_base::error::Result;
use ternflock_compress::low_rank::{LayerReport, Outcome, of_what_is_left};
use ternflock_compress::operation::Operation;
use ternflock_job::Stage;
use ternflock_world::World;

/// Begins `stages.stage()`: surgery, if the stage asks for it, and its settings. Returns notes for the log.
///
/// # Errors
/// [`Error::Disagree`](ternflock_base::error::Error::Disagree) if the surgery leaves different networks on
/// different ranks.
pub fn enter(stages: &Stages, trainer: &mut Trainer, world: &mut World) -> Result<Vec<String>> {
    let Some(stage) = stages.stage() else { return Ok(Vec::new()) };
    world.set_context(format_args!("step {}, beginning of stage `{}`", trainer.step, stage.name));
    let gradients = trainer.exchange().gradients();
    let has_surgery = stage.shrink.is_some() || stage.low_rank.is_some();
    let mut notes = Vec::new();
    if has_surgery {
        notes = operate(stages, stage, trainer, world)?;
    } else {
        let settings = stages.settings(trainer.network.graph());
        let changed = trainer.change_settings(settings, stage.freeze_zeros, world.topology());
        world.all_or_none(changed)?;
    }
    trainer.begin_stage(stages.length());
    // Before its first step a run chooses anyway.
    if has_surgery && stages.now > 0 {
        notes.extend(trainer.choose_exchange(world, Some(gradients))?);
    }
    trainer.verify(world)?;
    Ok(notes)
}

/// The surgery of `stage`: decided on each rank, agreed on, and then done.
fn operate(stages: &Stages, stage: &Stage, trainer: &mut Trainer, world: &mut World) -> Result<Vec<String>> {
    let operation = world.all_or_none(plan(stage, trainer))?;
    let what = format!("stage `{}`: the hash of what its surgery leaves", stage.name);
    world.agree(&what, operation.plan())?;
    let mut notes = describe(stage, trainer, &operation);
    let settings = stages.settings(&operation.graph);
    // Every rank must have read the free memory before any rank allocates.
    let room = check_change(
        (trainer.job(), trainer.network.graph()),
        (&settings, &operation.graph),
        &world.topology(),
    );
    world.all_or_none(room)?;
    let transplanted = trainer.transplant(&operation, settings, stage.freeze_zeros, world.topology());
    notes.extend(world.all_or_none(transplanted)?);
    if stage.low_rank.is_some() {
        // Processors differ in the last bits of a decomposition.
        world.broadcast_values(&mut trainer.network.parameters.values)?;
    }
    Ok(notes)
}

/// The network that the surgery of `stage` makes of the one of `trainer`.
fn plan(stage: &Stage, trainer: &Trainer) -> Result<Operation> {
    let (graph, parameters) = (trainer.network.graph(), &trainer.network.parameters);
    let shrunk = Operation::new(graph, parameters, stage.shrink.as_ref(), None)?;
    let Some(request) = &stage.low_rank else { return Ok(shrunk) };
    let request = of_what_is_left(request, &shrunk.graph)?;
    shrunk.factorised(&request)
}

/// Notes about `operation`, the surgery of `stage` on the network that `trainer` still has.
fn describe(stage: &Stage, trainer: &Trainer, operation: &Operation) -> Vec<String> {
    let [before, after] = [&trainer.network.parameters, &operation.parameters].map(|p| p.values.len());
    let mut notes = vec![format!("surgery: {before} → {after} parameters")];
    if stage.shrink.is_some() && !operation.emptied.is_empty() {
        let layers = operation.emptied.join("`, `");
        notes.push(format!(
            "nothing would have been left of `{layers}`, so the strongest unit or column was kept"
        ));
    }
    notes.extend(operation.low_rank.iter().map(describe_layer));
    notes
}

fn describe_layer(layer: &LayerReport) -> String {
    let rank = match (layer.rank, layer.full_rank, layer.energy) {
        (Some(rank), Some(full), Some(energy)) => {
            format!("rank {rank} of {full}, {:.1} % of its energy; ", 100.0 * energy)
        }
        _ => String::new(),
    };
    match &layer.outcome {
        Outcome::Factorised(_) | Outcome::Product => format!(
            "`{}`: {rank}{} → {} multiply-adds",
            layer.layer, layer.before.multiply_adds, layer.after.multiply_adds
        ),
        Outcome::Kept(reason) => format!("`{}` is unchanged: {reason}", layer.layer),
    }
}
