//! From a job to its data. Every error names the line of the job file.

use std::path::Path;

use crate::state::trained_on::no_split;
use ternflock_base::error::{Error, Result};
use ternflock_data::{
    Augment, Dataset, EvaluationFeed, Feeds, Fill, ImageFeed, ImageSet, Images, Normalise, Parts,
    Preparation, SampleFeed, SampleSet, Selection, Sources, Subset, Texts, Vocabulary, open_dataset,
    open_samples, refuse_directory, synthetic_feed, synthetic_set,
};
use ternflock_job::{Data, Job, Loaded, Normalisation, SyntheticText, TaskKind, Text};

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
    if let Some(sources) = open_samples(&job.data, job.task.asked_kind(), job.data.dir.as_deref(), None)? {
        return feed_samples(job, &sources).map_err(blame("data.validation"));
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
    Ok(Feeds { train: Box::new(train), evaluation, set, test, vocabulary: None, preparation: None })
}

/// The feeds of samples in the user's own files.
fn feed_samples(job: &Job, sources: &Sources) -> Result<Feeds> {
    let (parts, preparation) = prepare(&job.data, job.task.asked_kind(), sources, None)?;
    let Parts { train, validation, test } = parts;
    let augment = job.data.augment.as_ref();
    let set = |selection: Selection| -> Result<Option<Box<dyn EvaluationFeed>>> {
        let is_empty = selection.numbers.is_empty();
        Ok(if is_empty { None } else { Some(Box::new(SampleSet::new(selection).augmented(augment)?)) })
    };
    let (evaluation, set, test) = match (set(validation)?, set(test)?) {
        (Some(validation), test) => (validation, VALIDATION, test),
        (None, Some(test)) => (test, TEST, None),
        (None, None) => return Err(Error::Usage(NOTHING_TO_EVALUATE.into())),
    };
    let train = SampleFeed::new(train, job.train.seed, job.train.global_batch)?.augmented(augment)?;
    let train = Box::new(train);
    Ok(Feeds { train, evaluation, set, test, vocabulary: None, preparation: Some(preparation) })
}

const NOTHING_TO_EVALUATE: &str = "neither a validation nor a test split is left to evaluate the network on: set data.validation or data.test";

/// The samples of `sources`, split as `data` says and prepared: as `known` says, or as measured on the training split.
fn prepare(
    data: &Data,
    task: Option<TaskKind>,
    sources: &Sources,
    known: Option<&Preparation>,
) -> Result<(Parts, Preparation)> {
    let (Some(split), Some(mut settings)) = (&data.split, data.samples) else {
        return Err(Error::Usage(format!("`{}` has no settings for its splits", data.dataset)));
    };
    if task == Some(TaskKind::MultiLabel) {
        // The loss needs labels of 0 and 1.
        settings.normalise_targets = Normalisation::None;
    }
    let Parts { train, validation, test } = sources.split(split, &settings)?;
    let preparation = match known {
        Some(known) => known.clone(),
        None => sources.preparation.clone().measure(&train, &settings)?,
    };
    let apply = |selection| preparation.apply(selection);
    let parts = Parts { train: apply(train)?, validation: apply(validation)?, test: apply(test)? };
    Ok((parts, preparation))
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
    Ok(Feeds {
        train,
        evaluation,
        set: VALIDATION,
        test: Some(test),
        vocabulary: Some(vocabulary),
        preparation: None,
    })
}

/// The same for a generated text, whose tokens are numbers that stand for no words.
fn make_up_texts(text: &SyntheticText, global_batch: usize) -> Result<Feeds> {
    let train = Box::new(synthetic_feed(text, global_batch)?);
    let evaluation = Box::new(synthetic_set(text, Subset::Valid)?);
    let test: Box<dyn EvaluationFeed> = Box::new(synthetic_set(text, Subset::Test)?);
    Ok(Feeds { train, evaluation, set: VALIDATION, test: Some(test), vocabulary: None, preparation: None })
}

/// What a checkpoint remembers of the data that its network was trained on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered<'a> {
    /// The words of a text.
    pub vocabulary: Option<&'a Vocabulary>,
    /// How samples are prepared; `None`: as measured on the training split.
    pub preparation: Option<&'a Preparation>,
    /// The kind of task that its job asks for; `None`: the data decide.
    pub task: Option<TaskKind>,
}

impl<'a> From<Option<&'a Vocabulary>> for Remembered<'a> {
    fn from(vocabulary: Option<&'a Vocabulary>) -> Self {
        Remembered { vocabulary, ..Remembered::default() }
    }
}

/// The test set of `data`, in `dir` or in its usual place, read with what a checkpoint has `remembered`.
pub fn open_test_set<'a>(
    data: &Data,
    dir: Option<&Path>,
    remembered: impl Into<Remembered<'a>>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, remembered.into(), Subset::Test, |dataset| Ok(dataset.test))
}

/// The set by which `data` chooses the network, from the same places.
///
/// # Errors
/// Those of opening it; also if that set is the test set.
pub fn open_validation_set<'a>(
    data: &Data,
    dir: Option<&Path>,
    remembered: impl Into<Remembered<'a>>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, remembered.into(), Subset::Valid, |mut dataset| {
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
pub fn open_training_set<'a>(
    data: &Data,
    dir: Option<&Path>,
    remembered: impl Into<Remembered<'a>>,
) -> Result<Box<dyn EvaluationFeed>> {
    open_set(data, dir, remembered.into(), Subset::Train, |mut dataset| {
        split_off(&mut dataset, data)?;
        Ok(dataset.train)
    })
}

/// `part` of a text, or the `images` of a data set, to evaluate on.
fn open_set(
    data: &Data,
    dir: Option<&Path>,
    known: Remembered,
    subset: Subset,
    images: impl FnOnce(Dataset) -> Result<Images>,
) -> Result<Box<dyn EvaluationFeed>> {
    refuse_directory(&data.dataset, dir)?;
    if let Some(text) = &data.text {
        let vocabulary = known
            .vocabulary
            .ok_or_else(|| Error::Usage("a text needs a vocabulary, and there is none".into()))?;
        return Ok(Box::new(Texts::new(data, text, dir).set(subset, vocabulary)?));
    }
    if let Some(text) = &data.synthetic_text {
        return Ok(Box::new(synthetic_set(text, subset)?));
    }
    if let Some(sources) = open_samples(data, known.task, dir, known.preparation)? {
        let (Parts { train, validation, test }, _) = prepare(data, known.task, &sources, known.preparation)?;
        let (selection, name) = match subset {
            Subset::Train => (train, "training"),
            Subset::Valid => (validation, VALIDATION),
            Subset::Test => (test, TEST),
        };
        return match selection.numbers.is_empty() {
            true => Err(Error::Usage(format!("there is no {name} set: its size is 0 (data.{name})"))),
            false => Ok(Box::new(SampleSet::new(selection).augmented(data.augment.as_ref())?)),
        };
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

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::{TargetKind, Targets};

    #[test]
    fn labels_of_several_are_not_normalised() {
        let directory = tempfile::tempdir().unwrap();
        let rows: String = (0..20).map(|n| format!("{n},{},{}\n", n % 2, u8::from(n % 5 == 0))).collect();
        std::fs::write(directory.path().join("t.csv"), format!("x,a,b\n{rows}")).unwrap();
        let feeds = |task: &str| {
            let text = format!(
                "name = 'a'\n[data]\ndataset = 'csv'\nfile = 't.csv'\ntargets = ['a', 'b']\ndir = '{}'\nsplit = 'ordered'\n\
                 test = 0\n[model]\npreset = 'mlp'\n[train]\nsteps = 1\nglobal_batch = 4\n[optimizer]\nlearning_rate = 0.1\n\
                 [task]\n{task}\n",
                directory.path().display()
            );
            open_feeds(&ternflock_job::parse("job.toml".into(), &text, &[], Some("a")).unwrap()).unwrap()
        };
        for task in ["kind = 'multi-label'", "loss = 'binary-cross-entropy'"] {
            let Feeds { mut evaluation, preparation, .. } = feeds(task);
            assert!(preparation.is_some_and(|known| known.targets.is_none() && known.inputs.is_some()));
            let (mut input, mut targets) = ([0.0; 2], Targets::default());
            evaluation.fill(&evaluation.chunks(0..2, 2).remove(0), &mut input, &mut targets).unwrap();
            // The last tenth: rows 18 and 19.
            assert_eq!(
                (evaluation.target(), targets.values),
                (TargetKind::Values(2), vec![0.0, 0.0, 1.0, 0.0])
            );
        }
        assert!(feeds("kind = 'regression'").preparation.unwrap().targets.is_some());
    }
}
