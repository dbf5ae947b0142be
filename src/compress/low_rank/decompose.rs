//! Decomposes a matrix into a product of two thinner ones, using its strongest directions.
//!
//! W `[N, d]` is close to `expand` `[N, r]` times `basis` `[r, d]`. Both methods span the same directions, so
//! the product is the same: the best approximation of rank r (Eckart and Young, 1936). They differ in the
//! norms of the two factors.

use faer::{Mat, MatRef, Side};

use super::spectrum::{Spectrum, gram};
use super::weight::Matrix;
use ternflock_base::error::Result;
use ternflock_job::LowRankMethod;

/// The directions of a matrix `[N, d]`, the strongest first.
#[derive(Clone, Debug)]
pub struct Decomposition {
    /// The energies of the directions.
    pub spectrum: Spectrum,
    /// `[N, m]`, m = min(N, d).
    expand: Mat<f64>,
    /// `[d, m]`: the transpose of the other factor.
    basis: Mat<f64>,
}

/// The factors of a matrix `[N, d]` at rank r.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// `[N, r]`, row by row.
    pub expand: Vec<f32>,
    /// `[r, d]`, row by row.
    pub basis: Vec<f32>,
}

impl Decomposition {
    /// Decomposes `matrix`. The sign of each direction is arbitrary; it is chosen so that the largest element
    /// of its column of `expand` is positive.
    ///
    /// # Errors
    /// If an element is not finite; the message names it.
    pub fn new(method: LowRankMethod, matrix: Matrix<'_>) -> Result<Decomposition> {
        let wide = matrix.in_double()?;
        let w = MatRef::from_row_major_slice(&wide, matrix.filters, matrix.width);
        let parts = match method {
            LowRankMethod::Pca => components(w),
            LowRankMethod::Svd => singular(w),
        };
        let mut parts = parts.ok_or_else(|| matrix.did_not_converge())?;
        parts.fix_signs();
        Ok(parts)
    }

    /// The two factors for the rank `rank`.
    ///
    /// # Panics
    /// If `rank` is larger than the full rank.
    pub fn factors(&self, rank: usize) -> Factors {
        let (expand, basis) = (&self.expand, &self.basis);
        let rows = |rows: usize, columns: usize, at: &dyn Fn(usize, usize) -> f64| -> Vec<f32> {
            (0..rows * columns).map(|i| at(i / columns, i % columns) as f32).collect()
        };
        Factors {
            expand: rows(expand.nrows(), rank, &|filter, component| expand[(filter, component)]),
            basis: rows(rank, basis.nrows(), &|component, weight| basis[(weight, component)]),
        }
    }

    fn fix_signs(&mut self) {
        for column in 0..self.expand.ncols() {
            let mut largest = 0.0f64;
            for row in 0..self.expand.nrows() {
                let value = self.expand[(row, column)];
                largest = if value.abs() > largest.abs() { value } else { largest };
            }
            if largest < 0.0 {
                self.scale(column, -1.0, -1.0);
            }
        }
    }

    /// Multiplies direction `column` of each factor.
    fn scale(&mut self, column: usize, expand: f64, basis: f64) {
        for (factor, by) in [(&mut self.expand, expand), (&mut self.basis, basis)] {
            (0..factor.nrows()).for_each(|row| factor[(row, column)] *= by);
        }
    }
}

/// Uses the eigenvectors of W Wᵀ. If d < N, it uses the eigenvectors V of the smaller WᵀW; W V are then the
/// same directions.
fn components(w: MatRef<'_, f64>) -> Option<Decomposition> {
    let eigen = gram(w).self_adjoint_eigen(Side::Lower).ok()?;
    let (values, m) = (eigen.S().column_vector(), w.nrows().min(w.ncols()));
    let spectrum = Spectrum::new((0..m).rev().map(|i| values[i]).collect());
    let vectors = Mat::from_fn(m, m, |row, column| eigen.U()[(row, m - 1 - column)]);
    if w.nrows() <= w.ncols() {
        return Some(Decomposition { spectrum, basis: w.transpose() * &vectors, expand: vectors });
    }
    let mut parts = Decomposition { spectrum, expand: w * &vectors, basis: vectors };
    for column in 0..m {
        // For a direction that the filters do not have, `basis` keeps length 1 and `expand` is zero.
        let squares = (0..w.nrows()).map(|row| parts.expand[(row, column)].powi(2));
        let length = squares.sum::<f64>().sqrt();
        if length > 0.0 {
            parts.scale(column, length.recip(), length);
        }
    }
    Some(parts)
}

fn singular(w: MatRef<'_, f64>) -> Option<Decomposition> {
    let svd = w.thin_svd().ok()?;
    let (values, m) = (svd.S().column_vector(), w.nrows().min(w.ncols()));
    let spectrum = Spectrum::new((0..m).map(|i| values[i] * values[i]).collect());
    let mut parts = Decomposition { spectrum, expand: svd.U().to_owned(), basis: svd.V().to_owned() };
    (0..m).for_each(|column| parts.scale(column, values[column].sqrt(), values[column].sqrt()));
    Some(parts)
}

#[cfg(test)]
mod tests;
