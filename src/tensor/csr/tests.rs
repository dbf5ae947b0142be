use proptest::prelude::*;

use super::*;
use crate::{Buffers, Convolution, ConvolutionShape, Precision, Window, gemm, matrix, matrix_mut};

/// Small integers, so that sums are exact in any order; about `nonzero` of `of` places are not zero.
fn sparse(count: usize, salt: usize, nonzero: usize, of: usize) -> Vec<f32> {
    let number = |i: usize| {
        let mixed = (i + salt).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        if mixed % of < nonzero { (mixed / of % 8) as f32 - 4.0 } else { 0.0 }
    };
    (0..count).map(number).collect()
}

fn dense_convolution(shape: ConvolutionShape, batch: usize) -> Convolution {
    Convolution::new(shape, None, batch, Precision::Float32, &mut Buffers::allocating()).unwrap()
}

#[test]
fn rows_hold_what_is_not_zero() {
    let csr = Csr::new(&[0.0, 2.0, 0.0, 0.0, 0.0, 0.0, -1.0, 0.0, f32::NAN], 3, 3);
    assert_eq!((csr.starts.as_slice(), csr.places.as_slice()), (&[0, 1, 1, 3][..], &[1, 0, 2][..]));
    assert_eq!((csr.rows(), csr.columns(), csr.nonzero()), (3, 3, 3));
    assert_eq!(csr.values[..2], [2.0, -1.0]);
}

proptest! {
    #[test]
    fn products_are_those_of_the_dense_matrix(
        m in 0usize..40, k in 1usize..60, n in 0usize..200, nonzero in 0usize..5, starts in any::<bool>()
    ) {
        let (a, b, start) = (sparse(m * k, 1, nonzero, 5), sparse(k * n, 2, 1, 1), sparse(m, 3, 1, 1));
        let mut expected = vec![0.0; m * n];
        if starts {
            expected.chunks_exact_mut(n.max(1)).zip(&start).for_each(|(row, &start)| row.fill(start));
        }
        gemm(1.0, matrix(&a, m, k), matrix(&b, k, n), 1.0, matrix_mut(&mut expected, m, n));
        let mut c = vec![f32::NAN; m * n];
        Csr::new(&a, m, k).multiply(&b, n, starts.then_some(&start[..]), &mut c);
        prop_assert_eq!(c, expected);
    }

    #[test]
    fn linear_layers_are_the_dense_ones(
        rows in 1usize..70, units in 1usize..80, features in 1usize..50, nonzero in 0usize..4, bias in any::<bool>()
    ) {
        let (weight, x) = (sparse(units * features, 1, nonzero, 4), sparse(rows * features, 2, 1, 1));
        let added = sparse(units, 3, 1, 1);
        let mut expected = vec![0.0; rows * units];
        if bias {
            expected.chunks_exact_mut(units).for_each(|row| row.copy_from_slice(&added));
        }
        let dense = matrix(&weight, units, features);
        gemm(1.0, matrix(&x, rows, features), dense.t(), 1.0, matrix_mut(&mut expected, rows, units));
        let (mut y, room) = (vec![f32::NAN; rows * units], rows + rows % 3);
        let mut layer = SparseLinear::new(&weight, units, features, room);
        layer.forward(rows, &x, bias.then_some(&added[..]), &mut y);
        prop_assert_eq!(y, expected);
        prop_assert_eq!(layer.nonzero(), weight.iter().filter(|value| **value != 0.0).count());
    }

    #[test]
    fn convolutions_are_the_dense_ones(
        groups in 1usize..3, channels in 1usize..4, filters in 1usize..7, size in (3usize..9, 3usize..9),
        kernel in 1usize..4, stride in 1usize..3, padding in 0usize..3, batch in 1usize..20, nonzero in 0usize..4,
    ) {
        let padding = padding.min(kernel - 1);
        let output = |size: usize| (size + 2 * padding - kernel) / stride + 1;
        let window = Window {
            channels: groups * channels,
            size,
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: (padding, padding),
            output: (output(size.0), output(size.1)),
        };
        let shape = ConvolutionShape { window, filters: groups * filters, groups };
        let weight = sparse(shape.filters * channels * kernel * kernel, 1, nonzero, 4);
        let (x, bias) = (sparse(window.image() * batch, 2, 1, 1), sparse(shape.filters, 3, 1, 1));
        let mut expected = vec![f32::NAN; shape.filters * window.positions() * batch];
        let mut y = expected.clone();
        dense_convolution(shape, batch).forward(batch, &x, &weight, Some(&bias), &mut expected);
        let layer = SparseConvolution::new(shape, &weight, batch).unwrap();
        layer.forward(batch, &x, Some(&bias), &mut y);
        prop_assert_eq!(&y, &expected);
        prop_assert_eq!(layer.nonzero(), weight.iter().filter(|value| **value != 0.0).count());
    }
}

/// So large that there are many tiles and rows are distributed, on two threads.
#[test]
fn large_layers_are_the_dense_ones_on_two_threads() {
    crate::set_threads(2).unwrap();
    let window = Window {
        channels: 20,
        size: (12, 12),
        kernel: (5, 5),
        stride: (1, 1),
        padding: (0, 0),
        output: (8, 8),
    };
    let shape = ConvolutionShape { window, filters: 50, groups: 1 };
    let (weight, x) = (sparse(50 * 500, 1, 1, 10), sparse(window.image() * 64, 2, 1, 1));
    let mut expected = vec![f32::NAN; 50 * 64 * 64];
    let mut y = expected.clone();
    dense_convolution(shape, 64).forward(64, &x, &weight, None, &mut expected);
    SparseConvolution::new(shape, &weight, 64).unwrap().forward(64, &x, None, &mut y);
    assert!(y == expected);
    let (weight, x) = (sparse(500 * 300, 1, 1, 10), sparse(100 * 300, 2, 1, 1));
    let (mut expected, mut y) = (vec![0.0; 100 * 500], vec![f32::NAN; 100 * 500]);
    let dense = matrix(&weight, 500, 300);
    gemm(1.0, matrix(&x, 100, 300), dense.t(), 0.0, matrix_mut(&mut expected, 100, 500));
    SparseLinear::new(&weight, 500, 300, 100).forward(100, &x, None, &mut y);
    crate::set_threads(1).unwrap();
    assert!(y == expected);
}
