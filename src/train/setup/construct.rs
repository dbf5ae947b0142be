//! From a job to a checked graph. Every error names the line of the job file.

use std::path::Path;

use crate::setup::data_sizes::{resolve, stand_in};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint as checkpoint;
use ternflock_job::{self as job, Job, Loaded, Model, Source};
use ternflock_models as models;
use ternflock_nn::{Graph, Shape, TargetKind};

/// Reads the job file at `path` like [`job::load`], but reports problems of its layers together with all other
/// problems.
///
/// # Errors
/// [`Error::Job`] with all problems that can be found before the data are opened.
pub fn load(path: impl AsRef<Path>, sets: &[String]) -> Result<Loaded> {
    job::load_checked(path, sets, wrong_layers)
}

/// Reads the file of `loaded` again with `sets` instead of its overrides.
///
/// # Errors
/// Those of [`load`].
pub fn load_again(loaded: &Loaded, sets: Vec<String>) -> Result<Loaded> {
    loaded.with_sets(sets, wrong_layers)
}

/// The problems of the layers of `job` that do not depend on its data: the path of each layer, and the reason
/// it is refused.
pub(crate) fn wrong_layers(job: &Job) -> Vec<(String, String)> {
    let mut tables: Vec<_> = job.model.layers.iter().flatten().map(layer_table).collect();
    let sizes = tables.iter_mut().enumerate().filter_map(|(layer, table)| {
        let error = stand_in(table).err()?;
        // Report the problem once: the table would be refused again for the same word.
        *table = layer_table(&toml::toml!(type = "relu"));
        Some((layer, error))
    });
    let sizes: Vec<_> = sizes.collect();
    let others = Graph::check_tables(tables).into_iter().map(|(layer, error)| (layer, error.to_string()));
    let mut wrong: Vec<_> = sizes.into_iter().chain(others).collect();
    wrong.sort();
    wrong.into_iter().map(|(layer, error)| (format!("model.layers[{layer}]"), error)).collect()
}

/// Converts a `[[model.layers]]` table to the form that layers read.
fn layer_table(table: &toml::Table) -> serde_json::Map<String, serde_json::Value> {
    let value = serde_json::to_value(table).unwrap_or_default();
    value.as_object().cloned().unwrap_or_default()
}

/// The network of `model`, for samples of shape `input` with targets of kind `target`.
///
/// # Errors
/// [`Error::Job`] with the place of the preset or of the layer that does not fit.
pub fn build_graph(model: &Model, source: &Source, input: Shape, target: TargetKind) -> Result<Graph> {
    let blame = |path: &str, error: Error| Error::Job { at: source.at(path), message: error.to_string() };
    let graph = match (&model.checkpoint, &model.preset, &model.layers) {
        (Some(path), ..) => {
            let snapshot = checkpoint::load(path)?;
            Graph::from_json(&snapshot.network).map_err(|error| blame("model.checkpoint", error))?
        }
        (_, Some(name), _) => {
            models::preset(name, input, target.outputs()).map_err(|error| blame("model.preset", error))?
        }
        (_, None, Some(tables)) => {
            let layer = |table: usize| format!("model.layers[{table}]");
            let tables = tables.iter().enumerate().map(|(number, table)| {
                let mut table = layer_table(table);
                resolve(&mut table, input, target)
                    .map_err(|reason| blame(&layer(number), Error::Usage(reason)))?;
                Ok(table)
            });
            let tables = tables.collect::<Result<Vec<_>>>()?;
            Graph::from_tables(input, tables).map_err(|(error, table)| blame(&layer(table), error))?
        }
        (None, None, None) => {
            let message = "model needs a preset, a checkpoint or layers".into();
            return Err(Error::Job { at: source.at("model"), message });
        }
    };
    if graph.logits_layer()?.is_none() {
        let message = "the network has no parameters: there is nothing to train".into();
        return Err(Error::Job { at: source.at("model"), message });
    }
    let wanted = outputs(input, target);
    if graph.output() != wanted {
        let last = graph.layers().len().saturating_sub(1);
        let path = if model.layers.is_some() { format!("model.layers[{last}]") } else { "model".into() };
        let output = graph.output();
        let message = match (wanted, target) {
            (Shape::Sequence { steps, .. }, _) => format!(
                "the network ends in {}, but there are {} to choose from at each of {}: it must end in \
                 sequences of {wanted}",
                output.described(),
                plural(target.outputs(), "word"),
                plural(steps, "step")
            ),
            (_, TargetKind::Class(classes)) => format!(
                "the network ends in {output}, but the data has {}: it must end in a vector of {classes}",
                plural(classes, "class")
            ),
            (_, TargetKind::Values(values)) => format!(
                "the network ends in {output}, but the target of a sample has {}: it must end in a vector of {values}",
                plural(values, "value")
            ),
        };
        return Err(Error::Job { at: source.at(&path), message });
    }
    Ok(graph)
}

/// The output shape that a network needs for samples of shape `input` with targets of kind `target`; for a text,
/// at each step.
pub fn outputs(input: Shape, target: TargetKind) -> Shape {
    match input {
        Shape::Tokens { steps, .. } => Shape::Sequence { steps, features: target.outputs() },
        _ => Shape::Vector { features: target.outputs() },
    }
}
