//! How the units of a layer's output stand to those of its inputs and to the axes of its tensors: what can be removed from
//! a network together.
//!
//! A unit is a channel of an image, or a feature of a vector or of a sequence's rows. Each layer declares its own part
//! ([`super::layer::Describe::coupling`]); what follows for the whole network is computed from that alone.

use super::Graph;
use super::layers::Columns;
use ternflock_base::error::Result;

/// What the units of a layer's output are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Units {
    /// The layer's own: filters, hidden units.
    Own,
    /// Those of each input, one for one.
    Inputs,
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
    /// The axes of each tensor of parameters, in their order, and of the tied one behind them.
    pub parameters: Vec<Vec<Axis>>,
    /// The axes of each tensor that is not trained.
    pub statistics: Vec<Vec<Axis>>,
    /// Why no unit of the inputs can be removed, if none can.
    pub keeps_inputs: Option<&'static str>,
    /// Why no unit of the output can be removed, if none can.
    pub keeps_output: Option<&'static str>,
    /// Whether a unit whose every number in this layer is zero, and whose inputs are zero, is zero.
    pub zero_stays_zero: bool,
}

impl Coupling {
    /// Of a layer whose output has these units, with these axes of its parameters.
    pub fn new(units: Units, parameters: Vec<Vec<Axis>>) -> Coupling {
        Coupling {
            units,
            parameters,
            statistics: Vec::new(),
            keeps_inputs: None,
            keeps_output: None,
            zero_stays_zero: true,
        }
    }

    /// Of a layer without tensors that computes each unit from the same unit of its inputs.
    pub fn unit_by_unit() -> Coupling {
        Coupling::new(Units::Inputs, Vec::new())
    }

    /// Of a layer that makes units of its own by `weight` `[units, inputs, ...]` of `rank` axes, and perhaps a bias.
    pub(super) fn weight_and_bias(rank: usize, has_bias: bool) -> Coupling {
        let mut weight = vec![Axis::Makes(1), Axis::Reads];
        weight.resize(rank, Axis::Free);
        let bias = has_bias.then(|| vec![Axis::Makes(1)]);
        Coupling::new(Units::Own, std::iter::once(weight).chain(bias).collect())
    }

    /// The same, of a weight that has only these columns, where each unit of the input has `each`.
    pub(super) fn on_columns(mut self, columns: &Columns, each: usize) -> Coupling {
        if let Some(kept) = columns.list() {
            let units = kept.iter().map(|column| column / each).collect();
            self.parameters[0] = vec![Axis::Makes(1), Axis::ReadsAt(units)];
        }
        self
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
