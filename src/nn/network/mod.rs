//! A graph with parameters and buffers, ready to run forward and backward.

mod build;
mod non_finite;
#[cfg(test)]
mod tests;
mod values;

pub use non_finite::non_finite;

use std::time::Instant;

use super::Execution;
use super::clock::Clock;
use super::graph::Graph;
use super::layer::{
    Backward, Forward, InputGradients, Inputs, Layer, Mode, Place, RecurrentState, Tensors, TensorsMut,
};
use super::parameters::Parameters;
use ternflock_tensor::bf16::Precision;
use ternflock_tensor::{add_scaled, for_each_row, rows, rows_mut, within};
use values::Values;

/// A network that can run batches of up to [`Network::capacity`] samples. All buffers are allocated here; a step
/// allocates nothing.
pub struct Network {
    graph: Graph,
    /// All parameters and their gradients.
    pub parameters: Parameters,
    layers: Vec<Box<dyn Layer>>,
    /// By layer: the places of the tensors that it reads, its own and then the one that it is tied to.
    places: Vec<Vec<Place>>,
    /// By layer and tensor: whether a later layer shares it.
    shared: Vec<Vec<bool>>,
    statistics_places: Vec<Vec<Place>>,
    /// By layer: the place at which its tensors, and those of all later layers, begin.
    starts: Vec<usize>,
    execution: Execution,
    /// The outputs and their gradients.
    values: Values,
    wanted: Vec<bool>,
    /// Whether the current backward pass has already written a gradient for a source.
    written: Vec<bool>,
    /// Elements of each source for the current batch.
    elements: Vec<usize>,
    /// The batch and mode of the last forward pass.
    last: Option<(usize, Mode)>,
    /// The time of each layer.
    pub clock: Clock,
}

impl Network {
    /// The structure.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The largest batch.
    pub fn capacity(&self) -> usize {
        self.execution.batch
    }

    /// The number format of the operands of matrix products and convolutions.
    pub fn precision(&self) -> Precision {
        self.execution.precision
    }

    /// Whether a backward pass computes the gradient of source `number`: 0 is the network's input, i + 1 the output of layer i.
    pub fn wants_gradient(&self, number: usize) -> bool {
        self.wanted[number]
    }

    /// The input of `batch` samples, to be written before [`Network::forward`]: `[C, H, W, N]`, `[N, D]`,
    /// `[T, N, D]` or `[T, N]`.
    pub fn input_mut(&mut self, batch: usize) -> &mut [f32] {
        let capacity = self.capacity();
        assert!(batch <= capacity, "a batch of {batch} in a network built for {capacity}");
        &mut self.values.outputs[0][..self.graph.input().elements() * batch]
    }

    /// Runs `batch` samples and returns the output, `[N, K]` or `[T, N, K]`. Recurrent layers continue from
    /// the state of the batch before ([`Network::recurrent_state`]).
    pub fn forward(&mut self, batch: usize, mode: Mode) -> &[f32] {
        let capacity = self.capacity();
        assert!(batch <= capacity, "a batch of {batch} in a network built for {capacity}");
        for (source, elements) in self.elements.iter_mut().enumerate() {
            *elements = self.graph.shape(source).elements() * batch;
        }
        self.last = Some((batch, mode));
        within(|| self.run(batch, mode));
        self.output()
    }

    fn run(&mut self, batch: usize, mode: Mode) {
        for i in 0..self.layers.len() {
            self.values.begin_forward(i);
            let start = Instant::now();
            self.run_layer(i, batch, mode);
            self.clock.forward(i, start);
            self.values.end_forward(i, self.graph.sources(i));
        }
    }

    /// The forward pass of layer `i`, whose inputs and output have their buffers.
    fn run_layer(&mut self, i: usize, batch: usize, mode: Mode) {
        let (before, rest) = self.values.outputs.split_at_mut(i + 1);
        self.layers[i].forward(Forward {
            batch,
            mode,
            layer: i,
            parameters: Tensors { flat: &self.parameters.values, places: &self.places[i] },
            statistics: TensorsMut {
                flat: &mut self.parameters.statistics.values,
                places: &self.statistics_places[i],
                shared: &[],
            },
            x: Inputs { buffers: before, sources: self.graph.sources(i), elements: &self.elements },
            y: &mut rest[0][..self.elements[i + 1]],
        });
        self.values.round(i, self.elements[i + 1]);
    }

    /// The output of the last forward pass: `[N, K]` or `[T, N, K]`.
    pub fn output(&self) -> &[f32] {
        let last = self.layers.len();
        &self.values.outputs[last][..self.elements[last]]
    }

    /// The output of the last forward pass, and the buffer for the gradient with respect to it. The caller must
    /// write this gradient before each backward pass.
    pub fn output_and_gradient(&mut self) -> (&[f32], &mut [f32]) {
        let elements = self.elements[self.layers.len()];
        let (output, gradient) = self.values.output_and_gradient();
        (&output[..elements], &mut gradient[..elements])
    }

    /// Computes all parameters' gradients for the last forward pass, from the gradient in
    /// [`Network::output_and_gradient`].
    pub fn backward(&mut self, batch: usize) {
        self.backward_in_parts(batch, &[0], &mut |_| ());
    }

    /// Like [`Network::backward`], but passes on gradients as they become final, those of the last layers
    /// first. `parts` are the first layers of the parts, descending to 0; a part ends where the one before it
    /// begins. `done` is called with each part's slice of `parameters.gradients`.
    ///
    /// # Panics
    /// If `parts` do not descend to 0.
    pub fn backward_in_parts<'a>(
        &'a mut self,
        batch: usize,
        parts: &[usize],
        done: &mut dyn FnMut(&'a mut [f32]),
    ) {
        assert!(parts.last() == Some(&0) && parts.is_sorted_by(|later, earlier| later > earlier));
        let Network { graph, parameters, starts, values: buffers, wanted, written, elements, clock, .. } =
            self;
        let (values, mut unfinished) = (&parameters.values[..], &mut parameters.gradients[..]);
        let mut parts = parts.iter().peekable();
        written.fill(false);
        buffers.begin_backward();
        for i in (0..self.layers.len()).rev() {
            let start = Instant::now();
            if wanted[i + 1] {
                let (sources, elements, places) = (graph.sources(i), &elements[..], &self.places[i][..]);
                let wanted_sources = || sources.iter().copied().filter(|&source| wanted[source]);
                wanted_sources().for_each(|source| buffers.begin_gradient(source, written[source]));
                buffers.begin_layer(i, sources, elements);
                let Values { plan, outputs, gradients, .. } = &mut *buffers;
                // Values that the layer does not read cannot be read, even where there is a buffer.
                let reads = plan.reads[i];
                let y = if reads.output { &outputs[i + 1][..elements[i + 1]] } else { &[] };
                let (before, rest) = gradients.split_at_mut(i + 1);
                self.layers[i].backward(Backward {
                    batch,
                    parameters: Tensors { flat: values, places },
                    gradients: TensorsMut { flat: unfinished, places, shared: &self.shared[i] },
                    x: Inputs { buffers: if reads.inputs { outputs } else { &[] }, sources, elements },
                    y,
                    dy: &rest[0][..elements[i + 1]],
                    dx: InputGradients { buffers: before, sources, elements, wanted },
                });
                for source in wanted_sources() {
                    // If a later layer has written a gradient for the source: add this one to it.
                    if std::mem::replace(&mut written[source], true) {
                        let Values { gradients, earlier, .. } = &mut *buffers;
                        let sums = &mut earlier[source][..elements[source]];
                        let both =
                            (rows_mut(sums, 1 << 14), rows(&gradients[source][..elements[source]], 1 << 14));
                        for_each_row(both, |_, (sums, own)| add_scaled(1.0, own, sums));
                        buffers.end_sum(source);
                    }
                }
                buffers.end_layer(i, sources);
            }
            clock.backward(i, start);
            if parts.next_if_eq(&&i).is_some() {
                let (rest, finished) = unfinished.split_at_mut(starts[i]);
                unfinished = rest;
                done(finished);
            }
        }
    }

    /// The state that the layers carry from batch to batch, in the order of the layers: the name of the layer
    /// and its state. All states are zero at the start of an epoch.
    pub fn recurrent_state(&mut self) -> Vec<(&str, RecurrentState<'_>)> {
        let named = self.graph.layers().iter().zip(&mut self.layers);
        named
            .flat_map(|(node, layer)| {
                layer.recurrent_state().into_iter().map(|state| (&node.name[..], state))
            })
            .collect()
    }
}
