//! bf16 convolutions with vectors give the same bits as their portable version, as float32 convolutions of rounded
//! operands, and as the definition, whichever algorithm and instructions compute them. For convolutions with tiles, see
//! `tiles`.

#[cfg(target_arch = "x86_64")]
mod tiles;

use proptest::prelude::*;

use super::*;
use crate::bf16::{has_amx_bf16, multiply_add, round, round_in_place, widen};

/// `count` values of both signs and of magnitudes from 1/8 to 8, which differ for each `salt`.
pub fn reals(count: usize, salt: u32) -> Vec<f32> {
    let bits =
        |index: u32| (index ^ salt << 24).wrapping_mul(0x9e37_79b1).rotate_left(13).wrapping_mul(0x85eb_ca6b);
    let value = |bits: u32| f32::from_bits(bits & 0x807f_ffff | (124 + (bits >> 23) % 6) << 23);
    (0..count as u32).map(|index| value(bits(index))).collect()
}

/// x, weight, bias and dy of a problem.
#[derive(Clone)]
struct Inputs([Vec<f32>; 4]);

impl Inputs {
    fn of(problem: &Problem) -> Inputs {
        let Problem { shape, columns, batch, .. } = *problem;
        let columns = columns.map_or(shape.group().rows(), <[usize]>::len);
        let outputs = shape.filters * shape.window.positions() * batch;
        let counts = [shape.window.image() * batch, shape.filters * columns, shape.filters, outputs];
        Inputs([0, 1, 2, 3].map(|salt| reals(counts[salt], salt as u32)))
    }

    /// All except the bias, which is no operand of a product.
    fn rounded(&self) -> Inputs {
        let mut rounded = self.clone();
        [0, 1, 3].iter().for_each(|&index| round_in_place(&mut rounded.0[index]));
        rounded
    }

    /// The bits of y, dx and the gradient of the weight; and the gradient of the bias.
    fn pass(&self, algorithms: &[Algorithm], problem: &Problem, threads: usize) -> ([Vec<u32>; 3], Vec<f32>) {
        set_threads(threads).unwrap();
        let mut convolution = by(algorithms, Machine::this(), *problem);
        let ([x, weight, bias, dy], batch) = (&self.0, problem.batch);
        let [mut y, mut dx, mut dw, mut db] = [dy, x, weight, bias].map(|like| vec![f32::NAN; like.len()]);
        within(|| {
            convolution.forward(batch, x, weight, Some(bias), &mut y);
            convolution.data_gradient(batch, weight, dy, &mut dx);
            convolution.weight_gradient(batch, x, dy, &mut dw, Some(&mut db));
        });
        ([y, dx, dw].map(|values| values.into_iter().map(f32::to_bits).collect()), db)
    }
}

/// The direct algorithm without tiles.
const BY_VECTORS: Algorithm = Algorithm {
    build: |problem, buffers| {
        Ok(Box::new(Direct::new(problem.shape, Operands::of(problem.precision), buffers)?))
    },
    ..direct::ALGORITHM
};

const VECTORS: [Algorithm; 3] = [column_sparse::ALGORITHM, BY_VECTORS, im2col_gemm::ALGORITHM];

/// What computes bf16 convolutions on processors without instructions for them.
const PORTABLE: [Algorithm; 3] = [
    column_sparse::ALGORITHM,
    Algorithm {
        build: |problem, buffers| Ok(Box::new(Direct::new(problem.shape, Operands::Rounded, buffers)?)),
        ..direct::ALGORITHM
    },
    im2col_gemm::ALGORITHM,
];

/// Compares a bf16 convolution with its portable version, and with the float32 convolution of rounded inputs.
fn check_rounding(shape: Shape, columns: Option<&[usize]>, batch: usize, threads: usize) {
    let problem = Problem { shape, columns, batch, precision: Precision::Bf16 };
    let inputs = Inputs::of(&problem);
    let (found, bias) = inputs.pass(&VECTORS, &problem, threads);
    let (portable, _) = inputs.pass(&PORTABLE, &problem, 1);
    // The weight gradient with tiles adds in its own order, which separate tests compare with the definition.
    let by_tiles = columns.is_none() && has_amx_bf16();
    let float32 = Problem { precision: Precision::Float32, ..problem };
    let (float32, _) = inputs.rounded().pass(&VECTORS, &float32, 1);
    for (index, what) in ["forward", "data gradient", "weight gradient"].into_iter().enumerate() {
        if index < 2 || !by_tiles {
            assert_eq!(found[index], portable[index], "{what}, portable");
        }
        // Direct kernels add the weight gradient's terms in another order, with other work items.
        if index < 2 || columns.is_some() {
            assert_eq!(found[index], float32[index], "{what}, rounded operands");
        }
    }
    // The order of these sums differs.
    let map = shape.window.positions() * batch;
    for (bias, dy) in bias.iter().zip(inputs.0[3].chunks_exact(map)) {
        let exact: f64 = dy.iter().copied().map(f64::from).sum();
        let magnitude: f64 = dy.iter().map(|value| f64::from(value.abs())).sum();
        let tolerance = map as f64 * f64::from(f32::EPSILON) / 2.0 * magnitude;
        assert!((f64::from(*bias) - exact).abs() <= tolerance, "bias gradient: {bias} instead of {exact}");
    }
}

proptest! {
    /// Batches of all sizes: by im2col, in one vector, in two, in three.
    #[test]
    fn bf16_equals_its_portable_version(shape in shapes(), batch in 1usize..80, threads in 1usize..4) {
        check_rounding(shape, None, batch, threads);
    }

    #[test]
    fn the_same_with_some_columns(shape in shapes(), step in 1usize..4, batch in 1usize..40) {
        let columns: Vec<usize> = (0..shape.group().rows()).step_by(step).collect();
        check_rounding(shape, Some(&columns), batch, 2);
    }

    /// Small integers are bf16 values, and all sums are exact.
    #[test]
    fn both_forms_equal_im2col(shape in shapes(), batch in 1usize..80, bias: bool, threads in 1usize..3) {
        set_threads(threads).unwrap();
        for operands in [Operands::of(Precision::Bf16), Operands::Rounded] {
            check(shape, batch, bias, &mut Direct::new(shape, operands, &mut Buffers::allocating()).unwrap());
        }
    }
}

proptest! {
    // Every product is sorted, which takes long.
    #![proptest_config(ProptestConfig::with_cases(32))]

    /// y begins at the bias and adds taps row by row, of each tap all channels. dx begins at 0 and adds the
    /// positions of dy that see the pixel row by row, of each position all filters.
    #[test]
    fn sums_have_the_stated_order(shape in shapes(), batch in 1usize..40) {
        let problem = Problem { shape, columns: None, batch, precision: Precision::Bf16 };
        let inputs = Inputs::of(&problem);
        let direct = Algorithm { least_batch: |_, _| Some(0), ..BY_VECTORS };
        let ([y, dx, _], _) = inputs.pass(&[direct], &problem, 1);
        let [x, weight, bias, dy] = &inputs.0;
        let map = shape.window.positions() * batch;
        let mut expected: Vec<f32> = bias.iter().flat_map(|bias| vec![*bias; map]).collect();
        let mut expected_dx = vec![0.0; x.len()];
        let mut terms = Vec::new();
        Definition(shape).each(batch, |from, by, to| terms.push((from, by, to)));
        let taps = shape.window.kernel.0 * shape.window.kernel.1;
        let group = shape.group().rows();
        // Stable: taps are in order within a channel, and channels are in order.
        terms.sort_by_key(|&(_, by, _)| by % taps);
        for &(from, by, to) in &terms {
            expected[to] = multiply_add(expected[to], widen(round(x[from])), widen(round(weight[by])));
        }
        terms.sort_by_key(|&(_, by, to)| (to % map / batch, by / group));
        for &(from, by, to) in &terms {
            let sum = &mut expected_dx[from];
            *sum = multiply_add(*sum, widen(round(weight[by])), widen(round(dy[to])));
        }
        prop_assert_eq!(y, expected.into_iter().map(f32::to_bits).collect::<Vec<_>>());
        prop_assert_eq!(dx, expected_dx.into_iter().map(f32::to_bits).collect::<Vec<_>>());
    }
}

#[test]
fn large_bf16_shapes() {
    // Without vectors, im2col computes all batches, and the bits of large BLAS products depend on the number of
    // threads, which other tests of this process change.
    if algorithm::half_a_vector(Machine::this()).is_none() {
        return;
    }
    for (channels, filters, size, kernel, stride, padding) in [
        (1, 20, 28, 5, 1, 0),
        (3, 32, 32, 5, 1, 2),
        (16, 32, 32, 3, 2, 1),
        (40, 7, 17, 1, 1, 0),
        (13, 21, 9, 3, 1, 1),
    ] {
        let window = square(channels, size, kernel, stride, padding);
        check_rounding(Shape { window, filters, groups: 1 }, None, 53, 2);
    }
}
