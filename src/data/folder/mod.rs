//! Images in folders, one sub-folder per class.
//!
//! - `listing`: the images and their classes
//! - `decode`: PNG and JPEG to pixels; `colour`, `resize`, `fit`: pixels to the shape of a network's input
//! - `check`: headers and damaged images, before training begins
//! - `cache`: decoded images in memory
//! - `pack`: all images of a folder in one HDF5 file
//! - `look`: facts about a folder, before there is a job
//! - `samples`: all of it as [`Samples`](super::Samples)

mod cache;
mod check;
mod colour;
mod decode;
mod fit;
mod listing;
mod look;
mod pack;
mod resize;
mod samples;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use check::{Checked, read_picture};
pub use colour::convert;
pub use decode::Picture;
pub use fit::Fit;
use listing::{Listing, directories};
pub use look::{FolderFacts, look};
pub use pack::{Packed, pack};
pub use samples::{ImageFolder, read_image};
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::suggest;
use ternflock_base::text::plural;
use ternflock_job::Folder;

/// The names of the sub-folders that hold a split.
const TRAIN: &str = "train";
const VALIDATION: [&str; 3] = ["validation", "valid", "val"];
const TEST: &str = "test";

/// The sets of a folder of images.
pub struct FolderSets {
    /// All images, or those in `train`.
    pub train: Arc<ImageFolder>,
    /// The images in `validation`, `valid` or `val`, if the folder has these parts.
    pub validation: Option<Arc<ImageFolder>>,
    /// The images in `test`.
    pub test: Option<Arc<ImageFolder>>,
}

/// Opens the images below `directory` as `how` says. A sub-folder is a class, unless all sub-folders are named after
/// parts of a split (`train` and `validation`, `valid`, `val` or `test`), which then hold the classes. With the
/// `class_names` of a checkpoint, these are the classes.
///
/// # Errors
/// If the folder cannot be read or has no two classes, if a class has no training image or is unknown to training, or if
/// images are damaged or differ in size and `how` does not allow it.
pub fn open(directory: &Path, how: &Folder, class_names: Option<&[String]>) -> Result<FolderSets> {
    let parts = Parts::find(directory)?;
    let mut train = Listing::read(&parts.train)?;
    match class_names {
        Some(names) => use_classes(&mut train, names, &parts.train)?,
        None => check_classes(&train, &parts.train)?,
    }
    let room = Arc::new(AtomicUsize::new(how.cache_megabytes.saturating_mul(1_000_000)));
    let classes = train.classes.clone();
    let train = ImageFolder::open(&parts.train, train, how, None, &room)?;
    let other = |part: Option<PathBuf>| {
        part.map(|directory| {
            let mut listing = Listing::read(&directory)?;
            use_classes(&mut listing, &classes, &directory)?;
            ImageFolder::open(&directory, listing, how, Some(&train), &room).map(Arc::new)
        })
        .transpose()
    };
    let (validation, test) = (other(parts.validation)?, other(parts.test)?);
    Ok(FolderSets { train: Arc::new(train), validation, test })
}

/// The directories that hold the classes.
struct Parts {
    train: PathBuf,
    validation: Option<PathBuf>,
    test: Option<PathBuf>,
}

impl Parts {
    fn find(directory: &Path) -> Result<Parts> {
        let found = directories(directory)?;
        let named = |names: &[&str]| -> Vec<PathBuf> {
            let is =
                |path: &&PathBuf| names.iter().any(|name| path.file_name().is_some_and(|own| own == *name));
            found.iter().filter(is).cloned().collect()
        };
        let [train, validation, test] = [named(&[TRAIN]), named(&VALIDATION), named(&[TEST])];
        if train.is_empty() || train.len() + validation.len() + test.len() < found.len() {
            return Ok(Parts { train: directory.into(), validation: None, test: None });
        }
        if let [one, other, ..] = &validation[..] {
            let message = format!("holds a validation set, and so does {}: move one away", other.display());
            return Err(Error::data(one, message));
        }
        let only = |mut found: Vec<PathBuf>| found.pop();
        Ok(Parts { train: directory.join(TRAIN), validation: only(validation), test: only(test) })
    }
}

/// Refuses classes that cannot be trained on.
fn check_classes(listing: &Listing, directory: &Path) -> Result<()> {
    let classes = &listing.classes;
    let ignored =
        listing.ignored.described().map_or(String::new(), |ignored| format!("; not read: {ignored}"));
    if classes.len() < 2 {
        let message = format!(
            "holds {}, but at least 2 are needed: each class of images is a sub-folder{ignored}",
            plural(classes.len(), "sub-folder")
        );
        return Err(Error::data(directory, message));
    }
    match listing.counts().iter().position(|&count| count == 0) {
        Some(empty) => {
            let message =
                format!("holds no image (.png, .jpg or .jpeg): add some, or remove the class{ignored}");
            Err(Error::data(directory.join(&classes[empty]), message))
        }
        None => Ok(()),
    }
}

/// Numbers the classes of `listing` as `classes` does.
fn use_classes(listing: &mut Listing, classes: &[String], directory: &Path) -> Result<()> {
    let number = |name: &String| {
        classes.iter().position(|class| class == name).ok_or_else(|| {
            let names: Vec<&str> = classes.iter().map(String::as_str).collect();
            let message = format!("is a class without training images: {}", suggest(name, &names));
            Error::data(directory.join(name), message)
        })
    };
    let numbers = listing.classes.iter().map(number).collect::<Result<Vec<_>>>()?;
    listing.labels.iter_mut().for_each(|label| *label = numbers[*label]);
    listing.classes = classes.to_vec();
    if listing.files.is_empty() {
        return Err(Error::data(directory, "holds no image (.png, .jpg or .jpeg) in a sub-folder per class"));
    }
    Ok(())
}
