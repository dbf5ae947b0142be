//! From a job to its data and to a checked graph. Every error names the line of the job file.

use std::path::Path;

use crate::setup::data_sizes::{resolve, stand_in};
use crate::state::trained_on::no_split;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_checkpoint as checkpoint;
use ternflock_data::{
    Augment, Dataset, EvaluationFeed, Feeds, Fill, ImageFeed, ImageSet, Images, Normalise, Subset, Texts,
    Vocabulary, open_dataset, refuse_directory, synthetic_feed, synthetic_set,
};
use ternflock_job::{self as job, Data, Job, Loaded, Model, Source, SyntheticText, Text};
use ternflock_models as models;
use ternflock_nn::{Graph, Shape};

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

/// The name of the validation set in events and checkpoints.
pub const VALIDATION: &str = "validation";
/// The name of the test set in events and checkpoints.
pub const TEST: &str = "test";

/// The data that `loaded` trains and evaluates on. Errors name the line of the job file.
pub fn open_feeds(loaded: &Loaded) -> Result<Feeds> {
    let (job, source) = (&loaded.job, &loaded.source);
    let blame = |path: &'static str| {
        move |error: Error| Error::Job { at: source.at(path), message: error.to_string() }
    };
    refuse_directory(&job.data.dataset, job.data.dir.as_deref())?;
    if let Some(text) = &job.data.text {
        return open_texts(job, text);
    }
    if let Some(text) = &job.data.synthetic_text {
        return make_up_texts(text, job.train.global_batch).map_err(blame("data.tokens"));
    }
    let mut dataset = open_dataset(&job.data, job.data.dir.as_deref())?;
    let validation = split_off(&mut dataset, &job.data).map_err(blame("data.validation"))?;
    let fill = build_fill(&job.data, &dataset.train).map_err(blame("data.mean"))?;
    let augment = Augment::new(job.data.augment.as_ref(), &dataset.train).map_err(blame("data.crop"))?;
    let set = |images| -> Box<dyn EvaluationFeed> {
        Box::new(ImageSet::new(images, fill.clone(), augment.clone()))
    };
    let test = set(dataset.test);
    let (evaluation, set, test) = match validation.map(set) {
        Some(validation) => (validation, VALIDATION, Some(test)),
        None => (test, TEST, None),
    };
    let train = ImageFeed::new(dataset.train, fill, augment, job.train.seed, job.train.global_batch)?;
    Ok(Feeds { train: Box::new(train), evaluation, set, test, vocabulary: None })
}

/// Takes the validation split out of the training set of `dataset`, if `data` asks for one.
fn split_off(dataset: &mut Dataset, data: &Data) -> Result<Option<Images>> {
    data.split.as_ref().map_or(Ok(None), |split| dataset.split_validation(split))
}

/// The texts for training, for choosing the network, and for the final test.
fn open_texts(job: &Job, text: &Text) -> Result<Feeds> {
    let mut texts = Texts::new(&job.data, text, job.data.dir.as_deref());
    let corpus = texts.corpus()?;
    let vocabulary = corpus.vocabulary.clone();
    let evaluation = Box::new(texts.set(Subset::Valid, &vocabulary)?);
    let test: Box<dyn EvaluationFeed> = Box::new(texts.set(Subset::Test, &vocabulary)?);
    drop(texts);
    let train = Box::new(corpus.into_feed(text, job.train.global_batch)?);
    Ok(Feeds { train, evaluation, set: VALIDATION, test: Some(test), vocabulary: Some(vocabulary) })
}

/// The same for a generated text, whose tokens are numbers that stand for no words.
fn make_up_texts(text: &SyntheticText, global_batch: usize) -> Result<Feeds> {
    let train = Box::new(synthetic_feed(text, global_batch)?);
    let evaluation = Box::new(synthetic_set(text, Subset::Valid)?);
    let test: Box<dyn EvaluationFeed> = Box::new(synthetic_set(text, Subset::Test)?);
    Ok(Feeds { train, evaluation, set: VALIDATION, test: Some(test), vocabulary: None })
}

/// The test set of `data`, in `dir` or in its usual place; a text is read with the vocabulary of a
/// checkpoint.
pub fn open_test_set(
    data: &Data,
    dir: Option<&Path>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, vocabulary, Subset::Test, |dataset| Ok(dataset.test))
}

/// The set by which `data` chooses the network, from the same places.
///
/// # Errors
/// Those of opening it; also if that set is the test set.
pub fn open_validation_set(
    data: &Data,
    dir: Option<&Path>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, vocabulary, Subset::Valid, |mut dataset| {
        split_off(&mut dataset, data)?.ok_or_else(|| {
            let why = no_split(data);
            Error::Usage(format!(
                "there is no validation set ({why}): the network was chosen on the test set"
            ))
        })
    })
}

/// The set that `data` trains on, in its own order and prepared as for evaluation: no image is cropped at
/// random or mirrored, and a text has the columns that evaluation reads.
pub fn open_training_set(
    data: &Data,
    dir: Option<&Path>,
    vocabulary: Option<&Vocabulary>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, vocabulary, Subset::Train, |mut dataset| {
        split_off(&mut dataset, data)?;
        Ok(dataset.train)
    })
}

/// `part` of a text, or the `images` of a data set, to evaluate on.
fn open_set(
    data: &Data,
    dir: Option<&Path>,
    vocabulary: Option<&Vocabulary>,
    subset: Subset,
    images: impl FnOnce(Dataset) -> Result<Images>,
) -> Result<Box<dyn EvaluationFeed>> {
    refuse_directory(&data.dataset, dir)?;
    if let Some(text) = &data.text {
        let vocabulary =
            vocabulary.ok_or_else(|| Error::Usage("a text needs a vocabulary, and there is none".into()))?;
        return Ok(Box::new(Texts::new(data, text, dir).set(subset, vocabulary)?));
    }
    if let Some(text) = &data.synthetic_text {
        return Ok(Box::new(synthetic_set(text, subset)?));
    }
    let images = images(open_dataset(data, dir)?)?;
    let fill = build_fill(data, &images)?;
    let augment = Augment::new(data.augment.as_ref(), &images)?;
    Ok(Box::new(ImageSet::new(images, fill, augment)))
}

/// The conversion of `images` to network inputs, as set in `[data]`.
fn build_fill(data: &Data, images: &Images) -> Result<Fill> {
    let normalise = data.mean.clone().zip(data.std.clone());
    let normalise = normalise.map(|(mean, std)| Normalise { mean, std });
    Fill::new(images, normalise.as_ref())
}

/// The network of `model`, for samples of shape `input` and `classes` classes.
///
/// # Errors
/// [`Error::Job`] with the place of the preset or of the layer that does not fit.
pub fn build_graph(model: &Model, source: &Source, input: Shape, classes: usize) -> Result<Graph> {
    let blame = |path: &str, error: Error| Error::Job { at: source.at(path), message: error.to_string() };
    let graph = match (&model.checkpoint, &model.preset, &model.layers) {
        (Some(path), ..) => {
            let snapshot = checkpoint::load(path)?;
            Graph::from_json(&snapshot.network).map_err(|error| blame("model.checkpoint", error))?
        }
        (_, Some(name), _) => {
            models::preset(name, input, classes).map_err(|error| blame("model.preset", error))?
        }
        (_, None, Some(tables)) => {
            let layer = |table: usize| format!("model.layers[{table}]");
            let tables = tables.iter().enumerate().map(|(number, table)| {
                let mut table = layer_table(table);
                resolve(&mut table, input, classes)
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
    let wanted = logits(input, classes);
    if graph.output() != wanted {
        let last = graph.layers().len().saturating_sub(1);
        let path = if model.layers.is_some() { format!("model.layers[{last}]") } else { "model".into() };
        let output = graph.output();
        let message = match wanted {
            Shape::Sequence { steps, .. } => format!(
                "the network ends in {}, but there are {} to choose from at each of {}: it must end in \
                 sequences of {wanted}",
                output.described(),
                plural(classes, "word"),
                plural(steps, "step")
            ),
            _ => format!(
                "the network ends in {output}, but the data has {}: it must end in a vector of {classes}",
                plural(classes, "class")
            ),
        };
        return Err(Error::Job { at: source.at(&path), message });
    }
    Ok(graph)
}

/// The output shape that a network needs to choose among `classes` for samples of shape `input`; for a text,
/// at each step.
pub fn logits(input: Shape, classes: usize) -> Shape {
    match input {
        Shape::Tokens { steps, .. } => Shape::Sequence { steps, features: classes },
        _ => Shape::Vector { features: classes },
    }
}
