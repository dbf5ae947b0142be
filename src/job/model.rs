//! `[model]`: the network, by the name of a preset, by a checkpoint, or layer by layer.

use std::path::PathBuf;

use serde::Serialize;
use toml::Table;

use super::presets::find_preset;
use super::read::Section;
use super::value::Rule;

/// The section `[model]`. Exactly one of its keys is there; all are read by the rooms that know networks.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The name of a published network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// A checkpoint, whose network and parameters are where this one begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// The layers, each as its `[[model.layers]]` table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Table>>,
}

impl Model {
    /// The ways to say a network.
    pub(super) const STRUCTURE: [&str; 3] = ["preset", "checkpoint", "layers"];

    pub(super) fn read(section: &mut Section) -> Self {
        section.exactly_one(&Self::STRUCTURE);
        Model {
            preset: read_preset(section),
            checkpoint: section.optional("checkpoint", &Rule::ANY),
            layers: section.optional("layers", &Rule::new("at least one layer", |layers| !layers.is_empty())),
        }
    }
}

/// The preset by its own name, even if the job uses an alias.
fn read_preset(section: &mut Section) -> Option<String> {
    let said: String = section.optional("preset", &Rule::ANY)?;
    match find_preset(&said) {
        Ok(name) => Some(name.to_owned()),
        Err(message) => {
            section.refuse("preset", message);
            None
        }
    }
}
