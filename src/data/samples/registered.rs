//! Datasets of other programs that use this library. A registered dataset is used like those of arrays and tables: in job
//! files by its name, with splits and normalisation; in `data info`, `check`, `train` and `eval`.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{PoisonError, RwLock};

use serde::de::DeserializeOwned;

use super::{Preparation, Sources};
use ternflock_base::error::{Error, Result};
use ternflock_job::{Data, TaskKind, register_dataset_name};

/// A source of samples. Its fields are the keys of `data.options`, which it reads by serde; `deny_unknown_fields` refuses
/// misspelt ones.
pub trait Source: DeserializeOwned {
    /// Opens the samples. All ranks must get the same ones; [`Samples::hash`](super::Samples::hash) is compared.
    ///
    /// # Errors
    /// If they cannot be read.
    fn open(&self, request: &SourceRequest<'_>) -> Result<Sources>;
}

/// For whom a [`Source`] opens its samples.
#[derive(Clone, Copy, Debug)]
pub struct SourceRequest<'a> {
    /// `data.dir`.
    pub directory: Option<&'a Path>,
    /// The kind of task that the job asks for; `None`: the source decides.
    pub task: Option<TaskKind>,
    /// For a trained network: how its training samples were prepared, with the names of its classes.
    pub preparation: Option<&'a Preparation>,
}

type Open = fn(&Data, &SourceRequest<'_>) -> Result<Sources>;

static DATASETS: RwLock<BTreeMap<&'static str, Open>> = RwLock::new(BTreeMap::new());

/// Makes the source `S` available in this process as `dataset = "name"`. Register it before jobs and checkpoints that name
/// it are read, and on every rank.
///
/// # Errors
/// [`Error::Usage`] if there is a dataset of this name.
pub fn register_dataset<S: Source>(name: &'static str) -> Result<()> {
    register_dataset_name(name)?;
    DATASETS.write().unwrap_or_else(PoisonError::into_inner).insert(name, open_as::<S>);
    Ok(())
}

fn open_as<S: Source>(data: &Data, request: &SourceRequest<'_>) -> Result<Sources> {
    let options = data.options.clone().unwrap_or_default();
    let source = S::deserialize(options).map_err(|error| {
        let reason = error.to_string();
        Error::Usage(format!("data.options of dataset \"{}\": {}", data.dataset, reason.trim_end()))
    })?;
    source.open(request)
}

/// Opens the samples of `data` if its dataset is registered.
pub(super) fn open(data: &Data, request: &SourceRequest<'_>) -> Option<Result<Sources>> {
    let open = DATASETS.read().unwrap_or_else(PoisonError::into_inner).get(data.dataset.as_str()).copied();
    open.map(|open| open(data, request))
}
