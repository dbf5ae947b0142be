//! The outputs of a network's layers and their gradients, in shared buffers.
//!
//! A shared buffer moves to the output or gradient that uses it, and back when that value is no longer needed: see
//! [`BufferPlan`]. A value that must not be read at the moment is therefore empty.
//!
//! An output that is kept as bf16 is rounded when it has been computed, so all passes read the same values.

use std::mem::swap;

use crate::buffer_plan::{BufferPlan, Rounded};
use ternflock_tensor::bf16::{store, widen_all};
use ternflock_tensor::{for_each_row, rows, rows_mut};

/// Outputs and gradients, indexed by source number: 0 is the network's input, i + 1 the output of layer i.
pub struct Values {
    /// Who uses which buffer.
    pub plan: BufferPlan,
    /// The shared buffers, indexed as in the plan; each is empty while a value uses it.
    shared: Vec<Vec<f32>>,
    /// The outputs.
    pub outputs: Vec<Vec<f32>>,
    /// The outputs that are kept as bf16; empty for others.
    pub rounded: Vec<Vec<u16>>,
    /// The gradients of the outputs.
    pub gradients: Vec<Vec<f32>>,
    /// For a source that several layers read: the sum of the gradients so far, while one of the layers writes its
    /// gradient.
    pub earlier: Vec<Vec<f32>>,
}

/// Number of elements that a thread rounds or widens at a time.
const ROW: usize = 16 * 1024;

impl Values {
    /// In `outputs`, each output with its own buffer has it; the others are empty. In `rounded`, only the outputs that
    /// are kept as bf16 have a buffer.
    pub fn new(
        plan: BufferPlan,
        outputs: Vec<Vec<f32>>,
        rounded: Vec<Vec<u16>>,
        shared: Vec<Vec<f32>>,
    ) -> Values {
        let none = vec![Vec::new(); outputs.len()];
        Values { plan, shared, outputs, rounded, gradients: none.clone(), earlier: none }
    }

    /// Call before the forward pass of layer `layer`.
    pub fn begin_forward(&mut self, layer: usize) {
        if let Some(buffer) = self.plan.outputs[layer + 1] {
            swap(&mut self.outputs[layer + 1], &mut self.shared[buffer]);
        }
    }

    /// Call after layer `layer` has computed its output of `elements` elements.
    pub fn round(&mut self, layer: usize, elements: usize) {
        let source = layer + 1;
        if self.plan.rounded[source].is_some() {
            let values = rows_mut(&mut self.outputs[source][..elements], ROW);
            let rounded = rows_mut(&mut self.rounded[source][..elements], ROW);
            for_each_row((values, rounded), |_, (values, rounded)| store(values, rounded));
        }
    }

    /// Call after the forward pass of layer `layer`, which reads `sources`.
    pub fn end_forward(&mut self, layer: usize, sources: &[usize]) {
        for &source in sources.iter().filter(|&&source| self.plan.last_reader[source] == Some(layer)) {
            if let Some(buffer) = self.plan.outputs[source] {
                swap(&mut self.outputs[source], &mut self.shared[buffer]);
            }
        }
    }

    /// The network's output, and the buffer for its gradient.
    pub fn output_and_gradient(&mut self) -> (&[f32], &mut [f32]) {
        let last = self.outputs.len() - 1;
        let gradient = self.plan.gradients[last].map_or(&mut [][..], |buffer| &mut self.shared[buffer]);
        (&self.outputs[last], gradient)
    }

    /// Call before a backward pass.
    pub fn begin_backward(&mut self) {
        self.swap_gradient(self.outputs.len() - 1);
    }

    /// Call before a layer writes its gradient of `source`; `is_written` tells whether another layer has already
    /// written one.
    pub fn begin_gradient(&mut self, source: usize, is_written: bool) {
        if is_written {
            swap(&mut self.gradients[source], &mut self.earlier[source]);
            self.swap_summand(source);
        } else {
            self.swap_gradient(source);
        }
    }

    /// Call after adding the new gradient in `gradients` to the one in `earlier`.
    pub fn end_sum(&mut self, source: usize) {
        self.swap_summand(source);
        swap(&mut self.gradients[source], &mut self.earlier[source]);
    }

    /// Call before the backward pass of layer `layer`, which reads `sources`. `elements` are those of all sources.
    pub fn begin_layer(&mut self, layer: usize, sources: &[usize], elements: &[usize]) {
        for source in sources.iter().copied().chain([layer + 1]) {
            if let Some(Rounded { buffer, first, .. }) = self.plan.rounded[source]
                && first == layer
            {
                swap(&mut self.outputs[source], &mut self.shared[buffer]);
                let values = rows_mut(&mut self.outputs[source][..elements[source]], ROW);
                let rounded = rows(&self.rounded[source][..elements[source]], ROW);
                for_each_row((values, rounded), |_, (values, rounded)| widen_all(rounded, values));
            }
        }
    }

    /// Call after the backward pass of layer `layer`, which reads `sources`.
    pub fn end_layer(&mut self, layer: usize, sources: &[usize]) {
        self.swap_gradient(layer + 1);
        for source in sources.iter().copied().chain([layer + 1]) {
            if let Some(Rounded { buffer, last, .. }) = self.plan.rounded[source]
                && last == layer
            {
                swap(&mut self.outputs[source], &mut self.shared[buffer]);
            }
        }
    }

    fn swap_gradient(&mut self, source: usize) {
        if let Some(buffer) = self.plan.gradients[source] {
            swap(&mut self.gradients[source], &mut self.shared[buffer]);
        }
    }

    fn swap_summand(&mut self, source: usize) {
        if let Some(buffer) = self.plan.summands[source] {
            swap(&mut self.gradients[source], &mut self.shared[buffer]);
        }
    }
}

#[cfg(test)]
impl Values {
    /// Fills all buffers.
    pub fn fill(&mut self, value: f32) {
        self.outputs.iter_mut().chain(&mut self.shared).for_each(|buffer| buffer.fill(value));
    }

    /// Gives each value a buffer of its own, with as many `elements` as its source has.
    pub fn separate(&mut self, elements: &[usize]) {
        self.shared.clear();
        let BufferPlan { outputs, rounded, gradients, summands, .. } = &mut self.plan;
        for uses in [outputs, gradients, summands] {
            for (buffer, &elements) in uses.iter_mut().zip(elements).filter(|(buffer, _)| buffer.is_some()) {
                *buffer = Some(self.shared.len());
                self.shared.push(vec![0.0; elements]);
            }
        }
        for (rounded, &elements) in rounded.iter_mut().zip(elements) {
            if let Some(rounded) = rounded {
                rounded.buffer = self.shared.len();
                self.shared.push(vec![0.0; elements]);
            }
        }
    }
}
