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

/// The settings for images in the user's own IDX files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Idx {
    /// The number of classes; `None`: the largest label determines it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The label of the first class.
    #[serde(skip_serializing_if = "is_default")]
    pub first_label: usize,
}

/// The name of the data set for such images.
const IDX: &str = "idx";

/// Labels are bytes.
const MOST_CLASSES: usize = 256;

impl Idx {
    /// Reads these keys of `section`, which no other `dataset` may have.
    pub(super) fn read(section: &mut Section, dataset: &str) -> Option<Idx> {
        section.know("first_label");
        if dataset != IDX {
            refuse(section, &["first_label"], &[IDX], dataset);
            return None;
        }
        let classes = Rule::new("at least 1 and at most 256", |classes| (1..=MOST_CLASSES).contains(classes));
        Some(Idx {
            classes: section.optional("classes", &classes),
            first_label: section.or(
                "first_label",
                0,
                &Rule::new("at most 255", |&label| label < MOST_CLASSES),
            ),
        })
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

/// The name of the data set for such images.
const SYNTHETIC: &str = "synthetic";

impl Synthetic {
    /// Reads these keys of `section`, which no other `dataset` may have.
    pub(super) fn read(section: &mut Section, dataset: &str) -> Option<Synthetic> {
        let shape =
            Rule::new("three sizes of at least 1: channels, height and width", |shape: &Vec<usize>| {
                shape.len() == 3 && shape.iter().all(|&size| size > 0)
            });
        let keys = ["shape", "classes", "samples"];
        keys.iter().for_each(|key| section.know(key));
        if dataset != SYNTHETIC {
            refuse(section, &["shape", "samples"], &[SYNTHETIC], dataset);
            if dataset != IDX {
                refuse(section, &["classes"], &[SYNTHETIC, IDX], dataset);
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

/// Refuses those of `keys` that are present, because they belong to the data sets `owners`.
fn refuse(section: &mut Section, keys: &[&'static str], owners: &[&str], dataset: &str) {
    for key in keys.iter().filter(|key| section.has(key)).collect::<Vec<_>>() {
        let owners = owners.iter().map(|owner| format!("\"{owner}\"")).collect::<Vec<_>>().join(" or ");
        section.refuse(key, format!("data.{key} belongs to dataset = {owners}; this one is \"{dataset}\""));
    }
}
