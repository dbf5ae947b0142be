//! `[model]`: the network, by the name of a preset, by a checkpoint, or layer by layer.

use std::path::PathBuf;

use serde::Serialize;
use serde_json::json;
use toml::Table;

use super::presets::{find_preset, preset_words};
use crate::syntax::{Absent, Key, Rule, Section, SectionReader};

/// The section `[model]`. Exactly one of its keys is set. The crates that know networks interpret them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Model {
    /// The name of a published network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// A checkpoint to start from: its network and parameters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint: Option<PathBuf>,
    /// The layers, each as its `[[model.layers]]` table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layers: Option<Vec<Table>>,
}

const PRESET: Key<String, Absent> =
    Key::new("preset", Absent(""), "The name of a published network.").such(Rule::Such {
        must_be: "the name of a preset",
        // A wrong name is refused with advice of its own.
        holds: |_| true,
        schema: || json!({ "enum": preset_words() }),
    });

const CHECKPOINT: Key<PathBuf, Absent> = Key::new(
    "checkpoint",
    Absent(""),
    "A checkpoint to start from: its network and parameters, with a new optimizer state. This fine-tunes a network \
     that `ternflock compress` has made smaller. The run keeps a copy as `checkpoints/start.h5` and does not need \
     the file to resume.",
);

const LAYERS: Key<Vec<Table>, Absent> =
    Key::new("layers", Absent(""), "The layers from input to logits, one `[[model.layers]]` each.").such(
        Rule::Such {
            must_be: "at least one layer",
            holds: |layers| !layers.is_empty(),
            schema: || json!({ "minItems": 1 }),
        },
    );

/// The section and its keys.
pub(crate) const SECTION: Section = Section {
    exactly_one: &["preset", "checkpoint", "layers"],
    ..Section::new(
        "model",
        "The network: exactly one of a preset, a checkpoint and a list of layers.",
        &[&[&PRESET, &CHECKPOINT, &LAYERS]],
    )
};

impl Model {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        section.exactly_one();
        Model {
            preset: read_preset(section),
            checkpoint: section.read(&CHECKPOINT),
            layers: section.read(&LAYERS),
        }
    }
}

/// The preset by its own name, even if the job uses an alias.
fn read_preset(section: &mut SectionReader) -> Option<String> {
    let said = section.read(&PRESET)?;
    match find_preset(&said) {
        Ok(name) => Some(name.to_owned()),
        Err(message) => {
            section.refuse(PRESET.name, message);
            None
        }
    }
}
