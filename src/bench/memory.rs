//! Checks, before anything is allocated, whether a measurement fits into the memory of the machine.

use ternflock_collectives::planes::{BLOCK, TERNARY, width, words};

use super::codec::PLANES;
use ternflock_base::error::{Error, Result};
use ternflock_train::method::squarest;

/// Bytes of floats and of planes, for several payloads together.
fn bytes(elements: usize, floats: usize, planes: usize) -> u128 {
    let planes = words(elements.div_ceil(BLOCK), planes) as u128;
    size_of::<f32>() as u128 * floats as u128 * elements as u128 + size_of::<u64>() as u128 * planes
}

/// Bytes that measuring the codec needs during verification: the values, twice the decoded values, ternaries
/// and wider sums.
pub fn codec_bytes(elements: usize) -> u128 {
    bytes(elements, 1 + 2, PLANES + 2 * (TERNARY + PLANES + 1))
}

/// Bytes that measuring all-reduces needs on one of `world` ranks while a float32 mean is verified: the
/// values and the result, ternaries and sums, residuals and factors, a copy to sum, four floats for verification, and its values.
/// Copies inside the MPI library and messages in transit, which are as large as their contents, need less
/// than verification does.
pub fn all_reduce_bytes(elements: usize, world: usize) -> u128 {
    // PowerSGD's factors with their usual number of columns: P, and Q with its sums in double precision.
    let [rows, columns] = squarest(elements);
    let factors = size_of::<f32>() as u128 * 4 * (rows as u128 + 3 * columns as u128);
    bytes(elements, 2 + 1 + 5 + 1, 2 * (TERNARY + width(world))) + factors
}

/// Refuses to allocate more memory than is free, if that is known.
///
/// # Errors
/// [`Error::Usage`] with both sizes, in GB.
pub fn check(what: &str, needed: u128, available: Option<u128>) -> Result<()> {
    match available {
        Some(available) if needed > available => Err(Error::Usage(format!(
            "--elements: {what} need {:.1} GB of memory, but {:.1} GB are free",
            needed as f64 / 1e9,
            available as f64 / 1e9
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MOST_ELEMENTS;

    #[test]
    fn bytes_are_those_of_floats_and_planes() {
        assert_eq!(bytes(512, 1, 2), 4 * 512 + 2 * 512 / 8);
        assert_eq!(codec_bytes(512), 3 * 2048 + (4 + 4 + 10) * 64);
        assert_eq!(all_reduce_bytes(512, 1), 9 * 2048 + 2 * (2 + 2) * 64 + 16 * (16 + 3 * 32));
        assert!(all_reduce_bytes(MOST_ELEMENTS, 1000) > 36 * MOST_ELEMENTS as u128);
    }

    #[test]
    fn what_does_not_fit_is_refused_with_both_numbers() {
        assert!(check("5 elements", 10, Some(10)).is_ok() && check("5 elements", 10, None).is_ok());
        let error = check("5 elements", 2_000_000_000, Some(1_500_000_000)).unwrap_err();
        let message = "--elements: 5 elements need 2.0 GB of memory, but 1.5 GB are free";
        assert_eq!((error.to_string().as_str(), error.kind()), (message, ternflock_base::error::Kind::Usage));
    }
}
