//! Times convolutions without some columns of their matrix against complete ones, after checking that they
//! compute the same.
//!
//! Sample runs:
//!   cargo run --release --example shape_sparse
//!   cargo run --release --example shape_sparse -- 100
//!
//! The argument is the batch size (default 64). It uses one thread. Each figure is the best of several
//! rounds, in which all variants alternate. Below it are the times with im2col and BLAS, as in the published
//! code: the time of im2col, and that of the product alone.

use std::time::Instant;

use ternflock::tensor::{
    Buffers, Convolution, ConvolutionShape, Precision, Window, gemm, im2col, matrix, matrix_mut, set_threads,
};

/// A layer: name, channels, filters, size, kernel, padding; and the filters, channels and columns that are left.
type Row = (&'static str, [usize; 5], [usize; 3]);

/// Wen et al.'s LeNets by shape and ConvNet by rows and columns (NIPS 2016), and complete matrices with lists
/// of columns.
const ROWS: [Row; 12] = [
    ("LeNet 4 conv1", [1, 20, 28, 5, 0], [2, 1, 21]),
    ("LeNet 4 conv2", [20, 50, 12, 5, 0], [50, 2, 41]),
    ("LeNet 5 conv1", [1, 20, 28, 5, 0], [1, 1, 7]),
    ("LeNet 5 conv2", [20, 50, 12, 5, 0], [50, 1, 14]),
    ("ConvNet conv2, 40.7 %", [32, 32, 16, 5, 2], [23, 32, 326]),
    ("ConvNet conv3, 64.9 %", [32, 64, 8, 5, 2], [63, 32, 519]),
    ("LeNet conv1, all", [1, 20, 28, 5, 0], [20, 1, 25]),
    ("LeNet conv2, all", [20, 50, 12, 5, 0], [50, 20, 500]),
    ("ConvNet conv2, all", [32, 32, 16, 5, 2], [32, 32, 800]),
    ("ConvNet conv3, all", [32, 64, 8, 5, 2], [64, 32, 800]),
    ("ConvNet conv3, 90 %", [32, 64, 8, 5, 2], [64, 32, 720]),
    ("ResNet 16x16x3x3, 50 %", [16, 16, 32, 3, 1], [16, 16, 72]),
];

const ROUNDS: usize = 41;

/// One variant of a layer with its values.
struct Variant {
    convolution: Convolution,
    x: Vec<f32>,
    weight: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    dx: Vec<f32>,
    dw: Vec<f32>,
}

/// Small integers: all sums are exact.
fn integers(count: usize, salt: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 7 + i / 5 + salt * 13) % 9) as f32 - 4.0).collect()
}

fn shape([_, _, size, kernel, padding]: [usize; 5], channels: usize, filters: usize) -> ConvolutionShape {
    let output = size + 2 * padding - kernel + 1;
    let window = Window {
        channels,
        size: (size, size),
        kernel: (kernel, kernel),
        stride: (1, 1),
        padding: (padding, padding),
        output: (output, output),
    };
    ConvolutionShape { window, filters, groups: 1 }
}

impl Variant {
    fn new(shape: ConvolutionShape, kept: Option<&[usize]>, weight: Vec<f32>, batch: usize) -> Variant {
        let outputs = shape.filters * shape.window.positions() * batch;
        let images = shape.window.image() * batch;
        Variant {
            convolution: Convolution::new(shape, kept, batch, Precision::Float32, &mut Buffers::allocating())
                .expect("the layers of the table are small"),
            x: integers(images, 1),
            y: vec![0.0; outputs],
            dy: integers(outputs, 3),
            dx: vec![0.0; images],
            dw: vec![0.0; weight.len()],
            weight,
        }
    }

    /// The forward pass with im2col and BLAS, in tiles of a quarter of a megabyte: seconds of im2col and of
    /// the products.
    fn lower(&mut self, shape: &ConvolutionShape, kept: &[usize], batch: usize) -> [f64; 2] {
        let (positions, k) = (shape.window.positions(), kept.len());
        let tile = (65_536 / (k * batch)).clamp(1, positions);
        let (mut columns, mut times) = (vec![0.0; k * tile * batch], [0.0; 2]);
        for first in (0..positions).step_by(tile) {
            let tile = first..positions.min(first + tile);
            let begin = Instant::now();
            im2col(&shape.window, Some(kept), &self.x, batch, tile.clone(), &mut columns);
            let lowered = begin.elapsed();
            let mut y = matrix_mut(&mut self.y, shape.filters, positions * batch);
            let y = y.slice_mut(ndarray::s![.., tile.start * batch..tile.end * batch]);
            let weight = matrix(&self.weight, shape.filters, k);
            gemm(1.0, weight, matrix(&columns, k, tile.len() * batch), 0.0, y);
            times[0] += lowered.as_secs_f64();
            times[1] += (begin.elapsed() - lowered).as_secs_f64();
        }
        times
    }

    /// Seconds of the forward pass, the weight gradient and the data gradient.
    fn run(&mut self, batch: usize) -> [f64; 3] {
        let begin = Instant::now();
        self.convolution.forward(batch, &self.x, &self.weight, None, &mut self.y);
        let forward = begin.elapsed();
        self.convolution.weight_gradient(batch, &self.x, &self.dy, &mut self.dw, None);
        let weight = begin.elapsed();
        self.convolution.data_gradient(batch, &self.weight, &self.dy, &mut self.dx);
        [forward, weight - forward, begin.elapsed() - weight].map(|time| time.as_secs_f64())
    }
}

fn main() {
    let batch = std::env::args().nth(1).map_or(64, |batch| batch.parse().expect("the batch is a number"));
    set_threads(1).expect("one thread is no pool");
    println!(
        "batch {batch}, one thread; ms forward, weight gradient, data gradient; times the whole layer's\n"
    );
    for (name, layer, [filters, channels, kept]) in ROWS {
        let all = channels * layer[3] * layer[3];
        // Distributed evenly over the remaining channels.
        let columns: Vec<usize> = (0..kept).map(|at| at * all / kept).collect();
        let weight = integers(filters * kept, 2);
        let mut with_zeros = vec![0.0; filters * all];
        for (row, zeros) in weight.chunks_exact(kept).zip(with_zeros.chunks_exact_mut(all)) {
            columns.iter().zip(row).for_each(|(&column, &value)| zeros[column] = value);
        }
        let whole = shape(layer, layer[0], layer[1]);
        let less = shape(layer, channels, filters);
        let mut variants = [
            Variant::new(whole, None, integers(whole.filters * whole.window.rows(), 2), batch),
            Variant::new(less, None, with_zeros, batch),
            Variant::new(less, Some(&columns), weight, batch),
        ];
        let (mut best, mut lowered) = ([[f64::INFINITY; 3]; 3], [[f64::INFINITY; 2]; 2]);
        let every: Vec<usize> = (0..whole.window.rows()).collect();
        // The first round warms up.
        for round in 0..=ROUNDS {
            for (variant, best) in variants.iter_mut().zip(&mut best) {
                let times = variant.run(batch);
                if round > 0 {
                    best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(1e3 * time));
                }
            }
            let found = variants[2].y.clone();
            let times = [variants[0].lower(&whole, &every, batch), variants[2].lower(&less, &columns, batch)];
            assert!(found == variants[2].y, "{name}: by BLAS the same");
            for (best, times) in lowered.iter_mut().zip(times) {
                best.iter_mut().zip(times).for_each(|(best, time)| *best = best.min(1e3 * time));
            }
        }
        let [_, zeros, sparse] = &variants;
        assert!(zeros.y == sparse.y && zeros.dx == sparse.dx, "{name}: with zeros and without is the same");
        println!("{name}: {} x {} to {filters} x {kept} columns", layer[1], layer[0] * layer[3] * layer[3]);
        for (what, each) in ["whole", "fewer units, whole kernels", "columns"].iter().zip(best) {
            let ratio = |pass: usize| best[0][pass] / each[pass];
            println!(
                "  {what:27} {:7.3} {:7.3} {:7.3}   {:5.2}x {:5.2}x {:5.2}x",
                each[0],
                each[1],
                each[2],
                ratio(0),
                ratio(1),
                ratio(2)
            );
        }
        for (what, [lower, product]) in ["whole", "columns"].iter().zip(lowered) {
            let ratios = [(lowered[0][0] + lowered[0][1]) / (lower + product), lowered[0][1] / product];
            println!(
                "  {what:8} by im2col and BLAS: {lower:7.3} + {product:7.3}   {:5.2}x, product alone {:5.2}x",
                ratios[0], ratios[1]
            );
        }
    }
}
