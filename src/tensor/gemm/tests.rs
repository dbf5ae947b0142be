//! The bits of products: the definition in [`super::gemm`], whatever the order of the operands, the number
//! of threads and the instructions.

use ndarray::{ArrayView2, ArrayViewMut2, s};
use proptest::prelude::*;

use super::arithmetic::Arithmetic;
use super::blocked::multiply;
use super::own::uses_blas;
use super::workspace::with_any;
use super::{Gemm, matrix, matrix_mut};
use crate::bf16::{Precision, add_products, has_amx_bf16, has_avx512_bf16, multiply_add, round, widen};
use crate::{Buffers, set_threads, vector_instructions};

/// The definition: each sum starts with `beta c` and adds one term after another, in the order of k. With AMX, it adds
/// one block of 32 terms after another.
fn definition(
    arithmetic: Arithmetic,
    alpha: f32,
    a: ArrayView2<f32>,
    b: ArrayView2<f32>,
    beta: f32,
    mut c: ArrayViewMut2<f32>,
) {
    for ((i, j), c) in c.indexed_iter_mut() {
        let before = if beta == 0.0 { 0.0 } else { beta * *c };
        let terms = a.row(i).into_iter().zip(b.column(j)).map(|(a, b)| (alpha * a, *b));
        let rounded = terms.clone().map(|(a, b)| (widen(round(a)), widen(round(b))));
        *c = match arithmetic {
            Arithmetic::Float32 => terms.fold(before, |sum, (a, b)| a.mul_add(b, sum)),
            Arithmetic::RoundedBf16 | Arithmetic::PairedBf16 => {
                rounded.fold(before, |sum, (a, b)| multiply_add(sum, a, b))
            }
            Arithmetic::TiledBf16 => {
                let rounded: Vec<_> = rounded.collect();
                rounded.chunks(32).fold(before, |sum, terms| add_products(sum, terms.chunks(2).map(pair)))
            }
        };
    }
}

/// One or two terms; a missing second term is minus zero.
fn pair(terms: &[(f32, f32)]) -> ([f32; 2], [f32; 2]) {
    let second = terms.get(1).unwrap_or(&(0.0, -0.0));
    ([terms[0].0, second.0], [terms[0].1, second.1])
}

/// All arithmetics of this machine that use fused multiply-adds.
fn arithmetics() -> Vec<Arithmetic> {
    let mut all = vec![Arithmetic::RoundedBf16];
    if vector_instructions() != "none" {
        all.push(Arithmetic::Float32);
    }
    if has_avx512_bf16() {
        all.push(Arithmetic::PairedBf16);
    }
    if has_amx_bf16() {
        all.push(Arithmetic::TiledBf16);
    }
    all
}

/// Numbers of about 1 that need all bits; no sum of them becomes subnormal.
fn reals(count: usize, salt: u32) -> Vec<f32> {
    let value = |i: u32| ((i ^ salt).wrapping_mul(0x9e37_79b9) >> 8) as f32 / (1 << 23) as f32 - 1.0;
    (0..count as u32).map(value).collect()
}

/// The orders of operands: rows, columns, or neither.
fn view(values: &[f32], rows: usize, columns: usize, order: u8) -> ArrayView2<'_, f32> {
    match order {
        0 => matrix(values, rows, columns),
        1 => matrix(values, columns, rows).reversed_axes(),
        _ => matrix(values, 2 * rows, 2 * columns).slice_move(s![..;2, ..;2]),
    }
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_sum_is_as_defined(
        [m, n] in [0usize..70, 0usize..70],
        k in prop_oneof![0usize..40, 700usize..900],
        orders in [0u8..3, 0u8..3, 0u8..3],
        (alpha, beta) in (prop_oneof![Just(1.0f32), Just(-0.3)], prop_oneof![Just(0.0f32), Just(1.0), Just(0.7)]),
    ) {
        let (a, b, before) = (reals(4 * m * k, 1), reals(4 * k * n, 2), reals(4 * m * n, 3));
        let (a, b) = (view(&a, m, k, orders[0]), view(&b, k, n, orders[1]));
        let product = |compute: &dyn Fn(ArrayViewMut2<f32>)| {
            let mut values = before.clone();
            match orders[2] {
                0 => compute(matrix_mut(&mut values, m, n)),
                1 => compute(matrix_mut(&mut values, n, m).reversed_axes()),
                _ => compute(matrix_mut(&mut values, 2 * m, 2 * n).slice_move(s![..;2, ..;2])),
            }
            bits(&values)
        };
        for arithmetic in arithmetics() {
            let expected = product(&|c| definition(arithmetic, alpha, a, b, beta, c));
            let found = product(&|c| with_any(|space| multiply(arithmetic, space, alpha, a, b, beta, c)));
            prop_assert!(found == expected, "{:?}", arithmetic);
        }
    }
}

/// Large enough for strips, with rows that begin anywhere in a cache line. Surrounding values do not change.
#[test]
fn strips_of_a_large_result_are_as_defined() {
    let [m, n, k] = [811, 649, 37];
    let (a, b) = (reals(m * k, 1), reals(k * n, 2));
    for (arithmetic, transposed) in arithmetics().into_iter().flat_map(|own| [(own, false), (own, true)]) {
        let (a, b) = if transposed {
            (matrix(&b, k, n).reversed_axes(), matrix(&a, k, m))
        } else {
            (matrix(&a, m, k), matrix(&b, n, k).reversed_axes())
        };
        let product = |compute: &dyn Fn(ArrayViewMut2<f32>)| {
            let mut values = reals((m + 5) * (n + 6), 3);
            let c = matrix_mut(&mut values, m + 5, n + 6).slice_move(s![2..m + 2, 3..n + 3]);
            compute(if transposed { c.reversed_axes() } else { c });
            bits(&values)
        };
        let expected = product(&|c| definition(arithmetic, 0.5, a, b, 0.0, c));
        let found = product(&|c| with_any(|space| multiply(arithmetic, space, 0.5, a, b, 0.0, c)));
        assert!(found == expected, "{arithmetic:?} {transposed}");
    }
}

/// Large enough for several threads, blocks along every side, and parts of the shared operand.
#[test]
fn threads_and_blocks_leave_the_bits_alone() {
    for [m, n, k] in [[2100, 2200, 7], [150, 260, 801], [260, 150, 801], [3, 3000, 300]] {
        let (a, b) = (reals(m * k, 1), reals(k * n, 2));
        // The bits of BLAS depend on the number of threads.
        for precision in [Precision::Float32, Precision::Bf16].into_iter().filter(|&p| !uses_blas(p)) {
            let on = |threads| {
                set_threads(threads).unwrap();
                let mut gemm = Gemm::new(precision, &[[m, n, k]], &mut Buffers::allocating()).unwrap();
                let mut c = vec![f32::NAN; m * n];
                gemm.multiply(1.0, matrix(&a, m, k), matrix(&b, k, n), 0.0, matrix_mut(&mut c, m, n));
                bits(&c)
            };
            let one = on(1);
            assert!(one == on(2) && one == on(3), "{m} x {n} x {k} in {precision:?}");
            set_threads(1).unwrap();
            if vector_instructions() != "none" && m * n < 100_000 {
                let mut c = vec![0.0; m * n];
                let (a, b) = (matrix(&a, m, k), matrix(&b, k, n));
                definition(Arithmetic::of(precision), 1.0, a, b, 0.0, matrix_mut(&mut c, m, n));
                assert!(one == bits(&c), "{m} x {n} x {k} in {precision:?}");
            }
        }
    }
}

#[test]
fn what_is_not_finite_stays_so() {
    for arithmetic in arithmetics() {
        for (value, is_kept) in
            [(f32::NAN, f32::is_nan as fn(f32) -> bool), (f32::INFINITY, f32::is_infinite)]
        {
            for at in 0..3 {
                let (mut a, b, mut c) = ([1.0; 3], [1.0; 3], [0.0]);
                a[at] = value;
                let (a, b) = (matrix(&a, 1, 3), matrix(&b, 3, 1));
                with_any(|space| multiply(arithmetic, space, 1.0, a, b, 0.0, matrix_mut(&mut c, 1, 1)));
                assert!(is_kept(c[0]), "{arithmetic:?}: {c:?}");
            }
        }
    }
}

/// k is padded with products that are minus zero, which do not change any sum. With AMX, the total of a chain is
/// zero here, which makes the sum zero. A total becomes minus zero only if both chains underflow.
#[test]
fn a_minus_zero_survives() {
    for arithmetic in arithmetics() {
        for (a, b) in [(0.0, -1.0), (1e-30, -1e-30)] {
            let (a, b) = ([a; 2], [b; 2]);
            for k in 1..=2 {
                let (a, b) = (matrix(&a[..k], 1, k), matrix(&b[..k], k, 1));
                let [mut expected, mut c] = [[-0.0]; 2];
                definition(arithmetic, 1.0, a, b, 1.0, matrix_mut(&mut expected, 1, 1));
                with_any(|space| multiply(arithmetic, space, 1.0, a, b, 1.0, matrix_mut(&mut c, 1, 1)));
                assert_eq!(bits(&c), bits(&expected), "{arithmetic:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Enough for any order of the operands and for smaller products, and nothing more is allocated later.
    #[test]
    fn a_workspace_suffices_for_its_sizes(
        sizes in (1usize..500, 1usize..500, prop_oneof![1usize..60, 700usize..800]),
        smaller in [1usize..500, 1usize..500, 1usize..800],
        threads in 1usize..4,
        bf16 in any::<bool>(),
    ) {
        let precision = if bf16 { Precision::Bf16 } else { Precision::Float32 };
        let sizes = [sizes.0, sizes.1, sizes.2];
        let smaller: [usize; 3] = std::array::from_fn(|i| sizes[i].min(smaller[i]));
        set_threads(threads).unwrap();
        let mut gemm = Gemm::new(precision, &[sizes], &mut Buffers::allocating()).unwrap();
        let before = gemm.lengths();
        for [m, n, k] in [sizes, smaller] {
            let (a, b, mut c) = (reals(m * k, 1), reals(k * n, 2), vec![0.0; m * n]);
            gemm.multiply(1.0, matrix(&a, m, k), matrix(&b, k, n), 0.0, matrix_mut(&mut c, m, n));
            let c = matrix_mut(&mut c, n, m).reversed_axes();
            gemm.multiply(1.0, matrix(&a, m, k), matrix(&b, k, n), 0.0, c);
        }
        set_threads(1).unwrap();
        prop_assert_eq!(gemm.lengths(), before);
    }
}
