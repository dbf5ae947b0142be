//! `[model]`: the network, by the name of a preset or layer by layer.

use serde::Serialize;
use toml::Table;

use super::read::Section;
use super::value::Rule;

/// The section `[model]`. Exactly one of its keys is there; both are read by the rooms that know networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The name of a published network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// The layers, each as its `[[model.layers]]` table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Table>>,
}

impl Model {
    /// The two ways to say a network.
    pub(super) const STRUCTURE: [&str; 2] = ["preset", "layers"];

    pub(super) fn read(section: &mut Section) -> Self {
        section.exactly_one(Self::STRUCTURE);
        Model {
            preset: section.optional("preset", &Rule::ANY),
            layers: section.optional("layers", &Rule::new("at least one layer", |layers| !layers.is_empty())),
        }
    }
}
