//! From a job to its data and to a checked graph, with the job file's line in every objection.

use std::path::Path;

use crate::data::{self, EvaluationFeed, Feeds, Fill, ImageFeed, ImageSet, Images, Normalise};
use crate::error::{Error, Result};
use crate::job::{Data, Loaded, Model, Source};
use crate::models::{self, PRESETS};
use crate::nn::{Graph, Shape};

/// What `loaded` trains and evaluates on; objections carry the job file's line.
pub fn open_feeds(loaded: &Loaded) -> Result<Feeds> {
    let (job, source) = (&loaded.job, &loaded.source);
    let blame = |path: &'static str| {
        move |error: Error| Error::Job { at: source.at(path), message: error.to_string() }
    };
    let mut dataset = data::open(&job.data.dataset, job.data.dir.as_deref())?;
    let (evaluation, set) = match job.data.validation {
        0 => (dataset.test, "test"),
        count => (dataset.hold_out(count).map_err(blame("data.validation"))?, "validation"),
    };
    let fill = build_fill(&job.data, &dataset.train).map_err(blame("data.mean"))?;
    let train = ImageFeed::new(dataset.train, fill.clone(), job.train.seed, job.train.global_batch)?;
    Ok(Feeds { train: Box::new(train), evaluation: Box::new(ImageSet::new(evaluation, fill)), set })
}

/// The test set of `data`, in `dir` or where it is usually found.
pub fn open_test_set(data: &Data, dir: Option<&Path>) -> Result<Box<dyn EvaluationFeed>> {
    let test = data::open(&data.dataset, dir)?.test;
    let fill = build_fill(data, &test)?;
    Ok(Box::new(ImageSet::new(test, fill)))
}

/// How `images` are turned into network inputs: as `[data]` says.
fn build_fill(data: &Data, images: &Images) -> Result<Fill> {
    let normalise = data.mean.clone().zip(data.std.clone());
    let normalise = normalise.map(|(mean, std)| Normalise { mean, std });
    Fill::new(images, normalise.as_ref())
}

/// Refuses a preset that does not exist, before any data is opened.
pub(super) fn check_preset(model: &Model, source: &Source) -> Result<()> {
    match &model.preset {
        Some(name) if !PRESETS.contains(&name.as_str()) => {
            let message = models::unknown(name).to_string();
            Err(Error::Job { at: source.at("model.preset"), message })
        }
        _ => Ok(()),
    }
}

/// The network that `model` asks for, for samples of shape `input` and `classes` classes.
///
/// # Errors
/// [`Error::Job`] with the place of the preset or of the layer that does not fit.
pub fn build_graph(model: &Model, source: &Source, input: Shape, classes: usize) -> Result<Graph> {
    let blame = |path: &str, error: Error| Error::Job { at: source.at(path), message: error.to_string() };
    let graph = match (&model.preset, &model.layers) {
        (Some(name), _) => {
            models::preset(name, input, classes).map_err(|error| blame("model.preset", error))?
        }
        (None, Some(tables)) => {
            let tables = tables.iter().map(|table| {
                let value = serde_json::to_value(table).unwrap_or_default();
                value.as_object().cloned().unwrap_or_default()
            });
            Graph::from_tables(input, tables)
                .map_err(|(error, table)| blame(&format!("model.layers[{table}]"), error))?
        }
        (None, None) => {
            let message = format!("model needs a preset ({}) or layers", PRESETS.join(", "));
            return Err(Error::Job { at: source.at("model"), message });
        }
    };
    if graph.logits_layer()?.is_none() {
        let message = "the network has no parameters: there is nothing to train".into();
        return Err(Error::Job { at: source.at("model"), message });
    }
    if graph.output() != (Shape::Vector { features: classes }) {
        let last = graph.layers().len().saturating_sub(1);
        let path = if model.layers.is_some() { format!("model.layers[{last}]") } else { "model".into() };
        let output = graph.output();
        let message = format!(
            "the network ends in {output}, but the data has {classes} classes: it must end in a vector of {classes}"
        );
        return Err(Error::Job { at: source.at(&path), message });
    }
    Ok(graph)
}
