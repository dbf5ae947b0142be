//! The collectives and the codec on ranks that are threads, for worlds and sizes drawn at random.

mod all_reduce;
mod codec;
mod faults;
mod kernels;
mod small;
mod statistics;
mod watch;

use std::thread;
use std::time::Duration;

use ternflock_collectives::philox::{Purpose, Stream};
use ternflock_collectives::transport::meter::{Metered, Traffic};
use ternflock_collectives::transport::threads::{self, ThreadTransport};

/// Long enough for a loaded machine: no test that passes waits for it.
const DEADLINE: Duration = Duration::from_secs(60);

/// What every rank of a world makes of `act`, with its traffic, in rank order.
fn on_ranks<R: Send>(
    world: usize,
    act: impl Fn(&mut Metered<ThreadTransport>) -> R + Sync,
) -> Vec<(R, Traffic)> {
    let ranks = threads::world(world, DEADLINE);
    let run = |rank| {
        let mut rank = Metered::new(rank);
        let result = act(&mut rank);
        (result, rank.reading())
    };
    let run = &run;
    thread::scope(|scope| {
        let running: Vec<_> = ranks.into_iter().map(|rank| scope.spawn(move || run(rank))).collect();
        running.into_iter().map(|thread| thread.join().expect("a rank panicked")).collect()
    })
}

/// Words that differ a rank, for payloads.
fn random(seed: u64, rank: usize) -> impl Iterator<Item = u64> {
    let stream = Stream { seed, purpose: Purpose::Test, step: 0, subject: rank as u32, tensor: 0 };
    (0..).map(move |index| u64::from(stream.word(2 * index)) << 32 | u64::from(stream.word(2 * index + 1)))
}
