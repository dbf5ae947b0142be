//! The keys of `[sparsity]`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value as Json, json};
use toml::Value;

use super::method::SparsityMethod;
use crate::syntax::{FromValue, Given, Key, Section, at_least};

pub(super) const METHOD: Key<SparsityMethod> = Key::new(
    "method",
    Given(|| SparsityMethod::GroupLasso),
    "`\"group_lasso\"`: strength · *w*/‖*w*_*g*‖ is added to the gradient, before clipping, decay and \
     momentum. After the step, every parameter with a magnitude below `threshold` is set to zero. \
     `\"proximal\"`: after the step, each group is multiplied by max(0, 1 − *η* · strength/‖*w*_*g*‖), which \
     makes exact zeros. With `lars`, each tensor shrinks at its own rate *ηλ*, which is 0 in steps with a \
     zero gradient ([The proximal step](algorithms.md#the-proximal-step-compressgroup_lassoproximal)). \
     Refused with `adam`, because a group has no single rate there.",
)
.origin("Wen et al.'s code");

/// The strength of a kind of groups.
const fn strength(name: &'static str, meaning: &'static str) -> Key<f64> {
    Key::new(name, Given(|| 0.0), meaning).within(at_least(0.0))
}

pub(super) const FILTERS: Key<f64> = strength("filters", "The strength for filters of convolutions.");
pub(super) const CHANNELS: Key<f64> =
    strength("channels", "The strength for channels that convolutions read.");
pub(super) const SHAPES: Key<f64> = strength("shapes", "The strength for columns of weight matrices.");
pub(super) const FILTERS_2D: Key<f64> = strength("filters_2d", "The strength for two-dimensional filters.");
pub(super) const LAYERS: Key<f64> =
    strength("layers", "The strength for convolutions that a shortcut bypasses.");
pub(super) const NEURONS: Key<f64> = strength("neurons", "The strength for rows of linear layers.");
pub(super) const INPUTS: Key<f64> = strength("inputs", "The strength for units that linear layers read.");
pub(super) const HIDDEN_UNITS: Key<f64> =
    strength("hidden_units", "The strength for hidden units of recurrent layers.");

pub(super) const L1: Key<f64> = strength(
    "l1",
    "The strength of the l1 norm of single weights. It produces zeros but no structures, and does not affect \
     biases. With `\"proximal\"`, weights move towards zero by *η* · strength after the step (with `lars`, \
     by *ηλ* · strength, and not at all in a step with a zero gradient).",
);

pub(super) const SCALE_BY_SIZE: Key<bool> = Key::new(
    "scale_by_size",
    Given(|| false),
    "Multiplies the strength of a group by the square root of its \
        number of elements.",
)
.origin("Wen et al.'s code (none)");

pub(super) const FACTORS: Key<Factors> = Key::new(
    "factors",
    Given(|| Factors(BTreeMap::new())),
    "Factors of the strengths by layer, as in `{ conv1 = 0.5 }`. Hidden units belong to the layer that \
     computes them.",
);

pub(super) const THRESHOLD: Key<f64> = Key::new(
    "threshold",
    Given(|| 1e-4),
    "For `\"group_lasso\"`: \
    parameters with a smaller magnitude are set to zero after each step.",
)
.within(at_least(0.0))
.origin("Wen et al.'s code (`ZEROUT_THRESHOLD`)");

/// The section `[sparsity]`.
pub(crate) const SECTION: Section = Section::new(
    "sparsity",
    "Penalties that push entire structures to zero, so that surgery can remove them from the network.",
    &[
        &[&METHOD],
        &[&FILTERS, &CHANNELS, &SHAPES, &FILTERS_2D, &LAYERS, &NEURONS, &INPUTS, &HIDDEN_UNITS],
        &[&L1, &SCALE_BY_SIZE, &FACTORS, &THRESHOLD],
    ],
);

/// A table of numbers of at least 0.
#[derive(Serialize)]
pub(super) struct Factors(pub BTreeMap<String, f64>);

impl FromValue for Factors {
    fn from_value(value: &Value) -> Result<Self, String> {
        let expected = || "a table of layers and numbers of at least 0, as in { conv1 = 0.5 }".to_owned();
        let entries = value.as_table().ok_or_else(expected)?.iter();
        let number = |(name, value): (&String, &Value)| {
            let factor = f64::from_value(value).ok().filter(|factor| factor.is_finite() && *factor >= 0.0);
            factor.map(|factor| (name.clone(), factor)).ok_or_else(expected)
        };
        Ok(Factors(entries.map(number).collect::<Result<_, _>>()?))
    }

    fn type_name() -> String {
        "table of numbers, at least 0".to_owned()
    }

    fn schema() -> Json {
        json!({ "type": "object", "additionalProperties": { "type": "number", "minimum": 0 } })
    }
}
