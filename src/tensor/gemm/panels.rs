//! Repeated products of a few rows with the same matrix, as a recurrent layer computes at every step.
//!
//! At every call, BLAS copies the matrix into the order in which its kernel reads it. With 20 rows, this
//! takes a large part of the product's time. Here the matrix is copied once, into panels of two vectors of
//! columns, `[panels, k, columns]`. The kernel keeps M rows times a panel's columns in registers (6 x 2
//! vectors of AVX2's 16) and goes through k once.

use ndarray::ArrayView2;
use pulp::{Simd, WithSimd};

use super::share::WORTH_SHARING;
use crate::blocks::{Line, Machine, Shared, part, parts, room};
use crate::buffers::{Buffers, elements};
use crate::simd::{const_dispatch, dispatch};
use crate::threads::{for_each, threads};

/// The maximum number of rows whose sums fit into the registers of every machine, together with a panel's
/// vectors and one value of the rows.
const MOST_ROWS: usize = 6;

/// A matrix `[k, n]`, packed.
pub struct Panels {
    machine: Machine,
    k: usize,
    n: usize,
    packed: Vec<Line>,
}

impl Panels {
    /// Room for any matrix of as many elements as one of `[k, n]` or `[n, k]`.
    ///
    /// # Errors
    /// Those of [`Buffers::zeros`].
    pub fn new(k: usize, n: usize, buffers: &mut Buffers) -> Result<Panels, String> {
        let machine = Machine::this();
        let padded = |rows: usize, columns: usize| {
            elements(&[rows, columns.div_ceil(2 * machine.lanes), 2 * machine.lanes])
        };
        let packed = room(padded(k, n)?.max(padded(n, k)?), buffers)?;
        Ok(Panels { machine, k: 0, n: 0, packed })
    }

    /// Copies `b` `[k, n]`.
    ///
    /// # Panics
    /// If it does not fit into the buffer.
    pub fn pack(&mut self, b: ArrayView2<f32>) {
        (self.k, self.n) = b.dim();
        let (k, n, width) = (self.k, self.n, 2 * self.machine.lanes);
        let packed: &mut [f32] = bytemuck::cast_slice_mut(&mut self.packed);
        let panels = packed[..k * n.next_multiple_of(width)].chunks_exact_mut((k * width).max(1));
        for (panel, first) in panels.zip((0..n).step_by(width)) {
            let columns = (n - first).min(width);
            for (row, line) in panel.chunks_exact_mut(width).enumerate() {
                for (column, value) in line[..columns].iter_mut().enumerate() {
                    *value = b[[row, first + column]];
                }
                line[columns..].fill(0.0);
            }
        }
    }

    /// `c = beta c + a b`, with `a` `[m, k]` and `c` `[m, n]`, row-major. With `beta` 0 the old content of `c` is not read.
    /// The result does not depend on the number of threads.
    ///
    /// # Panics
    /// If `a` or `c` is shorter than that.
    pub fn multiply(&self, m: usize, a: &[f32], beta: f32, c: &mut [f32]) {
        let (k, n) = (self.k, self.n);
        let (a, c) = (&a[..m * k], Shared(c[..m * n].as_mut_ptr()));
        let panels = self.machine.blocks(n);
        let shared = m.saturating_mul(n).saturating_mul(k) >= WORTH_SHARING;
        let most = panels.div_ceil(if shared { threads() } else { 1 }).max(1);
        for_each(panels.div_ceil(most), |task| {
            for panel in part(panels, most, task) {
                self.panel(panel, m, a, beta, c);
            }
        });
    }

    /// The columns of `c` that are those of a panel.
    fn panel(&self, panel: usize, m: usize, a: &[f32], beta: f32, c: Shared) {
        let (k, n, width) = (self.k, self.n, 2 * self.machine.lanes);
        let columns = self.machine.block(n, panel);
        let packed: &[f32] = bytemuck::cast_slice(&self.packed);
        let packed = &packed[panel * k * width..(panel + 1) * k * width];
        for rows in parts(m, MOST_ROWS) {
            let a = &a[rows.start * k..rows.end * k];
            // SAFETY: a row and a column of `c`, whose length is asserted in `multiply`.
            let c = unsafe { c.at(rows.start * n + columns.first) };
            let tile = Tile { k, a, packed, beta, c, n, columns: columns.samples };
            const_dispatch!(M = rows.len(), in [1, 2, 3, 4, 5, 6]; tile.compute::<M>());
        }
    }
}

/// M rows of a product, and the columns of one panel.
struct Tile<'a> {
    k: usize,
    /// `[M, k]`.
    a: &'a [f32],
    /// `[k, 2 lanes]`.
    packed: &'a [f32],
    beta: f32,
    /// The place of the first sum, in a matrix of `n` columns.
    c: *mut f32,
    n: usize,
    /// The number of sums per row.
    columns: usize,
}

impl Tile<'_> {
    fn compute<const M: usize>(self) {
        assert!(self.a.len() == M * self.k && self.columns * self.k <= self.packed.len());
        dispatch(Rows::<M>(self));
    }
}

struct Rows<'a, const M: usize>(Tile<'a>);

impl<const M: usize> WithSimd for Rows<'_, M> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if self.0.columns > S::F32_LANES {
            self.0.sums::<S, M, 2>(simd);
        } else {
            self.0.sums::<S, M, 1>(simd);
        }
    }
}

impl Tile<'_> {
    /// `V` of the panel's two vectors.
    #[inline(always)]
    fn sums<S: Simd, const M: usize, const V: usize>(self, simd: S) {
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        let (mut panel, a) = (self.packed.as_ptr(), self.a.as_ptr());
        for l in 0..self.k {
            // SAFETY: `packed` has 2 vectors for each of k rows, and `a` M rows of k.
            unsafe {
                let b: [S::f32s; V] =
                    std::array::from_fn(|v| panel.add(v * S::F32_LANES).cast::<S::f32s>().read_unaligned());
                for (m, sums) in sums.iter_mut().enumerate() {
                    let value = simd.splat_f32s(*a.add(m * self.k + l));
                    for (sum, b) in sums.iter_mut().zip(b) {
                        *sum = simd.mul_add_e_f32s(value, b, *sum);
                    }
                }
                panel = panel.add(2 * S::F32_LANES);
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            let sums: &[f32] = bytemuck::cast_slice(sums);
            // SAFETY: the row of `c` has that many columns from there on, and no other code writes them.
            let c = unsafe { std::slice::from_raw_parts_mut(self.c.add(m * self.n), self.columns) };
            if self.beta == 0.0 {
                c.copy_from_slice(&sums[..self.columns]);
            } else {
                c.iter_mut().zip(sums).for_each(|(c, sum)| *c = self.beta * *c + sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::integers;
    use crate::{matrix, set_threads};
    use proptest::prelude::*;

    /// `beta c + a b`, sum by sum.
    fn plain(
        sizes: [usize; 3],
        a: &[f32],
        b: impl Fn(usize, usize) -> f32,
        beta: f32,
        c: &[f32],
    ) -> Vec<f32> {
        let [m, k, n] = sizes;
        let sum = |i: usize, j: usize| (0..k).map(|l| a[i * k + l] * b(l, j)).sum::<f32>();
        (0..m * n).map(|at| sum(at / n, at % n) + if beta == 0.0 { 0.0 } else { beta * c[at] }).collect()
    }

    proptest! {
        #[test]
        fn equals_the_triple_loop(m in 1usize..20, n in 1usize..50, k in 1usize..20, beta in 0usize..3) {
            let (a, b, before) = (integers(m * k, 1), integers(n * k, 2), integers(m * n, 3));
            let mut panels = Panels::new(n, k, &mut Buffers::allocating()).unwrap();
            for transposed in [false, true] {
                let mut c = if beta == 0 { vec![f32::NAN; m * n] } else { before.clone() };
                let value = |l: usize, j: usize| if transposed { b[j * k + l] } else { b[l * n + j] };
                panels.pack(if transposed { matrix(&b, n, k).reversed_axes() } else { matrix(&b, k, n) });
                panels.multiply(m, &a, beta as f32, &mut c);
                prop_assert_eq!(c, plain([m, k, n], &a, value, beta as f32, &before));
            }
        }
    }

    #[test]
    fn a_large_product_has_the_same_bits_on_any_number_of_threads() {
        let (m, k, n) = (20, 200, 808);
        let wave = |count: usize| (0..count).map(|i| (i as f32 * 0.37).sin()).collect::<Vec<_>>();
        let (a, b) = (wave(m * k), wave(k * n));
        let mut panels = Panels::new(k, n, &mut Buffers::allocating()).unwrap();
        panels.pack(matrix(&b, k, n));
        let on = |count| {
            set_threads(count).unwrap();
            let mut c = vec![0.0; m * n];
            panels.multiply(m, &a, 0.0, &mut c);
            c
        };
        let one = on(1);
        assert!(one == on(2) && one == on(3));
        set_threads(1).unwrap();
        let close = |(at, c): (usize, &f32)| {
            let exact: f64 =
                (0..k).map(|l| f64::from(a[at / n * k + l]) * f64::from(b[l * n + at % n])).sum();
            // k roundings of sums of at most k.
            (f64::from(*c) - exact).abs() <= (k * k) as f64 * f64::from(f32::EPSILON)
        };
        assert!(one.iter().enumerate().all(close));
    }
}
