//! Averages gradients between four threads, each of which is a rank. It needs no MPI:
//!
//! ```text
//! cargo run --release -p ternflock-collectives --example threads
//! ```

use std::error::Error;
use std::thread;
use std::time::Duration;

use ternflock_collectives::Transport;
use ternflock_collectives::average::{Averager, Options};
use ternflock_collectives::random::{Purpose, Stream};
use ternflock_collectives::transport::meter::Metered;
use ternflock_collectives::transport::threads::{self, ThreadTransport};

const RANKS: usize = 4;
const ELEMENTS: usize = 100_000;
const STEPS: u64 = 50;

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // The maximum time that a rank waits for another.
    let ranks = threads::world(RANKS, Duration::from_secs(60));
    let results = thread::scope(|scope| {
        let running: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(|| run(rank))).collect();
        running.into_iter().map(|rank| rank.join().expect("no rank panics")).collect::<Result<Vec<_>, _>>()
    })?;
    let (error, bytes) = &results[0];
    assert!(results.iter().all(|(other, _)| other == error), "all ranks have the same bits");
    println!("{RANKS} ranks averaged {ELEMENTS} elements in each of {STEPS} steps");
    println!("each rank sent {:.2} bits per element, float32 takes {:.2}", bits(*bytes), float32_bits());
    println!("the mean over the steps is {error:.4} of the gradient's norm away from the exact mean");
    assert!(*error < 0.3, "stochastic rounding is unbiased");
    Ok(())
}

/// The work of one rank. It uses the same gradients in each step; their means over the steps approach the
/// exact mean.
fn run(rank: ThreadTransport) -> ternflock_collectives::Result<(f64, u64)> {
    let mut transport = Metered::new(rank);
    let gradients: Vec<Vec<f32>> = (0..RANKS).map(gradient).collect();
    let options = Options { clip_sigma: 0.0, seed: 1, ..Options::default() };
    let mut averager = Averager::new(&mut transport, &[ELEMENTS], options)?;
    let before = transport.reading();
    let mut total = vec![0.0; ELEMENTS];
    for step in 0..STEPS {
        let mut mean = gradients[transport.rank()].clone();
        averager.mean(&mut transport, step, &mut [&mut mean])?;
        total.iter_mut().zip(mean).for_each(|(total, mean)| *total += f64::from(mean));
    }
    let exact = |element: usize| {
        gradients.iter().map(|gradient| f64::from(gradient[element])).sum::<f64>() / RANKS as f64
    };
    let (mut difference, mut norm) = (0.0, 0.0);
    for (element, total) in total.into_iter().enumerate() {
        difference += (total / STEPS as f64 - exact(element)).powi(2);
        norm += exact(element).powi(2);
    }
    Ok(((difference / norm).sqrt(), (transport.reading() - before).bytes_sent))
}

/// Uniform between -1 and 1, with a pattern that all ranks share.
fn gradient(rank: usize) -> Vec<f32> {
    let stream = Stream { seed: 2, purpose: Purpose::Test, step: 0, subject: rank as u32, tensor: 0 };
    let noise = |element: usize| stream.word(element as u64) as f32 / 2.0_f32.powi(31) - 1.0;
    (0..ELEMENTS).map(|element| if element % 2 == 0 { 0.5 } else { -0.5 } + 0.5 * noise(element)).collect()
}

fn bits(bytes: u64) -> f64 {
    8.0 * bytes as f64 / (STEPS as usize * ELEMENTS) as f64
}

/// A ring sends 2 (P - 1) / P elements per element.
fn float32_bits() -> f64 {
    32.0 * 2.0 * (RANKS - 1) as f64 / RANKS as f64
}
