//! `[force]`: filters that attract each other.

use serde::Serialize;

use super::read::Section;
use super::value::{Rule, choose};

/// The section `[force]`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Force {
    /// How the force depends on the distance of two directions.
    pub kind: ForceKind,
    /// Its factor beside the gradient of the loss (published: 0.001 for LeNet with l1, 5e-5 for AlexNet with l2); negative to
    /// drive filters apart, 0: none.
    pub strength: f64,
    /// The layers whose filters or units feel it; `None`: all convolutions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<String>>,
}

/// How a force depends on distance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ForceKind {
    /// The same at any distance; the published code's "Constant". O(N² d).
    L1,
    /// In proportion to the distance; the published code's "Degradation". O(N d).
    L2,
}

impl Default for Force {
    fn default() -> Self {
        Force { kind: ForceKind::L2, strength: 0.0, layers: None }
    }
}

impl Force {
    pub(super) fn read(section: &mut Section) -> Self {
        let default = Force::default();
        let kinds = [("l1", ForceKind::L1), ("l2", ForceKind::L2)];
        let kind = section.take_as("kind", &Rule::ANY, |value| choose(value, &kinds));
        let single = Rule::new("a number within single precision", |strength| (*strength as f32).is_finite());
        Force {
            kind: kind.ok().flatten().unwrap_or(default.kind),
            strength: section.or("strength", default.strength, &single),
            layers: section.optional("layers", &Rule::ANY),
        }
    }
}
