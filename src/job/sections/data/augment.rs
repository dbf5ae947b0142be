//! The keys of `[data]` for augmentation: how images vary from one epoch to the next.

use serde::Serialize;

use super::datasets::VARIED;
use crate::syntax::{Absent, Definition, Given, Key, SectionReader, at_least, at_most, is_default};

/// How a training image varies. Evaluations use the centre of the image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Augment {
    /// Pixels added on each side before an image is cropped.
    #[serde(skip_serializing_if = "is_default")]
    pub padding: usize,
    /// The side of the square that is cropped; `None`: the image keeps its size.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<usize>,
    /// Whether images are mirrored left to right, each with a probability of one half.
    #[serde(skip_serializing_if = "is_default")]
    pub mirror: bool,
}

const PADDING: Key<usize> = Key::new(
    "padding",
    Given(|| 0),
    "pixels added on each side of an image before it is cropped. The network sees them as 0, which is the \
     mean if `mean` and `std` or `normalise` are given.",
)
.of(VARIED)
.within(at_most(65536.0));

const CROP: Key<usize, Absent> = Key::new(
    "crop",
    Absent("an image's own size"),
    "the side of the square that is cropped from an image: at a random position for training, at the centre \
     for evaluation. `padding = 4` and `mirror = true` are the usual augmentation of CIFAR-10.",
)
.of(VARIED)
.within(at_least(1.0));

const MIRROR: Key<bool> = Key::new(
    "mirror",
    Given(|| false),
    "whether training images are mirrored left to right at random, each with a probability of one half.",
)
.of(VARIED);

pub(super) const KEYS: &[&dyn Definition] = &[&PADDING, &CROP, &MIRROR];

impl Augment {
    /// Reads these keys of `section`; `None` if they change nothing.
    pub(super) fn read(section: &mut SectionReader) -> Option<Augment> {
        let augment = Augment {
            padding: section.read(&PADDING),
            crop: section.read(&CROP),
            mirror: section.read(&MIRROR),
        };
        Some(augment).filter(|augment| *augment != Augment::default())
    }
}
