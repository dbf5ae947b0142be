//! Times the kernels of each instruction set this machine has beside a copy of the same vector, one core, one JSON line a
//! set with the medians of 7 runs in milliseconds.
//!
//! Sample run: `cargo run --release -p ternflock-collectives --example kernels -- 25000000`

use std::hint::black_box;
use std::time::Instant;

use ternflock_collectives::kernels::{self, Rounding};
use ternflock_collectives::philox::{Purpose, Stream};
use ternflock_collectives::planes::{BLOCK, TERNARY, words};

fn median_ms(mut work: impl FnMut()) -> f64 {
    let mut times = [0.0; 7];
    for time in &mut times {
        let start = Instant::now();
        work();
        *time = 1e3 * start.elapsed().as_secs_f64();
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let elements = std::env::args().nth(1).map_or(25_000_000, |n| n.parse().expect("a number of elements"));
    let stream = |step| Stream { seed: 1, purpose: Purpose::Test, step, subject: 0, tensor: 0 };
    let gradient: Vec<f32> =
        (0..elements as u64).map(|i| (stream(0).word(i) >> 8) as f32 / 1.7e7 - 0.5).collect();
    let (mut decoded, blocks) = (vec![0.0_f32; elements], elements.div_ceil(BLOCK));
    let mut ternary = vec![0; words(blocks, TERNARY)];
    let (four, mut five) = (vec![0x5555_u64; words(blocks, 4)], vec![0; words(blocks, 5)]);
    for set in kernels::available() {
        let memcpy = median_ms(|| black_box(&mut decoded).copy_from_slice(&gradient));
        let moments = median_ms(|| _ = black_box(set.sums(&gradient)));
        let encode = median_ms(|| {
            set.encode(&gradient, 1.0, 0.5, Rounding::Stochastic(&stream(1)), 0, black_box(&mut ternary))
        });
        let decode_2 = median_ms(|| set.decode(&ternary, 2, 0, 0.1, black_box(&mut decoded)));
        let decode_4 = median_ms(|| set.decode(&four, 4, 0, 0.1, black_box(&mut decoded)));
        let add_4 = median_ms(|| set.add(&four, 4, &four, 4, black_box(&mut five), 5));
        println!(
            "{{\"isa\":\"{}\",\"elements\":{elements},\"memcpy\":{memcpy:.1},\"moments\":{moments:.1},\
             \"encode\":{encode:.1},\"decode_2\":{decode_2:.1},\"decode_4\":{decode_4:.1},\"add_4\":{add_4:.1}}}",
            set.isa()
        );
    }
}
