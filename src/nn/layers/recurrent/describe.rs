//! What the descriptions of the recurrent layers have in common.

use super::sizes::{Options, Sizes};
use crate::coupling::{Coupling, Units};
use crate::declare::Declare;
use crate::layer::{BackwardReads, Describe, Layer, ParameterSpec};
use crate::{Execution, Shape};
use ternflock_tensor::Buffers;

/// What a recurrent layer adds to the common description.
pub(super) trait Recurrent: Declare {
    /// The options that all recurrent layers have.
    fn options(&self) -> Options;

    /// Its sizes behind `inputs`. An `Err` says which option or shape does not fit.
    fn sizes(&self, inputs: &[Shape]) -> Result<Sizes, String>;

    /// Its parameters without the basis of the recurrent weight.
    fn parameters(&self, sizes: &Sizes) -> Vec<ParameterSpec> {
        sizes.parameters(self.options().inits)
    }

    /// Multiply-adds of the forward pass per sample.
    fn multiply_adds(&self, sizes: &Sizes) -> u64 {
        sizes.multiply_adds()
    }

    /// The layer of these sizes, for passes as in `execution`.
    fn unroll(
        &self,
        sizes: Sizes,
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String>;
}

impl<L: Recurrent> Describe for L {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        Ok(self.sizes(inputs)?.output())
    }

    fn parameters(&self, inputs: &[Shape]) -> Result<Vec<ParameterSpec>, String> {
        let (sizes, [init, _]) = (self.sizes(inputs)?, self.options().inits);
        Ok(Recurrent::parameters(self, &sizes).into_iter().chain(sizes.basis(init)).collect())
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::ROUNDED_INPUTS
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::new(Units::Own))
    }

    fn multiply_adds(&self, inputs: &[Shape]) -> Result<u64, String> {
        Ok(Recurrent::multiply_adds(self, &self.sizes(inputs)?))
    }

    fn build(
        &self,
        inputs: &[Shape],
        execution: Execution,
        buffers: &mut Buffers,
    ) -> Result<Box<dyn Layer>, String> {
        self.unroll(self.sizes(inputs)?, execution, buffers)
    }
}
