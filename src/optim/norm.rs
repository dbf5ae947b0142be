//! Norms of long vectors, in double precision. The order of summation does not depend on the machine or on
//! the number of threads.

use ternflock_tensor::dot;

/// The sum of the squares of `values`.
pub(super) fn sum_of_squares(values: &[f32]) -> f64 {
    dot(values, values)
}

/// The factor that reduces gradients with the global norm `norm` to at most `limit`, as in PyTorch's
/// `clip_grad_norm_`.
pub(super) fn clip_factor(norm: f64, limit: f64) -> f32 {
    (limit / (norm + 1e-6)).min(1.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_counts_once() {
        for count in 0..50 {
            let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
            let expected: i32 = (0..count).map(|i| i * i).sum();
            assert_eq!(sum_of_squares(&values), f64::from(expected));
        }
        assert_eq!(sum_of_squares(&[f32::MAX; 3]), 3.0 * f64::from(f32::MAX) * f64::from(f32::MAX));
    }

    #[test]
    fn only_a_norm_above_the_limit_is_clipped() {
        assert_eq!(clip_factor(0.0, 5.0), 1.0);
        assert_eq!(clip_factor(4.9, 5.0), 1.0);
        assert_eq!(clip_factor(10.0, 5.0), (5.0 / 10.000001) as f32);
    }
}
