//! The program with a loss of its own: `task.loss = "quantile-90"`. A network trained with it predicts the
//! value that is exceeded in one case out of ten.
//!
//! Sample runs:
//!   cargo run --release --example own_loss -- train own.toml
//!   mpirun -n 2 target/release/examples/own_loss train own.toml
//!
//! where own.toml is a job whose targets are values, with
//!   [task]
//!   loss = "quantile-90"

use std::process::ExitCode;

use ternflock::error::Result;
use ternflock::job::TaskKind;
use ternflock::nn::loss::of_differences;
use ternflock::nn::{Loss, Tally, Targets};
use ternflock::train::register_loss;

/// The quantile loss: q times the error where the output is too small, 1 - q times the error where it is too large; the mean
/// over outputs.
#[derive(Clone, Copy, Debug)]
pub struct Quantile {
    /// q.
    quantile: f32,
    name: &'static str,
}

impl Loss for Quantile {
    fn name(&self) -> &'static str {
        self.name
    }

    fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Tally {
        let below = self.quantile;
        // The difference is output minus target.
        let slope = move |d: f32| if d < 0.0 { -below } else { 1.0 - below };
        let loss = move |d: f64| d * if d < 0.0 { -f64::from(below) } else { 1.0 - f64::from(below) };
        of_differences(outputs, targets, weight, gradient, loss, slope)
    }
}

/// Makes the loss known to jobs and checkpoints.
pub fn register() -> Result<()> {
    let loss = Quantile { quantile: 0.9, name: "quantile-90" };
    register_loss(&[TaskKind::Regression, TaskKind::Forecast], loss)
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
