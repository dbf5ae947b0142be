//! `[sparsity]`: what pushes whole structures to zero.

use std::collections::BTreeMap;

use serde::Serialize;

use super::optimizer::{Optimizer, OptimizerKind};
use super::read::{Reader, Section};
use super::value::{FromValue, Rule, choose};

/// The section `[sparsity]`. A strength of 0 is none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sparsity {
    /// How a strength acts.
    pub method: SparsityMethod,
    /// The strength by kind of group.
    #[serde(flatten)]
    pub strengths: Strengths,
    /// The strength of the l1 norm, of each weight by itself.
    pub l1: f64,
    /// Whether a group's strength is that times the root of its size.
    pub scale_by_size: bool,
    /// With `group_lasso`: parameters nearer to zero than this become zero after each step.
    pub threshold: f64,
    /// Factors of the strengths by name of layer; 1 where there is none.
    pub factors: BTreeMap<String, f64>,
}

/// The methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SparsityMethod {
    /// The gradient of the groups' norms, and a threshold after the step.
    GroupLasso,
    /// The proximal step of the groups' norms: exact zeros.
    Proximal,
}

/// Strengths by kind of group, in the words of `nn::StructureKind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Strengths {
    /// Rows of convolutions.
    pub filters: f64,
    /// What convolutions read of each channel.
    pub channels: f64,
    /// Columns of convolutions.
    pub shapes: f64,
    /// Two-dimensional filters.
    pub filters_2d: f64,
    /// Convolutions that a shortcut goes around.
    pub layers: f64,
    /// Rows of linear layers.
    pub neurons: f64,
    /// Columns of linear layers.
    pub inputs: f64,
    /// Hidden units of recurrent layers.
    pub hidden_units: f64,
}

/// A table of numbers of at least 0.
struct Factors(BTreeMap<String, f64>);

impl FromValue for Factors {
    fn from_value(value: &toml::Value) -> Result<Self, String> {
        let expected = || "a table of layers and numbers of at least 0, as in { conv1 = 0.5 }".to_owned();
        let entries = value.as_table().ok_or_else(expected)?.iter();
        let number = |(name, value): (&String, &toml::Value)| {
            let factor = f64::from_value(value).ok().filter(|factor| factor.is_finite() && *factor >= 0.0);
            factor.map(|factor| (name.clone(), factor)).ok_or_else(expected)
        };
        Ok(Factors(entries.map(number).collect::<Result<_, _>>()?))
    }
}

impl Default for Sparsity {
    fn default() -> Self {
        Sparsity {
            method: SparsityMethod::GroupLasso,
            strengths: Strengths::default(),
            l1: 0.0,
            scale_by_size: false,
            factors: BTreeMap::new(),
            threshold: 1e-4,
        }
    }
}

impl Sparsity {
    /// Whether anything is pushed to zero.
    fn is_active(&self) -> bool {
        let Strengths { filters, channels, shapes, filters_2d, layers, neurons, inputs, hidden_units } =
            self.strengths;
        [filters, channels, shapes, filters_2d, layers, neurons, inputs, hidden_units, self.l1] != [0.0; 9]
    }

    /// Refuses proximal steps with an optimizer that moves each parameter at its own rate (docs/adr/0020).
    pub(super) fn check_beside(&self, optimizer: &Optimizer, reader: &mut Reader) {
        let each_its_own = matches!(optimizer.kind, OptimizerKind::Adam { .. });
        if self.method == SparsityMethod::Proximal && self.is_active() && each_its_own {
            reader.refuse(
                "sparsity.method",
                "sparsity.method = \"proximal\" does not go with optimizer.kind = \"adam\": a group shrinks at the \
                 rate at which its parameters move, but Adam gives each parameter its own, without a bound where \
                 gradients are zero; use sparsity.method = \"group_lasso\", or \"sgd\", \"nesterov\" or \"lars\"",
            );
        }
    }

    pub(super) fn read(section: &mut Section) -> Self {
        let default = Sparsity::default();
        let methods = [("group_lasso", SparsityMethod::GroupLasso), ("proximal", SparsityMethod::Proximal)];
        let method = section.take_as("method", &Rule::ANY, |value| choose(value, &methods));
        let mut strength = |key| section.or(key, 0.0, &Rule::NOT_NEGATIVE);
        let strengths = Strengths {
            filters: strength("filters"),
            channels: strength("channels"),
            shapes: strength("shapes"),
            filters_2d: strength("filters_2d"),
            layers: strength("layers"),
            neurons: strength("neurons"),
            inputs: strength("inputs"),
            hidden_units: strength("hidden_units"),
        };
        Sparsity {
            method: method.ok().flatten().unwrap_or(default.method),
            strengths,
            l1: section.or("l1", 0.0, &Rule::NOT_NEGATIVE),
            scale_by_size: section.or("scale_by_size", default.scale_by_size, &Rule::ANY),
            factors: section.or("factors", Factors(BTreeMap::new()), &Rule::ANY).0,
            threshold: section.or("threshold", default.threshold, &Rule::NOT_NEGATIVE),
        }
    }
}
