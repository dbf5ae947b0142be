//! What every layer does: the wall between the graph and the layers.

use super::Shape;
use super::coupling::Coupling;
use super::declare::Declare;
pub(super) use super::tensors::Place;
pub use super::tensors::{BIAS, ParameterSpec, RECURRENT, TensorRole, Tensors, TensorsMut, WEIGHT};
use ternflock_tensor::Buffers;

/// The weight of another layer that a layer reads as its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Tied<'a> {
    /// The layer that has it, by name.
    pub layer: &'a str,
    /// What the weight is to the layer that reads it: it must have this shape.
    pub spec: ParameterSpec,
}

/// A layer's description: what it makes of its inputs' shapes. A message of an `Err` says what does not fit, with both
/// shapes; the graph adds the layer's name.
pub trait Describe: Declare {
    /// The shape of one output sample.
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// The parameters it needs, in a fixed order; none unless a layer says otherwise.
    fn parameters(&self, _inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        Ok(Vec::new())
    }

    /// The layer whose [`WEIGHT`] this one reads as its own. In a pass the tensor has the name that `spec` gives it, and
    /// its gradient is the sum over all layers that read it.
    fn tied(&self, _inputs: &[Shape]) -> Result<Option<Tied<'_>>, String> {
        Ok(None)
    }

    /// Tensors that it keeps but that no gradient trains, such as batch norm's running mean and variance, in a fixed
    /// order; none unless a layer says otherwise. Each begins as a constant. They stand in the checkpoint beside the
    /// parameters, and are averaged over ranks for it and for evaluation; neither the exchange nor the optimizer sees them.
    fn statistics(&self, _inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        Ok(Vec::new())
    }

    /// How the units of its output stand to those of its inputs.
    fn coupling(&self, inputs: &[Shape]) -> Result<Coupling, String>;

    /// Refuses to train on `batch` samples at a time; any number of them is welcome unless a layer says otherwise.
    fn fits_batch(&self, _inputs: &[Shape], _batch: usize) -> Result<(), String> {
        Ok(())
    }

    /// Multiply-adds of the forward pass a sample; none unless a layer says otherwise.
    fn multiply_adds(&self, _inputs: &[Shape]) -> Result<u64, String> {
        Ok(0)
    }

    /// The layer for batches of at most `batch` samples. It takes all that grows with its options, its inputs or the batch
    /// from `buffers`: they may be there to be counted only, and the layer is then dropped before any pass.
    fn build(&self, inputs: &[Shape], batch: usize, buffers: &mut Buffers) -> Result<Box<dyn Layer>, String>;
}

/// Training or evaluation: what dropout and batch norm ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A training step: backward will follow.
    Train(Draw),
    /// Evaluation: nothing is dropped, and batch norm takes its running statistics. A backward pass may follow, whose gradients
    /// are those of this function.
    Evaluate,
}

/// Which draws a training step takes from the generator: those of its samples, whichever rank computes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The job's seed.
    pub seed: u64,
    /// Steps done before this one.
    pub step: u64,
    /// The place of the first sample in the global batch; the others follow it.
    pub first_sample: usize,
}

/// What a forward pass sees.
pub struct Forward<'a> {
    /// N.
    pub batch: usize,
    /// Whether a backward pass will follow.
    pub mode: Mode,
    /// The number of the layer in its network: part of the key of its random numbers.
    pub layer: usize,
    /// The layer's parameters, with the names of [`Describe::parameters`].
    pub parameters: Tensors<'a>,
    /// What it keeps untrained, with the names of [`Describe::statistics`].
    pub statistics: TensorsMut<'a>,
    /// The inputs.
    pub x: Inputs<'a>,
    /// The output to write.
    pub y: &'a mut [f32],
}

/// What a backward pass sees.
pub struct Backward<'a> {
    /// N.
    pub batch: usize,
    /// The layer's parameters.
    pub parameters: Tensors<'a>,
    /// Their gradients, to overwrite; where [`TensorsMut::shared`] says so, to add to.
    pub gradients: TensorsMut<'a>,
    /// The inputs of the forward pass.
    pub x: Inputs<'a>,
    /// Its output.
    pub y: &'a [f32],
    /// The gradient with respect to the output.
    pub dy: &'a [f32],
    /// The gradients with respect to the inputs, to overwrite.
    pub dx: InputGradients<'a>,
}

/// A layer that can run. Buffers are taken when it is built; a pass allocates nothing.
pub trait Layer: Send {
    /// Computes `y` from `x`.
    fn forward(&mut self, pass: Forward<'_>);

    /// Overwrites the parameters' gradients and `dx` from `dy`; always called after `forward` on the same batch.
    fn backward(&mut self, pass: Backward<'_>);

    /// What it carries from each batch to the next, beginning at zero; none unless a layer says otherwise.
    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        Vec::new()
    }
}

/// A state that a recurrent layer carries from one batch to the next, a row a sample: `[N, width]`, and rows without
/// meaning up to the largest batch.
pub struct RecurrentState<'a> {
    /// "h" or "c".
    pub name: &'static str,
    /// Numbers a sample.
    pub width: usize,
    /// The rows.
    pub values: &'a mut [f32],
}

/// The outputs of the layers that feed this one.
#[derive(Clone, Copy)]
pub struct Inputs<'a> {
    pub(super) buffers: &'a [Vec<f32>],
    pub(super) sources: &'a [usize],
    pub(super) elements: &'a [usize],
}

impl<'a> Inputs<'a> {
    /// Input `index`, cut to the batch.
    pub fn get(&self, index: usize) -> &'a [f32] {
        let source = self.sources[index];
        &self.buffers[source][..self.elements[source]]
    }
}

/// Where the gradients with respect to the inputs go.
pub struct InputGradients<'a> {
    pub(super) buffers: &'a mut [Vec<f32>],
    pub(super) sources: &'a [usize],
    pub(super) elements: &'a [usize],
    pub(super) wanted: &'a [bool],
}

impl InputGradients<'_> {
    /// The gradient with respect to input `index`, or none where nobody needs it: the data has no use for one, and the
    /// first convolution's is the dearest of the network.
    pub fn get(&mut self, index: usize) -> Option<&mut [f32]> {
        let source = self.sources[index];
        self.wanted[source].then(|| &mut self.buffers[source][..self.elements[source]])
    }
}
