//! Times matrix products of this program against BLAS, after checking that they agree.
//!
//! Sample runs:
//!   cargo run --release --example matrix_products
//!   cargo run --release --example matrix_products -- 2
//!   OPENBLAS_CORETYPE=Haswell cargo run --release --example matrix_products -- 1 avx2
//!
//! The arguments are the number of threads (default 1) and the instruction set of this program's own kernels
//! (default: the best). The shapes are those of the language models (forward
//! pass, gradient of the weight, gradient of the input), of LeNet, and squares. Each figure is the best of
//! several rounds, in which all variants alternate. BLAS gets the longer side of the result in one part per
//! thread.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2, Axis, Slice};
use ternflock::tensor::{
    Buffers, Gemm, Isa, Precision, blas, for_each, matrix, matrix_mut, set_isa, set_threads, within,
};

/// Rows, inputs and units of a fully connected layer, or of the gates of a recurrent one.
const LAYERS: [(&str, [usize; 3]); 6] = [
    ("LSTM medium logits", [700, 650, 10_000]),
    ("LSTM medium gates", [700, 650, 2600]),
    ("LSTM small logits", [400, 200, 10_000]),
    ("LSTM small gates", [400, 200, 800]),
    ("LSTM medium, one step", [20, 650, 2600]),
    ("LeNet linear", [64, 800, 500]),
];

const SQUARES: [usize; 3] = [512, 1024, 2048];

/// A product of two operands, which may be transposed.
struct Product {
    name: String,
    /// `[m, n, k]`.
    sizes: [usize; 3],
    transposed: [bool; 2],
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let threads = std::env::args().nth(1).map_or(Ok(1), |threads| threads.parse())?;
    if let Some(name) = std::env::args().nth(2) {
        set_isa(Isa::named(&name).ok_or("there is no such instruction set")?)?;
    }
    set_threads(threads)?;
    println!("GFLOP/s, threads: {threads}; {}", blas());
    println!("{:36} {:>18} {:>8} {:>8} {:>8}", "product", "m x n x k", "BLAS", "float32", "bf16");
    let layers = LAYERS.into_iter().flat_map(|(name, [rows, inputs, units])| {
        let product =
            |pass, sizes, transposed| Product { name: format!("{name}, {pass}"), sizes, transposed };
        [
            product("forward", [rows, units, inputs], [false, true]),
            product("d weight", [units, inputs, rows], [true, false]),
            product("d input", [rows, inputs, units], [false, false]),
        ]
    });
    let squares = SQUARES.into_iter().map(|side| Product {
        name: format!("square {side}"),
        sizes: [side; 3],
        transposed: [false; 2],
    });
    for product in layers.chain(squares) {
        let Product { name, sizes: [m, n, k], .. } = &product;
        let [blas, float32, bf16] = product.speeds(threads)?;
        println!("{name:36} {:>18} {blas:8.0} {float32:8.0} {bf16:8.0}", format!("{m} x {n} x {k}"));
    }
    Ok(())
}

impl Product {
    /// GFLOP/s of BLAS, and of this program in float32 and in bf16.
    fn speeds(&self, threads: usize) -> Result<[f64; 3], String> {
        let [m, n, k] = self.sizes;
        let wave = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<_>>();
        let (a, b) = (wave(m * k, 0.37), wave(k * n, 0.71));
        let a = view(&a, m, k, self.transposed[0]);
        let b = view(&b, k, n, self.transposed[1]);
        let gemm = |precision| Gemm::new(precision, &[self.sizes], &mut Buffers::allocating());
        let (mut float32, mut bf16) = (gemm(Precision::Float32)?, gemm(Precision::Bf16)?);
        let mut results = [(); 3].map(|()| vec![0.0; m * n]);
        let mut best = [f64::INFINITY; 3];
        let operations = 2.0 * (m * n * k) as f64;
        for _ in 0..(3e10 / operations).clamp(3.0, 1000.0) as usize {
            for (variant, (c, best)) in results.iter_mut().zip(&mut best).enumerate() {
                let c = matrix_mut(c, m, n);
                let start = Instant::now();
                match variant {
                    0 => within(|| with_blas(threads, a, b, c)),
                    1 => within(|| float32.multiply(1.0, a, b, 0.0, c)),
                    _ => within(|| bf16.multiply(1.0, a, b, 0.0, c)),
                }
                *best = best.min(start.elapsed().as_secs_f64());
            }
        }
        // Rounding to bf16 changes a term, of magnitude 1 at most, by about 2^-7; a sum in another order by less.
        let [expected, float32, bf16] = results;
        // A NaN is not near anything.
        let agree = |found: &[f32], tolerance: f32| {
            found.iter().zip(&expected).all(|(found, expected)| (found - expected).abs() <= tolerance)
        };
        if !agree(&float32, k as f32 / (1 << 16) as f32) || !agree(&bf16, k as f32 / (1 << 7) as f32) {
            return Err(format!("{}: the results differ", self.name));
        }
        Ok(best.map(|seconds| operations / seconds / 1e9))
    }
}

/// A matrix `[rows, columns]`, stored by rows, or by columns if it is transposed.
fn view(values: &[f32], rows: usize, columns: usize, transposed: bool) -> ArrayView2<'_, f32> {
    match transposed {
        false => matrix(values, rows, columns),
        true => matrix(values, columns, rows).reversed_axes(),
    }
}

/// The product in one part per thread.
fn with_blas(threads: usize, a: ArrayView2<f32>, b: ArrayView2<f32>, c: ArrayViewMut2<f32>) {
    let (m, n) = c.dim();
    let axis = Axis(usize::from(n > m));
    let (mut parts, mut rest) = (Vec::new(), c);
    for part in 0..threads {
        let (start, end) = (m.max(n) * part / threads, m.max(n) * (part + 1) / threads);
        let (own, others) = rest.split_at(axis, end - start);
        rest = others;
        let lines = Slice::from(start..end);
        let (a, b) =
            if n > m { (a, b.slice_axis_move(axis, lines)) } else { (a.slice_axis_move(axis, lines), b) };
        parts.push(Mutex::new((a, b, own)));
    }
    for_each(threads, |part| {
        let mut part = parts[part].lock().unwrap_or_else(PoisonError::into_inner);
        let (a, b, c) = &mut *part;
        general_mat_mul(1.0, a, b, 0.0, c);
    });
}
