//! `[sparsity]`: penalties that push entire structures to zero.

mod keys;
mod method;

pub use method::SparsityMethod;

use std::collections::BTreeMap;

use serde::Serialize;

use super::optimizer::{Optimizer, OptimizerKind};
use crate::syntax::{Reader, SectionReader, read_empty};
use keys::{
    CHANNELS, FACTORS, FILTERS, FILTERS_2D, HIDDEN_UNITS, INPUTS, L1, LAYERS, METHOD, NEURONS, SCALE_BY_SIZE,
    SHAPES, THRESHOLD,
};

pub(crate) use keys::SECTION;

/// The section `[sparsity]`. A strength of 0 means no penalty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sparsity {
    /// How a strength acts.
    pub method: SparsityMethod,
    /// The strength by kind of group.
    #[serde(flatten)]
    pub strengths: Strengths,
    /// The strength of the l1 norm, which acts on each weight separately.
    pub l1: f64,
    /// Whether the strength of a group is multiplied by the square root of its size.
    pub scale_by_size: bool,
    /// With `group_lasso`: parameters with a smaller magnitude become zero after each step.
    pub threshold: f64,
    /// Factors of the strengths by layer name; 1 for other layers.
    pub factors: BTreeMap<String, f64>,
}

/// Strengths by kind of group, named as in `nn::StructureKind`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Strengths {
    /// Rows of convolutions.
    pub filters: f64,
    /// The weights with which convolutions read each channel.
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

impl Default for Sparsity {
    fn default() -> Self {
        read_empty(&SECTION, Sparsity::read)
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
    pub(crate) fn check_beside(&self, optimizer: &Optimizer, reader: &mut Reader) {
        let each_its_own = matches!(optimizer.kind, OptimizerKind::Adam { .. });
        if self.method == SparsityMethod::Proximal && self.is_active() && each_its_own {
            reader.refuse(
                "sparsity.method",
                "sparsity.method = \"proximal\" does not work with optimizer.kind = \"adam\": a group \
                 shrinks at the rate at which its parameters move, but Adam gives each parameter its own \
                 rate, without a bound if gradients are zero; use sparsity.method = \"group_lasso\", or \
                 \"sgd\", \"nesterov\" or \"lars\"",
            );
        }
    }

    pub(crate) fn read(section: &mut SectionReader) -> Self {
        Sparsity {
            method: section.read(&METHOD),
            strengths: Strengths {
                filters: section.read(&FILTERS),
                channels: section.read(&CHANNELS),
                shapes: section.read(&SHAPES),
                filters_2d: section.read(&FILTERS_2D),
                layers: section.read(&LAYERS),
                neurons: section.read(&NEURONS),
                inputs: section.read(&INPUTS),
                hidden_units: section.read(&HIDDEN_UNITS),
            },
            l1: section.read(&L1),
            scale_by_size: section.read(&SCALE_BY_SIZE),
            factors: section.read(&FACTORS).0,
            threshold: section.read(&THRESHOLD),
        }
    }
}
