//! How the units of a layer's output stand to those of its inputs, and what the axes of its tensors count: what can be
//! removed from a network together.
//!
//! A unit is a channel of an image, or a feature of a vector or of a sequence's rows. Each layer declares its own part
//! ([`super::layer::Describe::coupling`], and the axes of each [`super::layer::ParameterSpec`]); what follows for the whole
//! network is computed from that alone.

use super::Graph;
use ternflock_base::error::Result;

/// What the units of a layer's output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// The layer's own: filters, hidden units.
    Own,
    /// Those of the input, one for one.
    Inputs,
    /// Those of each input, one for one: the output is the sum of the inputs, so one that is zero adds nothing to it.
    Sum,
    /// Those of the first input, then those of the next.
    SideBySide,
    /// Each of the input's becomes so many, side by side: the pixels of a channel.
    Spread(usize),
    /// Those of the input, from this place on; the layer's own before and behind them are zero.
    Within(usize),
}

/// What an axis of a tensor counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Axis {
    /// No units: taps of a kernel, words of a vocabulary.
    Free,
    /// The output's units, so many times over (the gates of a recurrent layer): these numbers make them.
    Makes(usize),
    /// The output's units, as the layer itself reads them at the next step.
    ReadsOwn,
    /// The input's units.
    Reads,
    /// By place: the input's unit that it reads. One may have several places, or none.
    ReadsAt(Vec<usize>),
}

/// A layer's declaration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupling {
    /// What the output's units are.
    pub units: Units,
    /// Why no unit of the inputs can be removed, if none can.
    pub keeps_inputs: Option<&'static str>,
    /// Why no unit of the output can be removed, if none can.
    pub keeps_output: Option<&'static str>,
    /// Whether a unit whose every number in this layer is zero, and whose inputs are zero, is zero.
    pub zero_stays_zero: bool,
}

impl Coupling {
    /// Of a layer whose output has these units, any of which can be removed.
    pub fn new(units: Units) -> Coupling {
        Coupling { units, keeps_inputs: None, keeps_output: None, zero_stays_zero: true }
    }

    /// Of a layer that computes each unit from the same unit of its input.
    pub fn unit_by_unit() -> Coupling {
        Coupling::new(Units::Inputs)
    }
}

impl Graph {
    /// How the units of layer `index` couple.
    ///
    /// # Errors
    /// Names the layer, should its shapes not fit.
    pub fn coupling(&self, index: usize) -> Result<Coupling> {
        self.ask(index, |node, shapes| node.layer.describe().coupling(shapes))
    }
}
