//! The names of the datasets, and the families that share keys.

use std::sync::{PoisonError, RwLock};

use crate::syntax::{Definition, Of, SectionReader};
use ternflock_base::error::{Error, Result};

/// The possible values of `data.dataset`, without those that a program registers.
pub const DATASETS: [&str; 18] = [
    "mnist",
    "fashion-mnist",
    "cifar-10",
    "digits",
    "synthetic",
    "idx",
    "genesis",
    "kjv",
    "ptb",
    "text",
    "synthetic-text",
    HDF5,
    NPY,
    NPZ,
    FOLDER,
    CSV,
    "diabetes",
    "sunspots",
];

/// The names of datasets of other programs that use this library.
static REGISTERED: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// Makes `dataset = "name"` valid in jobs. It only makes the name known; `ternflock_data::register_dataset` also registers
/// the source of the samples.
///
/// # Errors
/// [`Error::Usage`] if there is a dataset of this name.
#[doc(hidden)]
pub fn register_dataset_name(name: &'static str) -> Result<()> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if DATASETS.contains(&name) || registered.contains(&name) {
        return Err(Error::Usage(format!("there is a dataset called `{name}` already")));
    }
    registered.push(name);
    Ok(())
}

/// Whether a program has registered the dataset `name`.
pub fn is_registered(name: &str) -> bool {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).contains(&name)
}

/// The names of all datasets.
pub(super) fn names() -> Vec<&'static str> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    DATASETS.iter().chain(registered.iter()).copied().collect()
}

/// The dataset of images in the user's own IDX files.
pub(super) const IDX: &str = "idx";

/// The dataset of random images.
pub(super) const SYNTHETIC: &str = "synthetic";

/// The dataset of images in folders.
pub(super) const FOLDER: &str = "folder";

/// The dataset of text in the user's own files.
pub(super) const TEXT: &str = "text";

/// The dataset of random text.
pub(super) const SYNTHETIC_TEXT: &str = "synthetic-text";

/// The dataset of a table in the user's own CSV files.
pub(super) const CSV: &str = "csv";

/// The datasets of tables: columns by name.
pub(super) const TABLES: Of = Of { kinds: &[CSV, "diabetes", "sunspots"], called: "tables", ..Of::EVERY };

/// The datasets whose rows can follow each other in time.
pub(super) const WINDOWED: Of = TABLES;

/// The dataset of arrays in HDF5 files.
pub(super) const HDF5: &str = "hdf5";

/// The dataset of arrays in NumPy files.
pub(super) const NPY: &str = "npy";

/// The dataset of arrays in NumPy archives.
pub(super) const NPZ: &str = "npz";

/// The datasets of arrays in the user's own files.
pub(super) const ARRAYS: Of = Of { kinds: &[HDF5, NPY, NPZ], called: "arrays", ..Of::EVERY };

/// The datasets of samples of any kind, which are split and normalised as the job says.
pub(super) const SAMPLES: Of = Of {
    kinds: &[HDF5, NPY, NPZ, FOLDER, CSV, "diabetes", "sunspots"],
    called: "arrays, folders of images and tables",
    also: is_registered,
};

/// The datasets with a validation split.
pub(super) const SPLIT: Of = Of {
    kinds: &[
        "mnist",
        "fashion-mnist",
        "cifar-10",
        "digits",
        SYNTHETIC,
        IDX,
        HDF5,
        NPY,
        NPZ,
        FOLDER,
        CSV,
        "diabetes",
        "sunspots",
    ],
    called: "images, arrays and tables",
    also: is_registered,
};

/// The datasets of images.
pub(super) const IMAGES: Of = Of {
    kinds: &["mnist", "fashion-mnist", "cifar-10", "digits", SYNTHETIC, IDX],
    called: "images",
    ..Of::EVERY
};

/// The datasets whose training images may vary. Samples of other shapes are refused when they are opened.
pub(super) const VARIED: Of = Of {
    kinds: &["mnist", "fashion-mnist", "cifar-10", "digits", SYNTHETIC, IDX, HDF5, NPY, NPZ, FOLDER],
    called: "images",
    also: is_registered,
};

/// The datasets of text that is stored in files.
pub(super) const TEXT_FILES: Of =
    Of { kinds: &["genesis", "kjv", "ptb", TEXT], called: "text in files", ..Of::EVERY };

/// All datasets of text.
pub(super) const TEXTS: Of =
    Of { kinds: &["genesis", "kjv", "ptb", TEXT, SYNTHETIC_TEXT], called: "texts", ..Of::EVERY };

/// Whether `dataset` is text that is stored in files.
pub(super) fn is_text(dataset: &str) -> bool {
    TEXT_FILES.includes(dataset)
}

/// Refuses those of `keys` that belong to other datasets than `dataset`.
pub(super) fn refuse_of_others(section: &mut SectionReader, keys: &[&'static dyn Definition], dataset: &str) {
    section.refuse_foreign(keys, dataset, |path, owners| {
        let owners: Vec<String> = owners.iter().map(|owner| format!("\"{owner}\"")).collect();
        format!("{path} belongs to dataset = {}; this job has \"{dataset}\"", owners.join(" or "))
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dataset_belongs_to_one_family() {
        for dataset in DATASETS {
            let families = [IMAGES, TEXTS, SAMPLES].iter().filter(|family| family.includes(dataset)).count();
            assert_eq!(families, 1, "{dataset}");
            assert_eq!(is_text(dataset), TEXTS.includes(dataset) && dataset != SYNTHETIC_TEXT, "{dataset}");
            assert_eq!(SPLIT.includes(dataset), !TEXTS.includes(dataset), "{dataset}");
        }
        assert!(ARRAYS.kinds.iter().all(|kind| SAMPLES.includes(kind)));
        assert_eq!(IMAGES.kinds.len() + TEXTS.kinds.len() + SAMPLES.kinds.len(), DATASETS.len());
    }
}
