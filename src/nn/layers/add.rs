//! Sum of inputs of the same shape, where a shortcut rejoins its branch (He et al., 2016, figure 2).

use serde::{Deserialize, Serialize};

use super::{Example, Examples, IMAGE, tokens_instead};
use crate::coupling::{Coupling, Units};
use crate::declare::WithoutMatrix;
use crate::layer::{Backward, BackwardReads, Describe, Forward, Layer};
use crate::{Execution, Shape};
use ternflock_tensor::{Buffers, add_scaled, for_each_row, rows, rows_mut, vectorise};

/// Sum of two or more inputs, element by element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {}

impl Examples for Add {
    const EXAMPLES: &'static [Example] = &[Example { table: r#"{"type": "add"}"#, inputs: &[IMAGE, IMAGE] }];
}

impl WithoutMatrix for Add {}

impl Describe for Add {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [] | [_] => Err(format!("adds two or more inputs, got {}", inputs.len())),
            [tokens @ Shape::Tokens { .. }, ..] => {
                Err(format!("adds numbers, got {}", tokens_instead(*tokens)))
            }
            [first, rest @ ..] => match rest.iter().find(|shape| *shape != first) {
                None => Ok(*first),
                Some(other) => Err(format!("adds inputs of the same shape, got {first} and {other}")),
            },
        }
    }

    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::NOTHING
    }

    fn coupling(&self, _: &[Shape]) -> Result<Coupling, String> {
        Ok(Coupling::new(Units::Sum))
    }

    fn build(&self, inputs: &[Shape], _: Execution, _: &mut Buffers) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Sum { inputs: inputs.len() }))
    }
}

struct Sum {
    inputs: usize,
}

/// Number of elements that a thread processes at a time.
const ROW: usize = 16 * 1024;

impl Layer for Sum {
    fn forward(&mut self, pass: Forward<'_>) {
        let first = pass.x.get(0);
        if self.inputs == 2 {
            let all = (rows_mut(pass.y, ROW), rows(first, ROW), rows(pass.x.get(1), ROW));
            return for_each_row(all, |_, (y, a, b)| {
                vectorise(
                    #[inline(always)]
                    || y.iter_mut().zip(a).zip(b).for_each(|((y, a), b)| *y = a + b),
                );
            });
        }
        pass.y.copy_from_slice(first);
        for index in 1..self.inputs {
            let both = (rows_mut(pass.y, ROW), rows(pass.x.get(index), ROW));
            for_each_row(both, |_, (sum, x)| add_scaled(1.0, x, sum));
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        for index in 0..self.inputs {
            if let Some(dx) = pass.dx.get(index) {
                for_each_row((rows_mut(dx, ROW), rows(pass.dy, ROW)), |_, (dx, dy)| dx.copy_from_slice(dy));
            }
        }
    }
}
