//! The direct kernels equal the im2col path to the bit, on integers so small that every sum is exact.

use proptest::prelude::*;

use super::direct::Direct;
use super::im2col_gemm::Im2colGemm;
use super::*;
use crate::threads::{set_threads, within};

pub fn integers(n: usize, salt: usize) -> Vec<f32> {
    (0..n).map(|i| ((i * 7 + i / 5 + salt * 13) % 9) as f32 - 4.0).collect()
}

pub fn shapes() -> impl Strategy<Value = Shape> {
    let pair = |range: std::ops::Range<usize>| (range.clone(), range);
    (1usize..9, 1usize..10, 1usize..4, pair(1..13), pair(1..6), pair(1..4), pair(0..3)).prop_filter_map(
        "the kernel fits",
        |(channels, filters, groups, size, kernel, stride, padding)| {
            let output = |size: usize, kernel: usize, stride: usize, padding: usize| {
                (size + 2 * padding)
                    .checked_sub(kernel)
                    .filter(|_| padding < kernel)
                    .map(|room| room / stride + 1)
            };
            let output = (
                output(size.0, kernel.0, stride.0, padding.0)?,
                output(size.1, kernel.1, stride.1, padding.1)?,
            );
            let window = Window { channels: channels * groups, size, kernel, stride, padding, output };
            Some(Shape { window, filters: filters * groups, groups })
        },
    )
}

fn check(shape: Shape, batch: usize, bias: bool) {
    let Shape { window, filters, groups } = shape;
    let outputs = filters * window.positions() * batch;
    let x = integers(window.image() * batch, 1);
    let weight = integers(filters * shape.group().rows(), 2);
    let dy = integers(outputs, 3);
    let begin = integers(filters, 4);
    let begin = bias.then_some(&begin[..]);
    let (mut columns, mut direct) = (Im2colGemm::new(shape, None, batch), Direct::new(shape));

    let (mut y, mut expected) = (vec![f32::NAN; outputs], vec![f32::NAN; outputs]);
    columns.forward(batch, &x, &weight, begin, &mut expected);
    within(|| direct.forward(batch, &x, &weight, begin, &mut y));
    assert_eq!(y, expected, "forward, {groups} groups");

    let (mut dx, mut expected) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    columns.data_gradient(batch, &weight, &dy, &mut expected);
    within(|| direct.data_gradient(batch, &weight, &dy, &mut dx));
    assert_eq!(dx, expected, "data gradient");

    let gradients = || (vec![f32::NAN; weight.len()], vec![f32::NAN; filters]);
    let ((mut dw, mut db), (mut expected, mut expected_db)) = (gradients(), gradients());
    columns.weight_gradient(batch, &x, &dy, &mut expected, Some(&mut expected_db));
    within(|| direct.weight_gradient(batch, &x, &dy, &mut dw, Some(&mut db)));
    assert_eq!((dw, db), (expected, expected_db), "weight gradient");
}

proptest! {
    #[test]
    fn direct_equals_columns(shape in shapes(), batch in 1usize..40, bias: bool, threads in 1usize..3) {
        set_threads(threads).unwrap();
        check(shape, batch, bias);
    }
}

/// Several slabs of rows, several partial sums of the weight gradient, blocks of all sizes.
#[test]
fn large_shapes() {
    for (channels, filters, size, kernel, stride, padding) in [
        (1, 20, 28, 5, 1, 0),
        (3, 32, 32, 5, 1, 2),
        (16, 16, 32, 3, 1, 1),
        (16, 32, 32, 3, 2, 1),
        (40, 7, 17, 1, 1, 0),
    ] {
        let output = (size + 2 * padding - kernel) / stride + 1;
        let window = Window {
            channels,
            size: (size, size),
            kernel: (kernel, kernel),
            stride: (stride, stride),
            padding: (padding, padding),
            output: (output, output),
        };
        check(Shape { window, filters, groups: 1 }, 21, true);
    }
}

/// Half a vector is enough; but one lane is no vector, whatever the batch.
#[test]
fn without_vector_instructions_batches_of_any_size_go_by_columns() {
    let machine = |lanes| Machine { lanes, registers: 16 };
    for lanes in [4, 8, 16] {
        assert!(is_direct(machine(lanes), lanes / 2) && is_direct(machine(lanes), 100), "{lanes}");
        assert!(!is_direct(machine(lanes), lanes / 2 - 1), "{lanes}");
    }
    let window =
        Window { channels: 2, size: (5, 4), kernel: (3, 2), stride: (1, 1), padding: (0, 0), output: (3, 3) };
    let (shape, batch) = (Shape { window, filters: 3, groups: 1 }, 40);
    assert!(!is_direct(machine(1), 1) && !is_direct(machine(1), batch));
    let (x, weight) = (integers(window.image() * batch, 1), integers(3 * window.rows(), 2));
    let [y, expected] = [machine(1), machine(8)].map(|machine| {
        let mut y = vec![f32::NAN; 3 * window.positions() * batch];
        Convolution::on(machine, shape, None, batch).forward(batch, &x, &weight, None, &mut y);
        y
    });
    assert_eq!(y, expected);
}
