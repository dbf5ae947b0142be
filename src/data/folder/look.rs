//! Facts about a folder of images: for programs that look at data before there is a job.

use std::path::{Path, PathBuf};

use super::check::{headers, on_all_threads, read_picture};
use super::decode::Picture;
use super::listing::Listing;
use super::{Parts, check_classes};
use ternflock_base::error::{Error, Result};

/// The most images that are decoded.
const MOST_DECODED: usize = 2000;

/// Facts about the images of a folder, those of all sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FolderFacts {
    /// The number of classes.
    pub classes: usize,
    /// The number of training images.
    pub images: usize,
    /// The smallest height and width.
    pub least: [usize; 2],
    /// The largest height and width.
    pub most: [usize; 2],
    /// The median of the shorter sides of training images.
    pub shorter_side: usize,
    /// Whether an image has colours.
    pub has_colour: bool,
    /// Images that cannot be decoded, each with the reason.
    pub damaged: Vec<(PathBuf, String)>,
    /// The sub-folders with sets of their own, such as `test`.
    pub own_sets: Vec<&'static str>,
}

/// Reads the headers of all images below `directory`, and decodes some of them.
///
/// # Errors
/// If the folder cannot be read, if it has no two classes with images, or if no image can be decoded.
pub fn look(directory: &Path) -> Result<FolderFacts> {
    let parts = Parts::find(directory)?;
    let listing = Listing::read(&parts.train)?;
    check_classes(&listing, &parts.train)?;
    // Sets of their own are read like the training images.
    let mut files = listing.files.clone();
    for own in [&parts.validation, &parts.test].into_iter().flatten() {
        files.extend(Listing::read(own)?.files);
    }
    let files = &files;
    let mut damaged = Vec::new();
    let mut note = |number: usize, reason: String| damaged.push((files[number].clone(), reason));
    let (mut sizes, mut sides) = (Vec::new(), Vec::new());
    for (number, header) in headers(files).into_iter().enumerate() {
        match header {
            Ok(header) => {
                sizes.push(header.size);
                if number < listing.files.len() {
                    sides.push(header.size[0].min(header.size[1]));
                }
            }
            Err(reason) => note(number, reason),
        }
    }
    let some = files.len().min(MOST_DECODED);
    let numbers: Vec<usize> = (0..some).map(|at| at * files.len() / some).collect();
    let decoded = on_all_threads(some, |at| read_picture(&files[numbers[at]]).map(|image| is_colour(&image)));
    let mut has_colour = false;
    for (number, checked) in numbers.into_iter().zip(decoded) {
        match checked {
            Ok(colour) => has_colour |= colour,
            Err(reason) => note(number, reason),
        }
    }
    damaged.sort();
    damaged.dedup_by(|one, other| one.0 == other.0);
    sides.sort_unstable();
    let Some(&shorter_side) = sides.get(sides.len() / 2) else {
        let (path, reason) = damaged.into_iter().next().unwrap_or_default();
        return Err(Error::data(path, format!("cannot be decoded, nor can any other image: {reason}")));
    };
    let extreme = |at: usize, pick: fn(usize, usize) -> usize| {
        sizes.iter().map(|size| size[at]).reduce(pick).unwrap_or_default()
    };
    let own_sets = [("validation", parts.validation.is_some()), ("test", parts.test.is_some())];
    Ok(FolderFacts {
        classes: listing.classes.len(),
        images: listing.files.len(),
        least: [extreme(0, usize::min), extreme(1, usize::min)],
        most: [extreme(0, usize::max), extreme(1, usize::max)],
        shorter_side,
        has_colour,
        damaged,
        own_sets: own_sets.into_iter().filter(|(_, is_there)| *is_there).map(|(set, _)| set).collect(),
    })
}

/// Whether some pixel is not grey.
fn is_colour(image: &Picture) -> bool {
    image.channels == 3
        && image.pixels.as_chunks::<3>().0.iter().any(|[red, green, blue]| red != green || green != blue)
}
