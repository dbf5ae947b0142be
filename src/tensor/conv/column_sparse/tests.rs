//! The kernels for some columns give the same bits as the im2col path with the complete weight, in which the
//! missing columns are zero. The values are integers so small that every sum is exact.

use proptest::prelude::*;

use super::*;
use crate::conv::im2col_gemm::Im2colGemm;
use crate::conv::tests::{integers, shapes, square};
use crate::threads::{set_threads, within};

/// `weight` `[F, K]` as `[F, C R S]`, zero where there is no column.
fn scatter(weight: &[f32], columns: &[usize], all: usize) -> Vec<f32> {
    let mut whole = vec![0.0; weight.len() / columns.len() * all];
    for (whole, row) in whole.chunks_exact_mut(all).zip(weight.chunks_exact(columns.len())) {
        columns.iter().zip(row).for_each(|(&column, &value)| whole[column] = value);
    }
    whole
}

fn check(shape: Shape, columns: &[usize], batch: usize, bias: bool) {
    let (window, all) = (shape.window, shape.group().rows());
    let outputs = shape.filters * window.positions() * batch;
    let x = integers(window.image() * batch, 1);
    let weight = integers(shape.filters * columns.len(), 2);
    let whole = scatter(&weight, columns, all);
    let dy = integers(outputs, 3);
    let begin = integers(shape.filters, 4);
    let begin = bias.then_some(&begin[..]);
    let buffers = &mut Buffers::allocating();
    let mut plain = Im2colGemm::new(shape, None, batch, buffers).unwrap();
    let mut lowered = Im2colGemm::new(shape, Some(columns), batch, buffers).unwrap();
    let mut direct = ColumnSparse::new(&shape, columns, buffers).unwrap();

    let [mut expected, mut some, mut y] = [0; 3].map(|_| vec![f32::NAN; outputs]);
    plain.forward(batch, &x, &whole, begin, &mut expected);
    lowered.forward(batch, &x, &weight, begin, &mut some);
    within(|| direct.forward(batch, &x, &weight, begin, &mut y));
    assert_eq!(some, expected, "forward, lowered");
    assert_eq!(y, expected, "forward");

    let [mut expected, mut some, mut dx] = [0; 3].map(|_| vec![f32::NAN; x.len()]);
    plain.data_gradient(batch, &whole, &dy, &mut expected);
    lowered.data_gradient(batch, &weight, &dy, &mut some);
    within(|| direct.data_gradient(batch, &weight, &dy, &mut dx));
    assert_eq!(some, expected, "data gradient, lowered");
    assert_eq!(dx, expected, "data gradient");

    let mut expected = vec![f32::NAN; whole.len()];
    let [mut expected_db, mut some_db, mut db] = [0; 3].map(|_| vec![f32::NAN; shape.filters]);
    let [mut some, mut dw] = [0; 2].map(|_| vec![f32::NAN; weight.len()]);
    plain.weight_gradient(batch, &x, &dy, &mut expected, Some(&mut expected_db));
    lowered.weight_gradient(batch, &x, &dy, &mut some, Some(&mut some_db));
    within(|| direct.weight_gradient(batch, &x, &dy, &mut dw, Some(&mut db)));
    let rows = expected.chunks_exact(all);
    let expected: Vec<f32> = rows.flat_map(|row| columns.iter().map(|&column| row[column])).collect();
    assert_eq!((some, some_db), (expected.clone(), expected_db.clone()), "weight gradient, lowered");
    assert_eq!((dw, db), (expected, expected_db), "weight gradient");
}

proptest! {
    #[test]
    fn some_columns_equal_the_whole_with_zeros(
        shape in shapes(), seed in prop::collection::vec(0usize..4, 1..60), one in 0usize..1000,
        batch in 1usize..40, bias: bool, threads in 1usize..3
    ) {
        set_threads(threads).unwrap();
        let all = shape.group().rows();
        let columns: Vec<usize> =
            (0..all).filter(|&column| column == one % all || seed[column % seed.len()] == 0).collect();
        check(shape, &columns, batch, bias);
    }
}

/// Several slabs of rows, several channel blocks of channels, several partial sums, blocks of all sizes.
#[test]
fn large_shapes() {
    for (channels, filters, size, kernel, stride, padding, every) in [
        (1, 20, 28, 5, 1, 0, 2),
        (3, 32, 32, 5, 1, 2, 1),
        (40, 17, 32, 3, 1, 1, 7),
        (16, 3, 33, 3, 2, 1, 5),
        (70, 2, 17, 1, 1, 0, 1),
    ] {
        let window = square(channels, size, kernel, stride, padding);
        let columns: Vec<usize> = (0..window.rows()).step_by(every).collect();
        check(Shape { window, filters, groups: 1 }, &columns, 21, true);
    }
}
