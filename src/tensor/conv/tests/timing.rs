//! Measures the speed of each direction of a convolution in CPU time, against multiply-adds on registers in the same
//! rounds:
//!
//! ```text
//! cargo test --release -p ternflock-tensor --lib speed_of_each_direction -- --ignored --nocapture
//! ```

use pulp::{Simd, WithSimd};

use super::*;
use crate::simd::dispatch;

/// (channels, filters, size, kernel, stride, padding) of the layers of ConvNet and ResNet-20.
const LAYERS: [(usize, usize, usize, usize, usize, usize); 7] = [
    (3, 32, 32, 5, 1, 2),
    (32, 32, 16, 5, 1, 2),
    (32, 64, 8, 5, 1, 2),
    (16, 16, 32, 3, 1, 1),
    (16, 32, 32, 3, 2, 1),
    (32, 32, 16, 3, 1, 1),
    (64, 64, 8, 3, 1, 1),
];
const BATCH: usize = 64;
const ROUNDS: usize = 15;

/// Multiply-adds of 12 independent sums.
struct Registers(usize);

impl WithSimd for Registers {
    type Output = f32;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let mut sums = [simd.splat_f32s(1.0); 12];
        let factor = std::hint::black_box(simd.splat_f32s(0.5));
        for _ in 0..self.0 {
            for sum in &mut sums {
                *sum = simd.mul_add_e_f32s(*sum, factor, factor);
            }
        }
        sums.into_iter().map(|sum| simd.reduce_sum_f32s(sum)).sum()
    }
}

/// The CPU time of this thread in seconds. Other processes disturb it less than they disturb wall-clock time.
fn seconds() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the clock exists, and there is space for its time.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn time(work: impl FnOnce()) -> f64 {
    let begin = seconds();
    work();
    seconds() - begin
}

#[test]
#[ignore = "a measurement"]
fn speed_of_each_direction() {
    set_threads(1).unwrap();
    let loops = 100_000;
    let peak = (2 * 12 * loops * Machine::this().lanes) as f64;
    println!("GFLOP/s, best and median: multiply-adds on registers, forward, data gradient, weight gradient");
    for (channels, filters, size, kernel, stride, padding) in LAYERS {
        let window = square(channels, size, kernel, stride, padding);
        let shape = Shape { window, filters, groups: 1 };
        let outputs = filters * window.positions() * BATCH;
        let flops = (2 * outputs * shape.group().rows()) as f64;
        let (mut x, mut dy) = (integers(window.image() * BATCH, 1), integers(outputs, 2));
        let mut weight = integers(filters * shape.group().rows(), 3);
        let mut direct = Direct::new(shape, Operands::Float32, &mut Buffers::allocating()).unwrap();
        let mut times: [Vec<f64>; 4] = Default::default();
        for _ in 0..ROUNDS {
            let mut add = |index: usize, flops: f64, time: f64| times[index].push(flops / time / 1e9);
            add(0, peak, time(|| _ = std::hint::black_box(dispatch(Registers(loops)))));
            add(1, flops, time(|| direct.forward(BATCH, &x, &weight, None, &mut dy)));
            add(2, flops, time(|| direct.data_gradient(BATCH, &weight, &dy, &mut x)));
            add(3, flops, time(|| direct.weight_gradient(BATCH, &x, &dy, &mut weight, None)));
            // No infinities and no subnormal numbers.
            x.iter_mut().for_each(|x| *x = 1.0);
            dy.iter_mut().for_each(|dy| *dy = 1.0);
            weight.iter_mut().for_each(|weight| *weight = 1.0);
        }
        print!("{filters:3} x {channels:2} x {kernel} x {kernel}, {size:2} x {size:2} / {stride}:");
        for times in &mut times {
            times.sort_by(f64::total_cmp);
            print!("  {:6.1} {:6.1}", times[ROUNDS - 1], times[ROUNDS / 2]);
        }
        println!();
    }
}
