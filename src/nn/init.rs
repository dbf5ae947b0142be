//! Initial parameters, drawn from the counter-based generator.

use rand_distr::{Distribution, StandardNormal, Uniform};
use serde::{Deserialize, Serialize};

use ternflock_base::rng::{Purpose, Reader, Stream};

/// The distribution of initial weights.
///
/// In job files: `"he_normal"`, or with a number `{ normal = 0.01 }`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// All zero: biases.
    Zero,
    /// All equal.
    Constant(f64),
    /// Uniform within this bound (Zaremba et al., 2014: 0.1, 0.05 and 0.04).
    Uniform(f64),
    /// Normal with this standard deviation, which Caffe calls gaussian.
    Normal(f64),
    /// Uniform within sqrt(3 / fan_in) (LeCun et al., "Efficient BackProp", 1998): the filler that Caffe calls xavier.
    LecunUniform,
    /// Uniform within sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16).
    XavierUniform,
    /// Normal with variance 2 / fan_in (He et al., 2015, equation 10).
    HeNormal,
}

impl Init {
    /// Refuses a number that no weight could have.
    pub fn check(self) -> Result<(), String> {
        let (name, number, least) = match self {
            Init::Constant(value) => ("constant", value, -f64::from(f32::MAX)),
            Init::Uniform(bound) => ("uniform", bound, 0.0),
            Init::Normal(deviation) => ("normal", deviation, 0.0),
            _ => return Ok(()),
        };
        if (least..=f64::from(f32::MAX)).contains(&number) {
            return Ok(());
        }
        Err(format!("init {name} = {number} must lie between {least} and {}", f32::MAX))
    }
}

/// The number of inputs that each output of a tensor sums over, and the number of outputs that each input
/// feeds; both at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fan {
    /// Inputs per output.
    pub inputs: usize,
    /// Outputs per input.
    pub outputs: usize,
}

/// Fills `values` with the initial values of parameter number `tensor` of a network: a pure function of `seed`.
pub fn initialise(init: Init, fan: Fan, seed: u64, tensor: u16, values: &mut [f32]) {
    let stream = Stream { seed, purpose: Purpose::Initialise, step: 0, subject: 0, tensor };
    let mut reader = Reader::new(stream);
    let (fan_in, fan_out) = (fan.inputs as f32, fan.outputs as f32);
    match init {
        Init::Zero => values.fill(0.0),
        Init::Constant(value) => values.fill(value as f32),
        Init::Uniform(bound) => uniform(bound as f32, &mut reader, values),
        Init::Normal(deviation) => normal(deviation as f32, &mut reader, values),
        Init::LecunUniform => uniform((3.0 / fan_in).sqrt(), &mut reader, values),
        Init::XavierUniform => uniform((6.0 / (fan_in + fan_out)).sqrt(), &mut reader, values),
        Init::HeNormal => normal((2.0 / fan_in).sqrt(), &mut reader, values),
    }
}

fn normal(deviation: f32, reader: &mut Reader, values: &mut [f32]) {
    values.fill_with(|| {
        let normal: f32 = StandardNormal.sample(reader);
        deviation * normal
    });
}

fn uniform(bound: f32, reader: &mut Reader, values: &mut [f32]) {
    let distribution = Uniform::new_inclusive(-bound, bound)
        .expect("the bound was checked, or comes from a fan of at least 1");
    values.fill_with(|| distribution.sample(reader));
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAN_IN: usize = 50;
    const FAN_OUT: usize = 150;

    fn drawn(init: Init, seed: u64, tensor: u16) -> Vec<f32> {
        let mut values = vec![0.0; 20_000];
        initialise(init, Fan { inputs: FAN_IN, outputs: FAN_OUT }, seed, tensor, &mut values);
        values
    }

    /// The mean and variance of 20,000 draws are within 5 standard errors of the specified values.
    #[test]
    fn moments_are_the_published_ones() {
        let cases = [
            (Init::LecunUniform, 1.0 / FAN_IN as f64, 9.0 / 5.0),
            (Init::XavierUniform, 2.0 / (FAN_IN + FAN_OUT) as f64, 9.0 / 5.0),
            (Init::HeNormal, 2.0 / FAN_IN as f64, 3.0),
            (Init::Uniform(0.25), 0.0625 / 3.0, 9.0 / 5.0),
            (Init::Normal(0.01), 1e-4, 3.0),
        ];
        for (init, variance, kurtosis) in cases {
            let values = drawn(init, 1, 0);
            let n = values.len() as f64;
            let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
            let second = values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>() / n;
            assert!(mean.abs() < 5.0 * (variance / n).sqrt(), "{init:?}: mean {mean}");
            let error = variance * ((kurtosis - 1.0) / n).sqrt();
            assert!((second - variance).abs() < 5.0 * error, "{init:?}: variance {second}, not {variance}");
        }
    }

    #[test]
    fn a_seed_and_a_tensor_decide_the_values() {
        assert_eq!(drawn(Init::HeNormal, 1, 0), drawn(Init::HeNormal, 1, 0));
        assert_ne!(drawn(Init::HeNormal, 1, 0), drawn(Init::HeNormal, 2, 0));
        assert_ne!(drawn(Init::HeNormal, 1, 0), drawn(Init::HeNormal, 1, 1));
    }

    #[test]
    fn constants_are_constant() {
        assert!(drawn(Init::Constant(0.1), 1, 0).iter().all(|&value| value == 0.1));
        assert!(drawn(Init::Uniform(0.0), 1, 0).iter().all(|&value| value == 0.0));
    }

    #[test]
    fn numbers_that_no_weight_could_have_are_refused() {
        for init in [Init::Uniform(-0.1), Init::Normal(f64::NAN), Init::Constant(1e39), Init::Normal(1e39)] {
            assert!(init.check().is_err(), "{init:?}");
        }
        for init in [Init::HeNormal, Init::Uniform(0.0), Init::Constant(-1.0)] {
            assert_eq!(init.check(), Ok(()));
        }
    }
}
