//! `[force]`: filters that attract each other.

use serde::Serialize;
use serde_json::json;

use crate::syntax::{Absent, Given, Key, Rule, Section, SectionReader, choices, read_empty};

/// The section `[force]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Force {
    /// How the force depends on the distance between two directions.
    pub kind: ForceKind,
    /// Its factor relative to the gradient of the loss (published: 0.001 for LeNet with l1, 5e-5 for AlexNet
    /// with l2); negative: filters repel each other; 0: no force.
    pub strength: f64,
    /// The layers whose filters or units the force acts on; `None`: all convolutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
}

/// How the force depends on distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForceKind {
    /// The same at any distance; the published code's "Constant". O(N² d).
    L1,
    /// Proportional to the distance; the published code's "Degradation". O(N d).
    L2,
}

const KIND: Key<ForceKind> = Key::new(
    "kind",
    Given(|| ForceKind::L2),
    "`\"l2\"`: proportional to the distance between two directions, O(*N d*). `\"l1\"`: the same at any \
     distance, O(*N*² *d*).",
);

const STRENGTH: Key<f64> = Key::new(
    "strength",
    Given(|| 0.0),
    "The factor of the force relative to the gradient of the loss. Below 0, filters repel each other. \
     Published for LeNet with `\"l1\"`: 0.001.",
)
.such(Rule::Such {
    must_be: "a number within single precision",
    holds: |strength| (*strength as f32).is_finite(),
    schema: || json!({}),
});

const LAYERS: Key<Vec<String>, Absent> = Key::new(
    "layers",
    Absent("all convolutions"),
    "The convolutions and linear layers that the force acts \
        on.",
);

/// The section and its keys.
pub(crate) const SECTION: Section = Section::new(
    "force",
    "Filters attract each other's directions, so that fewer directions are needed.",
    &[&[&KIND, &STRENGTH, &LAYERS]],
);

choices! { ForceKind: L1 = "l1", L2 = "l2" }

impl Default for Force {
    fn default() -> Self {
        read_empty(&SECTION, Force::read)
    }
}

impl Force {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        Force { kind: section.read(&KIND), strength: section.read(&STRENGTH), layers: section.read(&LAYERS) }
    }
}
