//! The collectives and the codec on ranks that are threads, for worlds and sizes drawn at random.

mod all_reduce;
mod average;
mod codec;
mod coded_sums;
mod coding;
mod control;
mod cost;
mod examples;
mod faults;
mod integers;
mod kernels;
mod prediction;
mod ring_f32;
mod statistics;
mod watch;
mod wrappers;

use std::thread;
use std::time::Duration;

use ternflock_collectives::planes::{self, TERNARY, WORDS};
use ternflock_collectives::random::{Purpose, Stream};
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::threads::{self, ThreadTransport};

/// Long enough for a busy machine; a test that passes never waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// The results of `act` on all ranks of a world, with their traffic, in rank order.
fn on_ranks<R: Send>(
    world: usize,
    act: impl Fn(&mut Metered<ThreadTransport>) -> R + Sync,
) -> Vec<(R, Traffic)> {
    let ranks = threads::world(world, DEADLINE).into_iter().map(Metered::new).collect();
    on(ranks, |rank| (act(rank), rank.reading()))
}

/// The results of `act` on each of `ranks`, each on its own thread, in order.
fn on<T: Send, R: Send>(ranks: Vec<T>, act: impl Fn(&mut T) -> R + Sync) -> Vec<R> {
    let act = &act;
    thread::scope(|scope| {
        let running: Vec<_> = ranks.into_iter().map(|mut rank| scope.spawn(move || act(&mut rank))).collect();
        running.into_iter().map(|thread| thread.join().expect("a rank panicked")).collect()
    })
}

/// Words for payloads that differ between ranks.
fn random(seed: u64, rank: usize) -> impl Iterator<Item = u64> {
    let stream = Stream { seed, purpose: Purpose::Test, step: 0, subject: rank as u32, tensor: 0 };
    (0..).map(move |index| u64::from(stream.word(2 * index)) << 32 | u64::from(stream.word(2 * index + 1)))
}

/// Ternaries that differ between ranks.
fn ternaries(seed: u64, rank: usize, blocks: usize) -> Vec<u64> {
    let mut words = random(seed, rank);
    let mut payload = vec![0; planes::words(blocks, TERNARY)];
    for block in payload.as_chunks_mut::<{ TERNARY * WORDS }>().0 {
        let (nonzero, negative) = block.split_at_mut(WORDS);
        nonzero.iter_mut().zip(&mut words).for_each(|(word, random)| *word = random);
        nonzero.iter().zip(negative).zip(&mut words).for_each(|((a, b), random)| *b = *a & random);
    }
    payload
}
