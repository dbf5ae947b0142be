//! The program with a source of data of its own: `dataset = "waves"`. A sample is a sine wave with noise, `[T, 1]`, and
//! its target is the frequency. A simulation code or a file format of your own can take the place of the formula.
//!
//! Sample runs:
//!   cargo run --release --example own_data -- data info own.toml
//!   cargo run --release --example own_data -- train own.toml
//!   mpirun -n 2 target/release/examples/own_data train own.toml
//!
//! where own.toml is a job with
//!   [data]
//!   dataset = "waves"
//!   options = { samples = 2000, steps = 64, noise = 0.1 }

use std::f32::consts::TAU;
use std::process::ExitCode;
use std::sync::Arc;

use serde::Deserialize;
use ternflock::data::{Preparation, SampleRequest, SampleSource, Samples, Sources, register_dataset};
use ternflock::error::{Error, Result};
use ternflock::nn::{Shape, TargetKind, Targets};

/// The keys of `data.options`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waves {
    /// N.
    samples: usize,
    /// T.
    steps: usize,
    /// The largest absolute value of the noise.
    #[serde(default)]
    noise: f32,
}

impl SampleSource for Waves {
    fn open(&self, _: &SampleRequest<'_>) -> Result<Sources> {
        if self.samples < 10 || !(2..=1 << 20).contains(&self.steps) || !self.noise.is_finite() {
            let message = "needs at least 10 samples, 2 to 2^20 steps and a finite noise";
            return Err(Error::Usage(format!("data.options of dataset \"waves\": {message}")));
        }
        // The program splits off the validation and the test set, as the job says.
        let preparation = Preparation::default();
        Ok(Sources { train: Arc::new(self.clone()), validation: None, test: None, preparation })
    }
}

impl Samples for Waves {
    fn input(&self) -> Shape {
        Shape::Sequence { steps: self.steps, features: 1 }
    }

    fn target(&self) -> TargetKind {
        TargetKind::Values(1)
    }

    fn len(&self) -> usize {
        self.samples
    }

    /// A sample depends on its number only, so all ranks and all runs see the same one.
    fn read(&self, numbers: &[usize], inputs: &mut [f32], targets: &mut Targets) -> Result<()> {
        targets.labels.clear();
        targets.values.clear();
        targets.width = 1;
        for (&number, input) in numbers.iter().zip(inputs.chunks_exact_mut(self.steps)) {
            let [of_frequency, of_phase] = [0.618_034, 0.754_878].map(|factor| share(number as f64 * factor));
            let (frequency, phase) = (1.0 + 7.0 * of_frequency, TAU * of_phase);
            for (step, value) in input.iter_mut().enumerate() {
                let noise = 2.0 * share((number * self.steps + step) as f64 * 0.569_84) - 1.0;
                let turns = frequency * step as f32 / self.steps as f32;
                *value = (TAU * turns + phase).sin() + self.noise * noise;
            }
            targets.values.push(frequency);
        }
        Ok(())
    }

    fn labels(&self) -> Option<Vec<usize>> {
        None
    }

    fn hash(&self) -> u64 {
        let parts = [self.samples as u64, self.steps as u64, self.noise.to_bits().into()];
        parts.into_iter().fold(0, |hash, part| (hash ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// The part of `number` after the point: the multiples of an irrational number fill 0..1 evenly.
fn share(number: f64) -> f32 {
    number.fract() as f32
}

/// Makes the dataset known to jobs and checkpoints.
pub fn register() -> Result<()> {
    register_dataset::<Waves>("waves")
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
