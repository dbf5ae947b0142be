//! The samples of a job, before and after they are split.

use std::path::Path;
use std::sync::Arc;

use super::{Parts, Preparation, Samples, Selection, split, split_ordered};
use crate::folder::{self, FolderSets, ImageFolder};
use crate::split::spare;
use crate::{arrays, table};
use ternflock_base::error::{Error, Result};
use ternflock_job::{Data, Draw, Folder, SampleSettings, Split, TaskKind, Validation};

/// The default share of a split, and the maximum number of samples that this default takes.
const SHARE: usize = 10;
const MOST: usize = 10_000;

/// The sets in which a source has its samples.
pub struct Sources {
    /// The samples to train on. What other sets are missing is split off from it.
    pub train: Arc<dyn Samples>,
    /// A validation set of its own, if there is one.
    pub validation: Option<Arc<dyn Samples>>,
    /// A test set of its own, if there is one.
    pub test: Option<Arc<dyn Samples>>,
    /// What the source itself determines of the preparation.
    pub preparation: Preparation,
}

/// Opens the samples of `data`; `None` for datasets that are not samples of this kind. Relative paths start from
/// `directory`. The kind of `task` decides whether whole numbers are classes or values; `None`: the source does. With the
/// `preparation` of a checkpoint, its classes and columns apply instead of those of the files.
///
/// A new source is one line here.
///
/// # Errors
/// If the files cannot be read, or do not belong together.
pub fn open_samples(
    data: &Data,
    task: Option<TaskKind>,
    directory: Option<&Path>,
    preparation: Option<&Preparation>,
) -> Result<Option<Sources>> {
    if let Some(how) = &data.arrays {
        return arrays::open(&data.dataset, how, task, directory).map(Some);
    }
    if let Some(how) = &data.folder {
        return open_images(how, directory, preparation).map(Some);
    }
    if let Some(how) = &data.csv {
        return table::open(data, how, task, directory, preparation).map(Some);
    }
    Ok(None)
}

/// Opens a folder of images.
fn open_images(how: &Folder, directory: Option<&Path>, preparation: Option<&Preparation>) -> Result<Sources> {
    let directory =
        directory.ok_or_else(|| Error::Usage("data.dataset = \"folder\" needs its directory".into()))?;
    let names = preparation.map(|preparation| &preparation.class_names[..]).filter(|names| !names.is_empty());
    let FolderSets { train, validation, test } = folder::open(directory, how, names)?;
    let class_names = train.class_names().unwrap_or_default().to_vec();
    let other = |set: Option<Arc<ImageFolder>>| set.map(|set| set as Arc<dyn Samples>);
    Ok(Sources {
        train,
        validation: other(validation),
        test: other(test),
        preparation: Preparation { class_names, ..Preparation::default() },
    })
}

impl Sources {
    /// Splits off what the sets are missing.
    ///
    /// # Errors
    /// If no training sample is left.
    pub fn split(&self, validation: &Split, settings: &SampleSettings) -> Result<Parts> {
        let all = self.train.len();
        let mut left = self.train.labels().map_or(all.saturating_sub(1), |labels| spare_of(&labels));
        let mut size = |set: &Option<Arc<dyn Samples>>, how| {
            let size = match how {
                _ if set.is_some() => 0,
                Validation::Auto => (all / SHARE).clamp(1, MOST).min(left),
                Validation::Share(share) => ((all as f64 * share).round() as usize).max(1),
                Validation::Count(count) => count,
            };
            left = left.saturating_sub(size);
            size
        };
        let test = size(&self.test, settings.test);
        let validation_size = size(&self.validation, validation.validation);
        let mut parts = match settings.split {
            Draw::Random => split(&self.train, validation_size, test, validation.validation_seed)?,
            Draw::Ordered => split_ordered(&self.train, validation_size, test)?,
        };
        let own = |set: &Arc<dyn Samples>| Selection::all(Arc::clone(set));
        self.validation.iter().for_each(|set| parts.validation = own(set));
        self.test.iter().for_each(|set| parts.test = own(set));
        Ok(parts)
    }
}

/// The number of samples with these `labels` that can be taken so that each class keeps one.
fn spare_of(labels: &[usize]) -> usize {
    let mut counts = vec![0; labels.iter().max().map_or(0, |largest| largest + 1)];
    labels.iter().for_each(|&label| counts[label] += 1);
    spare(&counts)
}
