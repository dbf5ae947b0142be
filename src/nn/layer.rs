//! The interface of layers, between the graph and the layers.

use super::coupling::Coupling;
use super::declare::Declare;
pub(super) use super::tensors::Place;
pub use super::tensors::{BIAS, ParameterSpec, RECURRENT, TensorRole, Tensors, TensorsMut, WEIGHT};
use super::{Execution, Shape};
use ternflock_tensor::Buffers;

/// The weight of another layer that a layer reads as its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Tied<'a> {
    /// The name of the layer that owns it.
    pub layer: &'a str,
    /// The tensor for the layer that reads it. The weight must have this shape.
    pub spec: ParameterSpec,
}

/// A layer's description, for given shapes of its inputs. The message of an `Err` describes the mismatch with
/// both shapes; the graph adds the layer's name.
pub trait Describe: Declare {
    /// The shape of one output sample.
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String>;

    /// The parameters that it needs, in a fixed order; none by default.
    fn parameters(&self, _inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        Ok(Vec::new())
    }

    /// The layer whose [`WEIGHT`] this one shares. In a pass, the tensor has the name that `spec` gives it,
    /// and its gradient is the sum over all layers that share it.
    fn tied(&self, _inputs: &[Shape]) -> Result<Option<Tied<'_>>, String> {
        Ok(None)
    }

    /// The tensors that are not trained, such as batch norm's running mean and variance, in a fixed order;
    /// none by default. Their initial values are constants. Checkpoints store them with the parameters. They
    /// are averaged over the ranks for checkpoints and for evaluation, but are not part of the exchange or
    /// the optimizer.
    fn statistics(&self, _inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        Ok(Vec::new())
    }

    /// How the units of its output relate to those of its inputs.
    fn coupling(&self, inputs: &[Shape]) -> Result<Coupling, String>;

    /// Refuses to train on `batch` samples at a time. By default, any number is allowed.
    fn fits_batch(&self, _inputs: &[Shape], _batch: usize) -> Result<(), String> {
        Ok(())
    }

    /// Which values of the forward pass the backward pass reads; by default, all of them. Values that no layer
    /// reads in its backward pass share buffers, and are empty there.
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads { inputs: true, output: true, rounded: false }
    }

    /// Multiply-adds of the forward pass per sample; 0 by default.
    fn multiply_adds(&self, _inputs: &[Shape]) -> Result<u64, String> {
        Ok(0)
    }

    /// The layer for batches and a precision of products as in `execution`. It takes all memory that grows with
    /// its options, its inputs or the batch from `buffers`. These may only count; the layer is then dropped
    /// before any pass.
    fn build(
        &self,
        inputs: &[Shape],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String>;
}

/// Which values of the forward pass a backward pass reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackwardReads {
    /// [`Backward::x`].
    pub inputs: bool,
    /// [`Backward::y`].
    pub output: bool,
    /// Whether it is enough to keep them as bf16 in a network whose products have bf16 operands. They are then rounded
    /// as soon as they have been computed, for all passes.
    pub rounded: bool,
}

impl BackwardReads {
    /// The inputs only.
    pub const INPUTS: BackwardReads = BackwardReads { inputs: true, output: false, rounded: false };
    /// The inputs only; bf16 is enough.
    pub const ROUNDED_INPUTS: BackwardReads = BackwardReads { rounded: true, ..BackwardReads::INPUTS };
    /// The output only.
    pub const OUTPUT: BackwardReads = BackwardReads { inputs: false, output: true, rounded: false };
    /// The output only; bf16 is enough.
    pub const ROUNDED_OUTPUT: BackwardReads = BackwardReads { rounded: true, ..BackwardReads::OUTPUT };
    /// Neither.
    pub const NOTHING: BackwardReads = BackwardReads { inputs: false, output: false, rounded: true };
}

/// Training or evaluation, for dropout and batch norm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A training step: backward will follow.
    Train(Draw),
    /// Evaluation: nothing is dropped, and batch norm uses its running statistics. A backward pass may
    /// follow; its gradients are those of this function.
    Evaluate,
}

/// The key of the random draws of a training step. Draws belong to samples and do not depend on the rank that
/// computes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Draw {
    /// The job's seed.
    pub seed: u64,
    /// Steps done before this one.
    pub step: u64,
    /// The position of the first sample in the global batch; the others follow it.
    pub first_sample: usize,
}

/// The arguments of a forward pass.
pub struct Forward<'a> {
    /// N.
    pub batch: usize,
    /// Whether a backward pass will follow.
    pub mode: Mode,
    /// The index of the layer in its network, which is part of the key of its random numbers.
    pub layer: usize,
    /// The layer's parameters, with the names of [`Describe::parameters`].
    pub parameters: Tensors<'a>,
    /// Its tensors that are not trained, with the names of [`Describe::statistics`].
    pub statistics: TensorsMut<'a>,
    /// The inputs.
    pub x: Inputs<'a>,
    /// The output to write.
    pub y: &'a mut [f32],
}

/// The arguments of a backward pass.
pub struct Backward<'a> {
    /// N.
    pub batch: usize,
    /// The layer's parameters.
    pub parameters: Tensors<'a>,
    /// Their gradients, to overwrite, or to add to if [`TensorsMut::shared`] is true.
    pub gradients: TensorsMut<'a>,
    /// The inputs of the forward pass. The backward pass may read them only if [`Describe::backward_reads`] declares
    /// it.
    pub x: Inputs<'a>,
    /// The output of the forward pass; empty unless [`Describe::backward_reads`] declares that it is read.
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

    /// The state that it carries from batch to batch, which starts at zero; none by default. A layer that has one must
    /// also implement [`Layer::rewind`].
    fn recurrent_state(&mut self) -> Vec<RecurrentState<'_>> {
        Vec::new()
    }

    /// Sets [`Layer::recurrent_state`] back to what it was before the last forward pass, of `batch` samples, so that the
    /// pass can be repeated.
    fn rewind(&mut self, _batch: usize) {}
}

/// A state that a recurrent layer carries from one batch to the next, with one row per sample: `[N, width]`,
/// and unused rows up to the largest batch.
pub struct RecurrentState<'a> {
    /// "h" or "c".
    pub name: &'static str,
    /// Elements per sample.
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
    ///
    /// # Panics
    /// In a backward pass, if the layer does not declare that it reads inputs ([`Describe::backward_reads`]).
    pub fn get(&self, index: usize) -> &'a [f32] {
        let source = self.sources[index];
        &self.buffers[source][..self.elements[source]]
    }

    /// The number of elements of input `index`, even if the input cannot be read.
    pub fn elements(&self, index: usize) -> usize {
        self.elements[self.sources[index]]
    }
}

/// The gradients with respect to the inputs.
pub struct InputGradients<'a> {
    pub(super) buffers: &'a mut [Vec<f32>],
    pub(super) sources: &'a [usize],
    pub(super) elements: &'a [usize],
    pub(super) wanted: &'a [bool],
}

impl InputGradients<'_> {
    /// The gradient with respect to input `index`, or `None` if it is not needed: the data has no gradient,
    /// and that of the first convolution would be the most expensive of the network.
    pub fn get(&mut self, index: usize) -> Option<&mut [f32]> {
        let source = self.sources[index];
        self.wanted[source].then(|| &mut self.buffers[source][..self.elements[source]])
    }
}
