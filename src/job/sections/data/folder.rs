//! The keys of `[data]` for images in folders.

use serde::Serialize;
use serde_json::json;

use super::datasets::{FOLDER, refuse_of_others};
use crate::syntax::{Absent, Definition, Given, Key, Of, Rule, SectionReader, at_most, choices, is_default};

/// The settings for images in folders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Folder {
    /// Whether the images are read in colour.
    pub colour: Colour,
    /// Rows and columns of all images; `None`: those of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// How images get that size.
    pub resize: Resize,
    /// What happens if an image cannot be decoded.
    #[serde(skip_serializing_if = "is_default")]
    pub on_error: OnError,
    /// Megabytes of decoded images that a rank keeps in memory.
    pub cache_megabytes: usize,
}

/// The colours of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Colour {
    /// Red, green and blue.
    Rgb,
    /// One channel.
    Grey,
}

/// How images of different sizes get the same size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Resize {
    /// Scaled so that they cover the size, and cropped to their centre.
    Crop,
    /// Scaled to the size, whatever their proportions.
    Stretch,
    /// Not at all: images of another size are refused.
    None,
}

/// What happens if an image cannot be decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The run ends.
    #[default]
    Refuse,
    /// The image is left out.
    Skip,
}

choices! { Colour: Rgb = "rgb", Grey = "grey" }
choices! { Resize: Crop = "crop", Stretch = "stretch", None = "none" }
choices! { OnError: Refuse = "refuse", Skip = "skip" }

const OWN: Of = Of::kinds(&[FOLDER]);

const COLOUR: Key<Colour> = Key::new(
    "colour",
    Given(|| Colour::Rgb),
    "the number of channels: three (`\"rgb\"`) or one (`\"grey\"`). Other images are converted.",
)
.of(OWN);

/// No network of images is larger, and a larger number is a mistake.
const LONGEST_SIDE: usize = 16_384;

const SIZE: Key<Vec<usize>, Absent> = Key::new(
    "size",
    Absent("the size of the first image"),
    "height and width of all images, in pixels.",
)
.of(OWN)
.such(Rule::Such {
    must_be: "two sizes from 1 to 16384: height and width",
    holds: |size| size.len() == 2 && size.iter().all(|size| (1..=LONGEST_SIDE).contains(size)),
    schema: || json!({ "minItems": 2, "maxItems": 2, "items": { "minimum": 1, "maximum": LONGEST_SIDE } }),
});

const RESIZE: Key<Resize, Absent> = Key::new(
    "resize",
    Absent("`\"crop\"` with `size`, otherwise `\"none\"`"),
    "how images of another size are resized: `\"crop\"` scales them until they cover `size` and takes the centre, \
     `\"stretch\"` changes their proportions, `\"none\"` refuses them.",
)
.of(OWN);

const ON_ERROR: Key<OnError> = Key::new(
    "on_error",
    Given(OnError::default),
    "what happens if an image cannot be decoded: `\"refuse\"` ends the run and names the image; `\"skip\"` decodes \
     all images at the start, leaves out those that are damaged, and reports them.",
)
.of(OWN);

const CACHE: Key<usize> = Key::new(
    "cache_megabytes",
    Given(|| 1024),
    "the memory in which a rank keeps decoded images, in megabytes. Images that do not fit are decoded again in each \
     epoch.",
)
.of(OWN)
.within(at_most(1e9));

pub(super) const KEYS: &[&dyn Definition] = &[&COLOUR, &SIZE, &RESIZE, &ON_ERROR, &CACHE];

impl Folder {
    /// Reads these keys of `section`; `None` for any other dataset.
    pub(super) fn read(section: &mut SectionReader, dataset: &str) -> Option<Folder> {
        if dataset != FOLDER {
            refuse_of_others(section, KEYS, dataset);
            return None;
        }
        let size = section.read(&SIZE).filter(|size| size.len() == 2).map(|size| [size[0], size[1]]);
        let resize = section.read(&RESIZE);
        if size.is_none() && resize.is_some_and(|resize| resize != Resize::None) {
            let message = "data.resize also needs data.size, the height and width of the resized images";
            section.refuse(RESIZE.name, message);
        }
        Some(Folder {
            colour: section.read(&COLOUR),
            size,
            resize: resize.unwrap_or(if size.is_some() { Resize::Crop } else { Resize::None }),
            on_error: section.read(&ON_ERROR),
            cache_megabytes: section.read(&CACHE),
        })
    }
}
