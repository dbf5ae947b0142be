//! The last step of a sequence: converts `[T, N, D]` to vectors `[N, D]`.

use serde::{Deserialize, Serialize};

use super::{Example, Examples, SEQUENCE, single_sequence};
use crate::coupling::Coupling;
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::Buffers;

/// The last step of each sequence: of a recurrent layer, the state after the whole sequence. (A layer that reads
/// backwards ends at the first step; after it, use [`super::GlobalAvgPool1d`].)
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastStep {}

impl Examples for LastStep {
    const EXAMPLES: &'static [Example] =
        &[Example { table: r#"{"type": "last_step"}"#, inputs: &[SEQUENCE] }];
}

impl WithoutMatrix for LastStep {}

impl Describe for LastStep {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        let (_, features) = single_sequence(inputs)?;
        Ok(Shape::Vector { features })
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        single_sequence(inputs)?;
        Ok(Box::new(Last))
    }
}

struct Last;

impl Layer for Last {
    fn forward(&mut self, pass: Forward<'_>) {
        let x = pass.x.get(0);
        pass.y.copy_from_slice(&x[x.len() - pass.y.len()..]);
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        let Some(dx) = pass.dx.get(0) else { return };
        let (before, last) = dx.split_at_mut(dx.len() - pass.dy.len());
        before.fill(0.0);
        last.copy_from_slice(pass.dy);
    }
}
