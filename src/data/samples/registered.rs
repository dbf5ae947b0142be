//! Datasets of other programs that use this library. A registered dataset is used like those of arrays and tables: in job
//! files by its name, with splits and normalisation; in `data info`, `check`, `train` and `eval`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use serde::de::DeserializeOwned;

use super::{Preparation, Samples, Sources};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_job::{Data, TaskKind, register_dataset_name};
use ternflock_nn::{Shape, TargetKind};

/// A source of samples. Its fields are the keys of `data.options`, which it reads by serde; `deny_unknown_fields` refuses
/// misspelt ones.
pub trait SampleSource: DeserializeOwned {
    /// Opens the samples. All ranks must get the same ones; [`Samples::hash`](super::Samples::hash) is compared.
    ///
    /// # Errors
    /// If they cannot be read.
    fn open(&self, request: &SampleRequest<'_>) -> Result<Sources>;
}

/// What a [`SampleSource`] is asked to open.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SampleRequest<'a> {
    /// `data.dir`.
    pub directory: Option<&'a Path>,
    /// The kind of task that the job asks for; `None`: the source decides.
    pub task: Option<TaskKind>,
    /// For a trained network: how its training samples were prepared, with the names of its classes.
    pub preparation: Option<&'a Preparation>,
}

type Open = fn(&Data, &SampleRequest<'_>) -> Result<Sources>;

static DATASETS: RwLock<BTreeMap<&'static str, Open>> = RwLock::new(BTreeMap::new());

/// Makes the source `S` available in this process as `dataset = "name"`. Register it before jobs and checkpoints that name
/// it are read, and on every rank.
///
/// # Errors
/// [`Error::Usage`] if there is a dataset of this name.
pub fn register_dataset<S: SampleSource>(name: &'static str) -> Result<()> {
    register_dataset_name(name)?;
    DATASETS.write().unwrap_or_else(PoisonError::into_inner).insert(name, open_as::<S>);
    Ok(())
}

fn open_as<S: SampleSource>(data: &Data, request: &SampleRequest<'_>) -> Result<Sources> {
    let options = data.options.clone().unwrap_or_default();
    let source = S::deserialize(options).map_err(|error| {
        let reason = error.to_string();
        Error::Usage(format!("data.options of dataset \"{}\": {}", data.dataset, reason.trim_end()))
    })?;
    let sources = source.open(request)?;
    check(&sources).map_err(|problem| Error::Usage(format!("the dataset \"{}\" {problem}", data.dataset)))?;
    Ok(sources)
}

/// Refuses samples that do not keep the promises of [`Samples`].
fn check(Sources { train, validation, test, .. }: &Sources) -> std::result::Result<(), String> {
    let described =
        |set: &dyn Samples| format!("{} with {}", set.input().described(), set.target().described());
    if matches!(train.input(), Shape::Tokens { .. }) {
        return Err("has samples of tokens; use data.dataset = \"text\" for them".into());
    }
    for set in [Some(train), validation.as_ref(), test.as_ref()].into_iter().flatten() {
        if (set.input(), set.target()) != (train.input(), train.target()) {
            let (train, other) = (described(&**train), described(&**set));
            return Err(format!("trains on {train}, but another of its sets has {other}"));
        }
        if let TargetKind::Class(classes) = set.target() {
            let labels = set.labels().unwrap_or_default();
            if labels.len() != set.len() || labels.iter().any(|&label| label >= classes) {
                let (labels, samples) = (plural(labels.len(), "label"), plural(set.len(), "sample"));
                return Err(format!(
                    "has {labels} for {samples} of {classes} classes: each sample needs one below {classes}"
                ));
            }
        }
    }
    Ok(())
}

/// Opens the samples of `data` if its dataset is registered.
pub(super) fn open(data: &Data, request: &SampleRequest<'_>) -> Option<Result<Sources>> {
    let open = DATASETS.read().unwrap_or_else(PoisonError::into_inner).get(data.dataset.as_str()).copied();
    open.map(|open| open(data, request))
}
