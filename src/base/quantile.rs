//! Quantiles of measured times.

/// The `part`-th quantile of `sorted`, by nearest rank; 0 if it is empty.
pub fn quantile(sorted: &[f64], part: f64) -> f64 {
    let rank = (part * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.clamp(1, sorted.len().max(1)) - 1).copied().unwrap_or_default()
}

/// The median of `values`, by nearest rank: the lower of the two in the middle if their number is even.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    quantile(&values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let sorted = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(
            [0.0, 0.25, 0.5, 0.51, 0.99, 1.0].map(|p| quantile(&sorted, p)),
            [1.0, 1.0, 2.0, 3.0, 4.0, 4.0]
        );
        assert_eq!(quantile(&[], 0.5), 0.0);
        assert_eq!((median(vec![3.0, 1.0, 2.0]), median(vec![4.0, 3.0, 1.0, 2.0])), (2.0, 2.0));
    }
}
