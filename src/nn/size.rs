//! Sizes and multiply-adds, counted without overflow: a job file can ask for any size.

pub use ternflock_tensor::elements;

/// The maximum number of multiply-adds of a layer, so that the sum over a network does not overflow.
pub const MOST_MULTIPLY_ADDS: u64 = 1 << 46;

/// The product of `factors`, or the maximum of the type if it overflows.
pub fn multiply(factors: &[usize]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(factor as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_do_not_overflow() {
        assert_eq!((multiply(&[2, 3, 7]), multiply(&[1 << 40, 1 << 40])), (42, u64::MAX));
    }
}
