//! How the units of a layer's output relate to those of its inputs, and what the axes of its tensors count.
//! This determines which units must be removed together.
//!
//! A unit is a channel of an image, or a feature of a vector or of a sequence's rows. Each layer declares its
//! own part ([`super::layer::Describe::coupling`], and the axes of each [`super::layer::ParameterSpec`]); the
//! consequences for the entire network are computed only from these declarations.

use super::Graph;
use ternflock_base::error::Result;

/// The units of a layer's output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// The layer's own: filters, hidden units.
    Own,
    /// The units of the input, one for one.
    Inputs,
    /// The units of each input, one for one: the output is the sum of the inputs, so a zero unit adds nothing
    /// to it.
    Sum,
    /// The units of the first input, then those of the next.
    SideBySide,
    /// Each unit of the input becomes this many adjacent units: the pixels of a channel.
    Spread(usize),
    /// The units of the input, from this place on; the layer's own units before and after them are zero.
    Within(usize),
}

/// What an axis of a tensor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// No units: taps of a kernel, words of a vocabulary.
    Free,
    /// The output's units, repeated this many times (the gates of a recurrent layer): these weights produce
    /// them.
    Makes(usize),
    /// The output's units, which the layer itself reads at the next step.
    ReadsOwn,
    /// The input's units.
    Reads,
    /// By place: the unit of the input that it reads. A unit may have several places, or none.
    ReadsAt(Vec<usize>),
}

/// A layer's declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupling {
    /// The units of the output.
    pub units: Units,
    /// The reason why no unit of the inputs can be removed, if there is one.
    pub keeps_inputs: Option<&'static str>,
    /// The reason why no unit of the output can be removed, if there is one.
    pub keeps_output: Option<&'static str>,
    /// Whether a unit is zero if all of its elements in this layer and all of its inputs are zero.
    pub zero_stays_zero: bool,
}

impl Coupling {
    /// The declaration of a layer whose output has these units, all of which can be removed.
    pub fn new(units: Units) -> Coupling {
        Coupling { units, keeps_inputs: None, keeps_output: None, zero_stays_zero: true }
    }

    /// The declaration of a layer that computes each unit from the same unit of its input.
    pub fn unit_by_unit() -> Coupling {
        Coupling::new(Units::Inputs)
    }
}

impl Graph {
    /// The coupling of layer `index`.
    ///
    /// # Errors
    /// If its shapes do not fit; the message names the layer.
    pub fn coupling(&self, index: usize) -> Result<Coupling> {
        self.ask(index, |node, shapes| node.layer.describe().coupling(shapes))
    }
}
