//! The samples of a job, before and after they are split.

use std::path::Path;
use std::sync::Arc;

use super::{
    Parts, Preparation, SampleRequest, Samples, Selection, registered, sizes, spare_of, split, split_ordered,
};
use crate::folder::{self, FolderSets, ImageFolder};
use crate::{arrays, table};
use ternflock_base::error::{Error, Result};
use ternflock_job::{Data, Draw, Folder, SampleSettings, Split, TaskKind};

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
    registered::open(data, &SampleRequest { directory, task, preparation }).transpose()
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
        let left = self.train.labels().map_or(all.saturating_sub(1), |labels| spare_of(&labels));
        let [validation_size, test] = sizes(
            all,
            left,
            self.validation.is_none().then_some(validation.validation),
            self.test.is_none().then_some(settings.test),
        );
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
