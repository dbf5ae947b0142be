//! Sum of inputs of one shape: where a shortcut joins its branch again (He et al., 2016, figure 2).

use serde::{Deserialize, Serialize};

use super::tokens_instead;
use crate::nn::Shape;
use crate::nn::layer::{Backward, Describe, Forward, Layer};

/// Sum of two or more inputs, element by element.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Add {}

impl Describe for Add {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, String> {
        match inputs {
            [] | [_] => Err(format!("adds two or more inputs, got {}", inputs.len())),
            [tokens @ Shape::Tokens { .. }, ..] => {
                Err(format!("adds numbers, got {}", tokens_instead(*tokens)))
            }
            [first, rest @ ..] => match rest.iter().find(|shape| *shape != first) {
                None => Ok(*first),
                Some(other) => Err(format!("adds inputs of one shape, got {first} and {other}")),
            },
        }
    }

    fn build(&self, inputs: &[Shape], _: usize) -> Result<Box<dyn Layer>, String> {
        Ok(Box::new(Sum { inputs: inputs.len() }))
    }
}

struct Sum {
    inputs: usize,
}

impl Layer for Sum {
    fn forward(&mut self, pass: Forward<'_>) {
        pass.y.copy_from_slice(pass.x.get(0));
        for index in 1..self.inputs {
            pass.y.iter_mut().zip(pass.x.get(index)).for_each(|(sum, x)| *sum += x);
        }
    }

    fn backward(&mut self, mut pass: Backward<'_>) {
        for index in 0..self.inputs {
            if let Some(dx) = pass.dx.get(index) {
                dx.copy_from_slice(pass.dy);
            }
        }
    }
}
