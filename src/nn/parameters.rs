//! All parameters of a network in one flat vector, their gradients in another, and the table of what stands where.
//!
//! One vector each, so that the exchange, the optimizer and a hash walk plain slices.

use std::ops::Range;

use super::graph::Graph;
use super::init::initialise;
use super::layer::ParameterSpec;
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
    /// The table of `graph`, with all values zero.
    pub fn new(graph: &Graph) -> Result<Parameters> {
        let (mut table, mut end) = (Vec::new(), 0);
        for (layer, node) in graph.layers().iter().enumerate() {
            for spec in graph.parameters(layer)? {
                let start = end;
                end += spec.shape.iter().product::<usize>();
                let name = format!("{}/{}", node.name, spec.name);
                table.push(Parameter { name, layer, spec, range: start..end });
            }
        }
        if table.len() > usize::from(u16::MAX) {
            return Err(Error::Usage(format!("{} tensors; a network may have {}", table.len(), u16::MAX)));
        }
        Ok(Parameters { table, values: vec![0.0; end], gradients: vec![0.0; end] })
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
