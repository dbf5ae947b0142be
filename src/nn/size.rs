//! Sizes of tensors, counted without overflow: a job file can ask for any.

/// No tensor has more elements than this, so that products of two such numbers are the only ones to be careful with.
const LIMIT: u128 = 1 << 40;

/// The number of elements of a tensor of shape `dimensions`.
pub fn elements(dimensions: &[usize]) -> Result<usize, String> {
    let product = dimensions.iter().try_fold(1u128, |product, &d| product.checked_mul(d as u128));
    match product {
        Some(product) if product <= LIMIT => Ok(product as usize),
        _ => Err(format!("a tensor of shape {dimensions:?} is larger than the limit of 2^40 elements")),
    }
}

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
    fn absurd_shapes_are_refused_without_overflow() {
        assert_eq!(elements(&[3, 4, 0]), Ok(0));
        assert_eq!(elements(&[1 << 20, 1 << 20]), Ok(1 << 40));
        assert!(elements(&[1 << 20, 1 << 20, 2]).is_err());
        assert!(elements(&[usize::MAX; 5]).is_err());
        assert_eq!((multiply(&[2, 3, 7]), multiply(&[1 << 40, 1 << 40])), (42, u64::MAX));
    }
}
