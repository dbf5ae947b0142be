//! Traffic, exact or bounded.

use std::iter::Sum;

/// Bytes that a rank sends in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bytes {
    /// Exactly this number, whatever the gradients are.
    Exact(u64),
    /// At most this number: the exact one depends on the gradients.
    AtMost(u64),
}

impl Bytes {
    /// The number, exact or not.
    pub fn bound(self) -> u64 {
        let (Bytes::Exact(bytes) | Bytes::AtMost(bytes)) = self;
        bytes
    }
}

impl Sum for Bytes {
    fn sum<I: Iterator<Item = Bytes>>(all: I) -> Bytes {
        all.fold(Bytes::Exact(0), |sum, bytes| match (sum, bytes) {
            (Bytes::Exact(sum), Bytes::Exact(bytes)) => Bytes::Exact(sum + bytes),
            (sum, bytes) => Bytes::AtMost(sum.bound() + bytes.bound()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_is_exact_if_all_of_it_is() {
        let sum = |bytes: &[Bytes]| bytes.iter().copied().sum::<Bytes>();
        assert_eq!(sum(&[Bytes::Exact(3), Bytes::Exact(4)]), Bytes::Exact(7));
        assert_eq!(sum(&[Bytes::AtMost(3), Bytes::Exact(4)]), Bytes::AtMost(7));
        assert_eq!(sum(&[]), Bytes::Exact(0));
    }
}
