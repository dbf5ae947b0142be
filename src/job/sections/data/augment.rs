//! The keys of `[data]` for how images vary from one epoch to the next.

use serde::Serialize;

use super::datasets::IMAGES;
use crate::syntax::{Absent, Definition, Given, Key, SectionReader, at_least, at_most, is_default};

/// How a training image varies. An evaluation sees its middle.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Augment {
    /// Pixels added on each side before an image is cropped.
    #[serde(skip_serializing_if = "is_default")]
    pub padding: usize,
    /// The side of the square that is cut out; `None`: of the size that the image has had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Whether every other image is mirrored, left to right.
    #[serde(skip_serializing_if = "is_default")]
    pub mirror: bool,
}

const PADDING: Key<usize> = Key::new(
    "padding",
    Given(|| 0),
    "pixels added on each side of an image before it is cropped; they are 0 in what the network sees, which is the mean \
     where `mean` and `std` are given.",
)
.of(IMAGES)
.within(at_most(65536.0));

const CROP: Key<usize, Absent> = Key::new(
    "crop",
    Absent("an image's own size"),
    "the side of the square that is cut out: at random to train on, the middle to evaluate on. `padding = 4` and \
     `mirror = true` are the usual augmentation of CIFAR-10.",
)
.of(IMAGES)
.within(at_least(1.0));

const MIRROR: Key<bool> = Key::new(
    "mirror",
    Given(|| false),
    "whether every other training image, at random, is mirrored left to right.",
)
.of(IMAGES);

pub(super) const KEYS: &[&dyn Definition] = &[&PADDING, &CROP, &MIRROR];

impl Augment {
    /// Reads these keys of `section`; `None` where they change nothing.
    pub(super) fn read(section: &mut SectionReader) -> Option<Augment> {
        let augment = Augment {
            padding: section.read(&PADDING),
            crop: section.read(&CROP),
            mirror: section.read(&MIRROR),
        };
        Some(augment).filter(|augment| *augment != Augment::default())
    }
}
