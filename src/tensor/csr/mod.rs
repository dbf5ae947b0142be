//! Unstructured sparse weights: a matrix compressed by rows (CSR) times a dense one, and the convolution and
//! the linear layer based on it. This is a baseline for dense networks; no layer of a network uses it.
//!
//! The rows of the dense matrix are runs of samples, so that each element of the sparse matrix is multiplied
//! by full vectors. Eight vectors of sums stay in registers while the kernel goes through a row once.
//!
//! Letters: m rows and k columns of the sparse matrix, n columns of the dense one.

mod layers;
#[cfg(test)]
mod tests;

use std::ops::Range;

use pulp::{Simd, WithSimd};

use super::blocks::Shared;
use super::simd::dispatch;

pub use layers::{SparseConvolution, SparseLinear};

/// Vectors of sums that stay in registers: half of AVX2's.
const VECTORS: usize = 8;

/// A sparse matrix `[m, k]`, row by row: the non-zero elements of each row and their columns, ascending.
#[derive(Clone, Debug, PartialEq)]
pub struct Csr {
    columns: usize,
    /// The beginning of each row's elements, and the end of those of the last row.
    starts: Vec<usize>,
    places: Vec<u32>,
    values: Vec<f32>,
}

impl Csr {
    /// The matrix of all non-zero elements in `dense` `[rows, columns]`.
    ///
    /// # Panics
    /// If `dense` is shorter than that, or a row is longer than 2^32.
    pub fn new(dense: &[f32], rows: usize, columns: usize) -> Csr {
        assert!(u32::try_from(columns).is_ok(), "a row of {columns} columns");
        let mut csr = Csr { columns, starts: vec![0], places: Vec::new(), values: Vec::new() };
        for row in 0..rows {
            let nonzero = dense[row * columns..][..columns].iter().enumerate().filter(|(_, v)| **v != 0.0);
            for (place, &value) in nonzero {
                csr.places.push(place as u32);
                csr.values.push(value);
            }
            csr.starts.push(csr.places.len());
        }
        csr
    }

    /// m.
    pub fn rows(&self) -> usize {
        self.starts.len() - 1
    }

    /// k.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The number of non-zero elements.
    pub fn nonzero(&self) -> usize {
        self.values.len()
    }

    /// `c = a b + start`, with `a` `[m, k]` this matrix, `b` `[k, n]` and `c` `[m, n]`, row-major; `start` `[m]`, or zeros.
    ///
    /// # Panics
    /// If `b`, `c` or `start` is shorter than that.
    pub fn multiply(&self, b: &[f32], n: usize, start: Option<&[f32]>, c: &mut [f32]) {
        assert!(c.len() >= self.rows() * n);
        // SAFETY: `c` is borrowed exclusively and has m rows of n.
        unsafe { self.multiply_rows(0..self.rows(), b, n, start, Shared(c.as_mut_ptr()), n) }
    }

    /// Rows `rows` of [`Csr::multiply`]: row i is written to the n values from `c` + i `stride` on.
    ///
    /// # Safety
    /// All of these values exist, and no other code accesses them.
    unsafe fn multiply_rows(
        &self,
        rows: Range<usize>,
        b: &[f32],
        n: usize,
        start: Option<&[f32]>,
        c: Shared,
        stride: usize,
    ) {
        // The kernel relies on this; the columns are below k by construction.
        assert!(rows.end <= self.rows() && b.len() >= self.columns * n);
        assert!(start.is_none_or(|start| start.len() >= self.rows()));
        dispatch(Rows { csr: self, rows, b, n, start, c, stride });
    }
}

/// Some rows of a product.
struct Rows<'a> {
    csr: &'a Csr,
    rows: Range<usize>,
    b: &'a [f32],
    n: usize,
    start: Option<&'a [f32]>,
    c: Shared,
    stride: usize,
}

impl WithSimd for Rows<'_> {
    type Output = ();

    /// One block of columns of `b` at a time, which stays in the L2 cache while all rows use it.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (wide, narrow) = (VECTORS * S::F32_LANES, S::F32_LANES);
        let mut first = 0;
        while first + wide <= self.n {
            self.block::<S, VECTORS>(simd, first);
            first += wide;
        }
        while first + narrow <= self.n {
            self.block::<S, 1>(simd, first);
            first += narrow;
        }
        if first < self.n {
            self.rest(simd, first);
        }
    }
}

impl Rows<'_> {
    fn start(&self, row: usize) -> f32 {
        self.start.map_or(0.0, |start| start[row])
    }

    /// The columns from `first` on that fill V vectors.
    #[inline(always)]
    fn block<S: Simd, const V: usize>(&self, simd: S, first: usize) {
        let b = self.b[first..].as_ptr();
        for row in self.rows.clone() {
            let mut sums = [simd.splat_f32s(self.start(row)); V];
            let numbers = self.csr.starts[row]..self.csr.starts[row + 1];
            for (&place, &value) in self.csr.places[numbers.clone()].iter().zip(&self.csr.values[numbers]) {
                let value = simd.splat_f32s(value);
                for (v, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: `place` is below k, and `b` has n values for each, V vectors of them from `first` on.
                    let line = unsafe {
                        let line = b.add(place as usize * self.n + v * S::F32_LANES);
                        line.cast::<S::f32s>().read_unaligned()
                    };
                    *sum = simd.mul_add_e_f32s(value, line, *sum);
                }
            }
            for (v, sum) in sums.into_iter().enumerate() {
                // SAFETY: the caller of `multiply_rows` guarantees that row `row` of `c` has n values.
                unsafe {
                    let to = self.c.at(row * self.stride + first + v * S::F32_LANES);
                    to.cast::<S::f32s>().write_unaligned(sum);
                }
            }
        }
    }

    /// The columns from `first` on, less than a vector.
    #[inline(always)]
    fn rest<S: Simd>(&self, simd: S, first: usize) {
        let columns = self.n - first;
        for row in self.rows.clone() {
            let mut sums = simd.splat_f32s(self.start(row));
            let numbers = self.csr.starts[row]..self.csr.starts[row + 1];
            for (&place, &value) in self.csr.places[numbers.clone()].iter().zip(&self.csr.values[numbers]) {
                let line = &self.b[place as usize * self.n + first..][..columns];
                sums = simd.mul_add_e_f32s(simd.splat_f32s(value), simd.partial_load_f32s(line), sums);
            }
            // SAFETY: as in `block`; no other code accesses these values.
            let to = unsafe { std::slice::from_raw_parts_mut(self.c.at(row * self.stride + first), columns) };
            simd.partial_store_f32s(to, sums);
        }
    }
}
