//! The normal distribution as a table: 16 random bits choose one of 65536 values that are equally likely.

use std::f64::consts::{PI, SQRT_2};

/// Values of the table.
const VALUES: usize = 1 << 16;

/// The quantiles of the normal distribution at (i + 1/2) / 65536, ascending. Their mean is 0. Their variance
/// is about 1e-5 less than 1, because the tails end at 4.3.
pub fn normal() -> Vec<f32> {
    let mut upper = Vec::with_capacity(VALUES / 2);
    let mut x = 0.0;
    for i in VALUES / 2..VALUES {
        // Newton's method, starting from the previous quantile. It approaches from below and does not
        // overshoot.
        let tail = 1.0 - (i as f64 + 0.5) / VALUES as f64;
        for _ in 0..100 {
            let density = (-x * x / 2.0f64).exp() / (2.0 * PI).sqrt();
            let step = (libm::erfc(x / SQRT_2) / 2.0 - tail) / density;
            x += step;
            if step.abs() < 1e-12 {
                break;
            }
        }
        upper.push(x as f32);
    }
    upper.iter().rev().map(|x| -x).chain(upper.iter().copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Published quantiles (any table of the normal distribution): those at 0.84134, 0.97725 and 0.99865 are 1, 2 and 3.
    #[test]
    fn quantiles_are_those_of_the_tables() {
        let table = normal();
        assert_eq!(table.len(), VALUES);
        assert!(table.is_sorted_by(|a, b| a < b));
        for (probability, quantile) in [(0.841_344_746, 1.0), (0.977_249_868, 2.0), (0.998_650_102, 3.0)] {
            let at = (probability * VALUES as f64) as usize;
            // The distance from one value to the next is 1 / (65536 density), which is largest at 3.
            assert!((table[at] - quantile).abs() < 0.004, "{} at {probability}", table[at]);
            assert_eq!(table[at], -table[VALUES - 1 - at]);
        }
        let second = table.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / VALUES as f64;
        assert!((second - 1.0).abs() < 1e-4, "{second}");
        let fourth = table.iter().map(|&x| f64::from(x).powi(4)).sum::<f64>() / VALUES as f64;
        assert!((fourth - 3.0).abs() < 3e-3, "{fourth}");
    }
}
