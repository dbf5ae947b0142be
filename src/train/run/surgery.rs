//! The surgery that begins a stage, on all ranks alike; everything that belongs to the parameters goes along.

use crate::run::stages::Stages;
use crate::setup::room::check_change;
use crate::step::trainer::Trainer;
use ternflock_base::error::Result;
use ternflock_compress::low_rank::{LayerReport, Outcome, of_what_is_left};
use ternflock_compress::operation::Operation;
use ternflock_job::Stage;
use ternflock_world::World;

/// Begins `stages.stage()`: does its surgery on all ranks alike, and lets everything that belongs to the parameters go
/// along. Returns what is worth saying.
///
/// # Errors
/// [`Error::Disagree`] if the ranks have decided differently.
pub fn enter(stages: &Stages, trainer: &mut Trainer, world: &mut World) -> Result<Vec<String>> {
    let Some(stage) = stages.stage() else { return Ok(Vec::new()) };
    world.set_context(format_args!("step {}, beginning of stage `{}`", trainer.step, stage.name));
    let (mut notes, mut operation) = (Vec::new(), None);
    if stage.shrink.is_some() || stage.low_rank.is_some() {
        let done = world.all_or_none(operate(stage, trainer))?;
        world.agree(&format!("stage `{}`: the hash of what its surgery leaves", stage.name), done.plan())?;
        notes = say(stage, trainer, &done);
        operation = Some(done);
    }
    let graph = operation.as_ref().map_or(trainer.network.graph(), |operation| &operation.graph).clone();
    let kept = trainer.exchange().gradients();
    let before = Before::of(trainer);
    let settings = stages.settings(&graph);
    if operation.is_some() {
        // Every rank must have read the free memory before any rank allocates.
        let room = check_change(&settings, trainer.network.graph(), &graph, &world.topology());
        world.all_or_none(room)?;
    }
    let built = trainer.set_up(settings, graph, stage.freeze_zeros, world.topology());
    world.all_or_none(built)?;
    notes.extend(before.go_along(trainer, operation.as_ref()));
    if stage.low_rank.is_some() {
        // Processors differ in the last bits of a decomposition.
        world.broadcast_values(&mut trainer.network.parameters.values)?;
    }
    (trainer.start, trainer.steps) = (trainer.step, trainer.step + stages.length());
    // Before its first step a run chooses anyway.
    if operation.is_some() && stages.now > 0 {
        notes.extend(trainer.choose_exchange(world, Some(kept))?);
    }
    trainer.verify(world)?;
    Ok(notes)
}

fn operate(stage: &Stage, trainer: &Trainer) -> Result<Operation> {
    let (graph, parameters) = (trainer.network.graph(), &trainer.network.parameters);
    let shrunk = Operation::new(graph, parameters, stage.shrink.as_ref(), None)?;
    let Some(request) = &stage.low_rank else { return Ok(shrunk) };
    let request = of_what_is_left(request, &shrunk.graph)?;
    shrunk.factorised(&request)
}

/// What belongs to the parameters and goes along with them.
struct Before {
    statistics: Vec<f32>,
    states: Vec<(&'static str, Vec<f32>)>,
    /// What error feedback keeps, laid out as the parameters; zero where it keeps nothing.
    residuals: Vec<f32>,
    recurrent_state: Vec<(String, &'static str, usize, Vec<f32>)>,
}

impl Before {
    fn of(trainer: &mut Trainer) -> Before {
        let parameters = &trainer.network.parameters;
        let mut residuals = vec![0.0; parameters.values.len()];
        for (number, residual) in trainer.exchange().residuals() {
            // Residuals of another form than the tensor's do not go along: they begin at zero.
            let kept = &mut residuals[parameters.table[number].range.clone()];
            if kept.len() == residual.len() {
                kept.copy_from_slice(residual);
            }
        }
        let states = trainer.optimizer.states().iter().map(|state| (state.name, state.values.clone()));
        let statistics = parameters.statistics.values.clone();
        let states = states.collect();
        let recurrent_state = trainer
            .recurrent_state()
            .into_iter()
            .map(|(layer, state)| (layer.to_owned(), state.name, state.width, state.values.to_vec()));
        Before { statistics, states, residuals, recurrent_state: recurrent_state.collect() }
    }

    /// Lays it out as the parameters of now. Returns what is worth saying.
    fn go_along(self, trainer: &mut Trainer, operation: Option<&Operation>) -> Option<String> {
        let take = |values: Vec<f32>| operation.map_or_else(|| values.clone(), |done| done.take(&values));
        let same_states = trainer
            .optimizer
            .states()
            .iter()
            .map(|state| state.name)
            .eq(self.states.iter().map(|(name, _)| *name));
        // Moments that begin at zero among others whose steps are counted already would be far too small for them.
        let anew = trainer.optimizer.counts_steps() && operation.is_some_and(Operation::begins_anew);
        if same_states && !anew {
            for (state, (_, values)) in trainer.optimizer.states_mut().iter_mut().zip(self.states) {
                state.values = take(values);
            }
        } else {
            trainer.optimizer_start = trainer.step;
        }
        let note = (same_states && anew)
            .then(|| "the optimizer's moments begin anew, with those of the factors".to_owned());
        let Some(operation) = operation else { return note };
        let residuals = operation.take(&self.residuals);
        trainer.network.parameters.values = operation.parameters.values.clone();
        trainer.network.parameters.statistics.values = operation.take_statistics(&self.statistics);
        let table = trainer.network.parameters.table.clone();
        for (number, parameter) in table.iter().enumerate() {
            if let Some(residual) = trainer.exchange_mut().residual_mut(number) {
                residual.copy_from_slice(&residuals[parameter.range.clone()]);
            }
        }
        for (layer, state) in trainer.recurrent_state() {
            let same = |(of, name, ..): &&(String, &str, usize, Vec<f32>)| of == layer && *name == state.name;
            let Some((_, _, width, rows)) = self.recurrent_state.iter().find(same) else { continue };
            if let Some(rows) = operation.take_recurrent_state(layer, rows, *width) {
                state.values[..rows.len()].copy_from_slice(&rows);
            }
        }
        note
    }
}

/// What the surgery of a stage came to.
fn say(stage: &Stage, trainer: &Trainer, done: &Operation) -> Vec<String> {
    let (before, after) = (trainer.network.parameters.values.len(), done.parameters.values.len());
    let mut notes = vec![format!("surgery: {before} parameters were, {after} are left")];
    if stage.shrink.is_some() && !done.emptied.is_empty() {
        let layers = done.emptied.join("`, `");
        notes.push(format!(
            "nothing would have been left of `{layers}`: the strongest unit, or column, was kept"
        ));
    }
    notes.extend(done.low_rank.iter().map(describe));
    notes
}

fn describe(layer: &LayerReport) -> String {
    let rank = match (layer.rank, layer.full_rank, layer.energy) {
        (Some(rank), Some(full), Some(energy)) => {
            format!("rank {rank} of {full}, {:.1} % of its energy; ", 100.0 * energy)
        }
        _ => String::new(),
    };
    match &layer.outcome {
        Outcome::Factorised(_) | Outcome::Product => format!(
            "`{}`: {rank}{} multiply-adds were, {} are left",
            layer.layer, layer.before.multiply_adds, layer.after.multiply_adds
        ),
        Outcome::Kept(reason) => format!("`{}` is as it was: {reason}", layer.layer),
    }
}
