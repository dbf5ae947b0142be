//! The first value of a pass that is NaN or infinite, for a message that says where a computation went wrong.

use super::Network;
use crate::parameters::of_layer;
use ternflock_tensor::within;

impl Network {
    /// Names the first tensor of the last forward pass with a NaN or an infinity, in the order of the computation:
    /// "the input", a parameter or a layer's output. Call it after the forward or the backward pass, and with the same
    /// parameters.
    ///
    /// An output whose buffer has been reused is computed again from the outputs before it. Recurrent states, batch
    /// norm's statistics and the network's output stay as they are. Values that only the backward pass needs may change, so
    /// do not run one afterwards.
    pub fn first_non_finite(&mut self) -> Option<String> {
        if let Some(found) = non_finite(&self.values.outputs[0][..self.elements[0]]) {
            return Some(format!("the input {found}"));
        }
        let mut found = None;
        for layer in 0..self.layers.len() {
            // Each output takes its buffer and gives it back, also after the first bad one.
            self.values.begin_forward(layer);
            if found.is_none() {
                found = self.bad_parameter(layer).or_else(|| self.bad_output(layer));
            }
            self.values.end_forward(layer, self.graph.sources(layer));
        }
        found
    }

    fn bad_parameter(&self, layer: usize) -> Option<String> {
        of_layer(&self.parameters.table, layer).iter().find_map(|parameter| {
            let found = non_finite(&self.parameters.values[parameter.range.clone()])?;
            Some(format!("parameter `{}` {found}", parameter.name))
        })
    }

    fn bad_output(&mut self, layer: usize) -> Option<String> {
        if self.values.plan.outputs[layer + 1].is_some() {
            self.run_again(layer);
        }
        let found = non_finite(&self.values.outputs[layer + 1][..self.elements[layer + 1]])?;
        Some(format!("the output of layer `{}` {found}", self.graph.layers()[layer].name))
    }

    /// Repeats the forward pass of `layer`.
    fn run_again(&mut self, layer: usize) {
        let Some((batch, mode)) = self.last else { return };
        self.layers[layer].rewind(batch);
        let statistics = self.parameters.statistics.values.clone();
        within(|| self.run_layer(layer, batch, mode));
        self.parameters.statistics.values = statistics;
    }
}

/// Describes the first of `values` that is NaN or infinite, as in "holds NaN at element 3".
pub fn non_finite(values: &[f32]) -> Option<String> {
    let at = values.iter().position(|value| !value.is_finite())?;
    Some(format!("holds {} at element {at}", values[at]))
}
