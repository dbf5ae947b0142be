//! The program with a layer of its own: `type = "softsign"`, y = x / (s + |x|).
//!
//! Sample runs:
//!   cargo run --release --example own_layer -- train own.toml
//!   cargo run --release --example own_layer -- eval runs/own/checkpoints/best.h5
//!   mpirun -n 2 target/release/examples/own_layer train own.toml
//!
//! where own.toml is a job with layers such as
//!   [[model.layers]]
//!   type = "softsign"
//!   s = 0.5

use std::process::ExitCode;

use serde::{Deserialize, Serialize};
use ternflock::error::Result;
use ternflock::nn::coupling::Coupling;
use ternflock::nn::declare::WithoutMatrix;
use ternflock::nn::layer::{BackwardReads, Describe, Layer};
use ternflock::nn::layers::{Elementwise, Function};
use ternflock::nn::{Execution, Shape, register_layer};
use ternflock::tensor::Buffers;

/// The options, as in job files and checkpoints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Softsign {
    /// The value of |x| at which the output is one half.
    #[serde(default = "one")]
    pub s: f32,
}

fn one() -> f32 {
    1.0
}

/// It has no weight, so there is nothing to prune or to factorise.
impl WithoutMatrix for Softsign {}

impl Describe for Softsign {
    fn output(&self, inputs: &[Shape]) -> std::result::Result<Shape, String> {
        match inputs {
            _ if !(self.s > 0.0 && self.s.is_finite()) => Err(format!("s = {} must be above 0", self.s)),
            [Shape::Tokens { .. }] => Err("takes numbers, not tokens".into()),
            [shape] => Ok(*shape),
            _ => Err(format!("takes one input, got {}", inputs.len())),
        }
    }

    /// The backward pass reads x, but not y, so the network may reuse the buffer of y.
    fn backward_reads(&self) -> BackwardReads {
        BackwardReads::INPUTS
    }

    /// If a unit of the input is removed, so is that of the output.
    fn coupling(&self, _: &[Shape]) -> std::result::Result<Coupling, String> {
        Ok(Coupling::unit_by_unit())
    }

    fn build(
        &self,
        _: &[Shape],
        _: Execution,
        _: &mut Buffers,
    ) -> std::result::Result<Box<dyn Layer>, String> {
        Ok(Box::new(Elementwise(self.clone())))
    }
}

impl Function for Softsign {
    const READS_OUTPUT: bool = false;

    #[inline(always)]
    fn value(&self, x: f32) -> f32 {
        x / (self.s + x.abs())
    }

    #[inline(always)]
    fn gradient(&self, x: f32, dy: f32) -> f32 {
        let denominator = self.s + x.abs();
        dy * self.s / (denominator * denominator)
    }
}

/// Makes the layer known to jobs and checkpoints.
pub fn register() -> Result<()> {
    register_layer::<Softsign>("softsign")
}

fn main() -> ExitCode {
    match register() {
        Ok(()) => ternflock::cli::main(),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests;
