//! Converts a gradient to ternaries and back, without any other rank:
//!
//! ```text
//! cargo run --release -p ternflock-collectives --example codec
//! ```

use ternflock_collectives::codec::{Layout, Moments, Rounding, decode, encode};
use ternflock_collectives::planes::TERNARY;
use ternflock_collectives::random::{Purpose, Stream};

const ELEMENTS: usize = 10_000;

pub(crate) fn main() {
    let gradient: Vec<f32> = (0..ELEMENTS).map(|element| (element as f32).sin().powi(3)).collect();
    let moments = Moments::of(&gradient);
    let clip = moments.clip(2.5);
    let scale = moments.scale(clip);

    let layout = Layout::new([ELEMENTS]);
    let mut planes = vec![0; layout.words(TERNARY)];
    println!("{ELEMENTS} gradients: {} bytes as float32, {} as ternaries", 4 * ELEMENTS, 8 * planes.len());

    let stream = Stream { seed: 1, purpose: Purpose::Ternary, step: 0, subject: 0, tensor: 0 };
    let roundings = [("stochastic", Rounding::Stochastic(&stream)), ("nearest", Rounding::Nearest)];
    for (name, rounding) in roundings {
        encode(&gradient, clip, scale, rounding, layout.first_word(0), &mut planes);
        let mut decoded = vec![0.0; ELEMENTS];
        decode(&planes, TERNARY, layout.first_word(0), scale, &mut decoded);
        // Each value is 0 or the scale with a sign, and no sign changes.
        assert!(decoded.iter().zip(&gradient).all(|(d, g)| *d == 0.0 || *d == scale.copysign(*g)));
        let nonzero = decoded.iter().filter(|value| **value != 0.0).count();
        println!("{name:>10} rounding: scale {scale:.3}, {:.1} % not zero", percent(nonzero));
    }
}

fn percent(part: usize) -> f64 {
    100.0 * part as f64 / ELEMENTS as f64
}
