//! All parameters of a network in one flat vector, their gradients in another, and the table of what stands where.
//!
//! One vector each, so that the exchange, the optimizer and a hash walk plain slices.

use std::ops::Range;

use super::graph::Graph;
use super::init::initialise;
use super::layer::ParameterSpec;
use super::size::elements;
use crate::error::{Error, Result};

/// One tensor of the table.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// "layer/tensor", as in checkpoints: "conv1/weight".
    pub name: String,
    /// The number of its layer in the graph.
    pub layer: usize,
    /// What the layer asked for.
    pub spec: ParameterSpec,
    /// Its place in the flat vectors.
    pub range: Range<usize>,
}

/// The tensors of `graph`, in its order: what stands where in the flat vectors.
pub fn table(graph: &Graph) -> Result<Vec<Parameter>> {
    let (mut table, mut end) = (Vec::new(), 0);
    for (layer, node) in graph.layers().iter().enumerate() {
        for spec in graph.parameters(layer)? {
            let start = end;
            end += elements(&spec.shape).map_err(|message| {
                let (layer, operation) = (node.name.clone(), node.layer.kind().into());
                Error::Shape { layer, operation, message }
            })?;
            let name = format!("{}/{}", node.name, spec.name);
            table.push(Parameter { name, layer, spec, range: start..end });
        }
    }
    if table.len() > usize::from(u16::MAX) {
        let message = format!("{} tensors of parameters; there may be {}", table.len(), u16::MAX);
        return Err(Error::Shape { layer: "network".into(), operation: "graph".into(), message });
    }
    Ok(table)
}

/// The number of parameters of `table`.
pub fn count(table: &[Parameter]) -> usize {
    table.last().map_or(0, |last| last.range.end)
}

/// Values, gradients and the table.
#[derive(Clone, Debug)]
pub struct Parameters {
    /// Tensor by tensor, in graph order.
    pub table: Vec<Parameter>,
    /// The parameters.
    pub values: Vec<f32>,
    /// The gradients of the last backward pass, laid out as `values`.
    pub gradients: Vec<f32>,
}

impl Parameters {
    /// The parameters of `graph`, all zero.
    pub fn new(graph: &Graph) -> Result<Parameters> {
        Ok(Parameters::with(table(graph)?))
    }

    /// The parameters of `table`, all zero.
    pub(super) fn with(table: Vec<Parameter>) -> Parameters {
        let count = count(&table);
        Parameters { table, values: vec![0.0; count], gradients: vec![0.0; count] }
    }

    /// Draws all initial values: a pure function of `seed`.
    pub fn initialise(&mut self, seed: u64) {
        for (index, parameter) in self.table.iter().enumerate() {
            let (spec, values) = (&parameter.spec, &mut self.values[parameter.range.clone()]);
            initialise(spec.init, spec.fan, seed, index as u16, values);
        }
    }

    /// The ranges of layer `index`'s tensors.
    pub fn ranges(&self, index: usize) -> Vec<Range<usize>> {
        self.table.iter().filter(|p| p.layer == index).map(|p| p.range.clone()).collect()
    }
}
