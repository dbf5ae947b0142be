//! The direct kernels give the same bits as the im2col path, on integers so small that every sum is exact.

pub mod bf16;
mod timing;

use proptest::prelude::*;

use super::direct::Direct;
use super::im2col_gemm::Im2colGemm;
use super::operands::Operands;
use super::*;
use crate::testing::integers;
use crate::threads::{set_threads, within};

/// The window of a square kernel over square images.
pub fn square(channels: usize, size: usize, kernel: usize, stride: usize, padding: usize) -> Window {
    let output = (size + 2 * padding - kernel) / stride + 1;
    Window {
        channels,
        size: (size, size),
        kernel: (kernel, kernel),
        stride: (stride, stride),
        padding: (padding, padding),
        output: (output, output),
    }
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

/// Compares `tested` with im2col.
fn check(shape: Shape, batch: usize, bias: bool, tested: &mut dyn Convolve) {
    let Shape { window, filters, groups } = shape;
    let outputs = filters * window.positions() * batch;
    let x = integers(window.image() * batch, 1);
    let weight = integers(filters * shape.group().rows(), 2);
    let dy = integers(outputs, 3);
    let begin = integers(filters, 4);
    let begin = bias.then_some(&begin[..]);
    let mut reference = Im2colGemm::new(shape, None, batch, &mut Buffers::allocating()).unwrap();

    let (mut y, mut expected) = (vec![f32::NAN; outputs], vec![f32::NAN; outputs]);
    reference.forward(batch, &x, &weight, begin, &mut expected);
    within(|| tested.forward(batch, &x, &weight, begin, &mut y));
    assert_eq!(y, expected, "forward, {groups} groups");

    let (mut dx, mut expected) = (vec![f32::NAN; x.len()], vec![f32::NAN; x.len()]);
    reference.data_gradient(batch, &weight, &dy, &mut expected);
    within(|| tested.data_gradient(batch, &weight, &dy, &mut dx));
    assert_eq!(dx, expected, "data gradient");

    let gradients = || (vec![f32::NAN; weight.len()], vec![f32::NAN; filters]);
    let ((mut dw, mut db), (mut expected, mut expected_db)) = (gradients(), gradients());
    reference.weight_gradient(batch, &x, &dy, &mut expected, Some(&mut expected_db));
    within(|| tested.weight_gradient(batch, &x, &dy, &mut dw, Some(&mut db)));
    assert_eq!((dw, db), (expected, expected_db), "weight gradient");
}

proptest! {
    #[test]
    fn direct_equals_im2col(shape in shapes(), batch in 1usize..40, bias: bool, threads in 1usize..3) {
        set_threads(threads).unwrap();
        check(shape, batch, bias, &mut Direct::new(shape, Operands::Float32, &mut Buffers::allocating()).unwrap());
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
        let window = square(channels, size, kernel, stride, padding);
        let shape = Shape { window, filters, groups: 1 };
        // A part of a block, and more than one group of blocks.
        for batch in [21, 100] {
            let mut tested = Direct::new(shape, Operands::Float32, &mut Buffers::allocating()).unwrap();
            check(shape, batch, true, &mut tested);
        }
    }
}

const WINDOW: Window =
    Window { channels: 2, size: (5, 4), kernel: (3, 2), stride: (1, 1), padding: (0, 0), output: (3, 3) };
const SHAPE: Shape = Shape { window: WINDOW, filters: 3, groups: 1 };

fn machine(lanes: usize) -> Machine {
    Machine { lanes, registers: 16 }
}

fn by(algorithms: &[Algorithm], machine: Machine, problem: Problem) -> Convolution {
    Convolution::by(algorithms, machine, problem, &mut Buffers::allocating()).unwrap()
}

/// Half a vector is enough, but one lane is not a vector, for any batch.
#[test]
fn without_vector_instructions_batches_of_any_size_go_by_im2col() {
    // The smallest batches, and the sizes for which the algorithms have buffers.
    let chosen = |lanes, columns, batch| -> Vec<(usize, usize)> {
        let problem = Problem { shape: SHAPE, columns, batch, precision: Precision::Float32 };
        choose(&ALGORITHMS, machine(lanes), problem)
            .map(|(least, _, problem)| (least, problem.batch))
            .collect()
    };
    for columns in [None, Some(&[1, 4][..])] {
        for lanes in [4, 8, 16] {
            assert_eq!(chosen(lanes, columns, 100), [(lanes / 2, 100), (0, lanes)]);
            assert_eq!(chosen(lanes, columns, lanes / 2), [(lanes / 2, lanes / 2), (0, lanes / 2)]);
            assert_eq!(chosen(lanes, columns, lanes / 2 - 1), [(0, lanes / 2 - 1)]);
        }
        assert_eq!(chosen(1, columns, 1), [(0, 1)]);
        assert_eq!(chosen(1, columns, 40), [(0, 40)]);
    }
    let batch = 40;
    let (x, weight) = (integers(WINDOW.image() * batch, 1), integers(3 * WINDOW.rows(), 2));
    let [y, expected] = [machine(1), machine(8)].map(|machine| {
        let mut y = vec![f32::NAN; 3 * WINDOW.positions() * batch];
        let problem = Problem { shape: SHAPE, columns: None, batch, precision: Precision::Float32 };
        let mut convolution = by(&ALGORITHMS, machine, problem);
        convolution.forward(batch, &x, &weight, None, &mut y);
        y
    });
    assert_eq!(y, expected);
}

/// The sums of the definition, one after the other: an example of a new algorithm. It takes batches of 3 and
/// more.
struct Definition(Shape);

const DEFINITION: Algorithm =
    Algorithm { least_batch: |_, _| Some(3), build: |problem, _| Ok(Box::new(Definition(problem.shape))) };

impl Definition {
    /// Calls `term(x, weight, y)` with the places of the factors of each product and of the sum that it belongs to.
    fn each(&self, batch: usize, mut term: impl FnMut(usize, usize, usize)) {
        let Shape { window: Window { channels, size, kernel, stride, padding, output }, filters, groups } =
            self.0;
        let (channels, group) = (channels / groups, filters / groups);
        let pixel = |output: usize, tap: usize, stride: usize, padding: usize, size: usize| {
            (output * stride + tap).checked_sub(padding).filter(|&pixel| pixel < size)
        };
        for (f, c) in (0..filters).flat_map(|f| (0..channels).map(move |c| (f, c))) {
            for (p, q) in (0..output.0).flat_map(|p| (0..output.1).map(move |q| (p, q))) {
                for (r, s) in (0..kernel.0).flat_map(|r| (0..kernel.1).map(move |s| (r, s))) {
                    let h = pixel(p, r, stride.0, padding.0, size.0);
                    let Some((h, v)) = h.zip(pixel(q, s, stride.1, padding.1, size.1)) else { continue };
                    let x = ((f / group * channels + c) * size.0 + h) * size.1 + v;
                    let (weight, y) = (
                        ((f * channels + c) * kernel.0 + r) * kernel.1 + s,
                        (f * output.0 + p) * output.1 + q,
                    );
                    (0..batch).for_each(|n| term(x * batch + n, weight, y * batch + n));
                }
            }
        }
    }
}

impl Convolve for Definition {
    fn forward(&mut self, batch: usize, x: &[f32], weight: &[f32], bias: Option<&[f32]>, y: &mut [f32]) {
        let map = y.len() / self.0.filters;
        (0..y.len()).for_each(|at| y[at] = bias.map_or(0.0, |bias| bias[at / map]));
        self.each(batch, |from, by, to| y[to] += x[from] * weight[by]);
    }

    fn weight_gradient(
        &mut self,
        batch: usize,
        x: &[f32],
        dy: &[f32],
        weight: &mut [f32],
        bias: Option<&mut [f32]>,
    ) {
        let map = dy.len() / self.0.filters;
        if let Some(bias) = bias {
            bias.iter_mut().zip(dy.chunks_exact(map)).for_each(|(bias, map)| *bias = map.iter().sum());
        }
        weight.fill(0.0);
        self.each(batch, |from, by, to| weight[by] += x[from] * dy[to]);
    }

    fn data_gradient(&mut self, batch: usize, weight: &[f32], dy: &[f32], dx: &mut [f32]) {
        dx.fill(0.0);
        self.each(batch, |from, by, to| dx[from] += weight[by] * dy[to]);
    }
}

proptest! {
    /// An algorithm with one type and one entry computes the batches that it requests, and im2col computes
    /// the others; both match the definition.
    #[test]
    fn a_new_algorithm_is_one_entry(shape in shapes(), batch in 1usize..6, bias: bool) {
        let algorithms = [DEFINITION, im2col_gemm::ALGORITHM];
        let problem = Problem { shape, columns: None, batch, precision: Precision::Float32 };
        let mut chosen = by(&algorithms, Machine::this(), problem);
        prop_assert_eq!(chosen.algorithms.len(), 1 + usize::from(batch >= 3));
        check(shape, batch, bias, &mut *chosen.algorithm(batch));
    }
}
