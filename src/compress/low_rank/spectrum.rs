//! The distribution of a matrix's energy, the sum of its squared elements, over its directions.

use faer::{MatRef, Side};

use super::weight::Matrix;
use ternflock_base::error::Result;

/// Squared singular values of a matrix `[N, d]`, descending, min(N, d) of them: the eigenvalues of W Wᵀ, which is not
/// centred. Their sum is the matrix's energy.
#[derive(Clone, Debug, PartialEq)]
pub struct Spectrum(Vec<f64>);

impl Spectrum {
    /// The spectrum alone, without directions: a fraction of the work of a decomposition.
    ///
    /// # Errors
    /// If an element of the matrix is not finite.
    pub fn of(matrix: Matrix<'_>) -> Result<Spectrum> {
        let wide = matrix.in_double()?;
        let gram = gram(MatRef::from_row_major_slice(&wide, matrix.filters, matrix.width));
        let mut energies =
            gram.self_adjoint_eigenvalues(Side::Lower).map_err(|_| matrix.did_not_converge())?;
        energies.reverse();
        Ok(Spectrum::new(energies))
    }

    /// Builds a spectrum from descending `energies`. Values below the rounding error of the largest,
    /// including negative ones, count as zero.
    pub(super) fn new(mut energies: Vec<f64>) -> Spectrum {
        let rounding = 4.0 * energies.len() as f64 * f64::EPSILON * energies.first().copied().unwrap_or(0.0);
        energies.iter_mut().filter(|energy| **energy <= rounding).for_each(|energy| *energy = 0.0);
        Spectrum(energies)
    }

    /// The energies, descending.
    pub fn energies(&self) -> &[f64] {
        &self.0
    }

    /// The full rank: min(N, d).
    pub fn full_rank(&self) -> usize {
        self.0.len()
    }

    /// The share of the energy in the first `rank` directions; 1 if there is no energy.
    pub fn kept(&self, rank: usize) -> f64 {
        let sum = |energies: &[f64]| energies.iter().sum::<f64>();
        let total = sum(&self.0);
        if total == 0.0 { 1.0 } else { sum(&self.0[..rank.min(self.0.len())]) / total }
    }

    /// The smallest rank that keeps a share of at least `energy`. A matrix of zeros has rank 1 by definition: a layer
    /// cannot have no units.
    ///
    /// The published code uses this share for principal components. For its other variant, it uses the norm
    /// of the singular values instead of its square, so its threshold t corresponds to t² here.
    pub fn rank_at(&self, energy: f64) -> usize {
        (1..self.0.len()).find(|&rank| self.kept(rank) >= energy).unwrap_or(self.0.len().max(1))
    }
}

/// W Wᵀ or WᵀW, whichever is smaller: they have the same eigenvalues except for zeros.
pub(super) fn gram(w: MatRef<'_, f64>) -> faer::Mat<f64> {
    if w.nrows() <= w.ncols() { w * w.transpose() } else { w.transpose() * w }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_is_the_smallest_that_keeps_the_share() {
        let spectrum = Spectrum::new(vec![8.0, 4.0, 3.0, 1.0, -1e-17, -1e-16]);
        assert_eq!(spectrum.energies()[3..], [1.0, 0.0, 0.0]);
        let ranks = [0.1, 0.5, 0.51, 0.75, 0.76, 0.9375, 0.94, 1.0].map(|energy| spectrum.rank_at(energy));
        assert_eq!(ranks, [1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!([0, 2, 4, 6].map(|rank| spectrum.kept(rank)), [0.0, 0.75, 1.0, 1.0]);
    }

    #[test]
    fn zeros_have_rank_one() {
        let spectrum = Spectrum::new(vec![0.0; 5]);
        assert_eq!((spectrum.rank_at(0.95), spectrum.kept(1), spectrum.full_rank()), (1, 1.0, 5));
    }
}
