//! What `[data]` says of images: how they vary from one epoch to the next, and which are made up.

use serde::Serialize;

use super::read::Section;
use super::value::Rule;

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

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Augment {
    /// The keys of `section` for that; `None` where they change nothing.
    pub(super) fn read(section: &mut Section) -> Option<Augment> {
        let augment = Augment {
            padding: section.or("padding", 0, &Rule::new("at most 65536", |&pixels| pixels <= 1 << 16)),
            crop: section.optional("crop", &Rule::<usize>::SOME),
            mirror: section.or("mirror", false, &Rule::ANY),
        };
        Some(augment).filter(|augment| *augment != Augment::default())
    }
}

/// Images that no file holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Synthetic {
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The number of classes.
    pub classes: usize,
    /// Samples to train on.
    pub samples: usize,
}

/// The name of the data set of such images.
const SYNTHETIC: &str = "synthetic";

impl Synthetic {
    /// The keys of `section` for that, which no other `dataset` may have.
    pub(super) fn read(section: &mut Section, dataset: &str) -> Option<Synthetic> {
        let shape =
            Rule::new("three sizes of at least 1: channels, height and width", |shape: &Vec<usize>| {
                shape.len() == 3 && shape.iter().all(|&size| size > 0)
            });
        let keys = ["shape", "classes", "samples"];
        keys.iter().for_each(|key| section.know(key));
        if dataset != SYNTHETIC {
            for key in keys.into_iter().filter(|key| section.has(key)).collect::<Vec<_>>() {
                let message =
                    format!("data.{key} belongs to dataset = \"{SYNTHETIC}\"; this one is \"{dataset}\"");
                section.refuse(key, message);
            }
            return None;
        }
        let shape = section.or("shape", vec![3, 32, 32], &shape);
        Some(Synthetic {
            shape: [shape[0], shape[1], shape[2]],
            classes: section.or("classes", 10, &Rule::<usize>::SOME),
            samples: section.or("samples", 10_000, &Rule::<usize>::SOME),
        })
    }
}
