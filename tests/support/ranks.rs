//! Ranks as threads of this process.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ternflock_collectives::transport::threads;
use ternflock_world::{Late, World};

/// Far longer than any rank computes, so that only a rank that never comes is late.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `body` returns on each of `ranks` ranks, in rank order. One world at a time: how many threads BLAS uses belongs
/// to the process, and every run sets it.
pub fn on_ranks<T: Send>(ranks: usize, body: impl Fn(World) -> T + Sync) -> Vec<T> {
    on_ranks_that_warn(ranks, PATIENCE, |_| {}, body)
}

/// The same with ranks that call `warn` when they have waited for `warn_after`.
pub fn on_ranks_that_warn<T: Send>(
    ranks: usize,
    warn_after: Duration,
    warn: impl FnMut(&Late) + Clone + Send + 'static,
    body: impl Fn(World) -> T + Sync,
) -> Vec<T> {
    static ONE_WORLD: Mutex<()> = Mutex::new(());
    let _alone = ONE_WORLD.lock().unwrap_or_else(PoisonError::into_inner);
    thread::scope(|scope| {
        let body = &body;
        let start = |transport| {
            let warn = warn.clone();
            scope.spawn(move || body(World::new(Box::new(transport), "here", warn_after, Box::new(warn))))
        };
        let ranks: Vec<_> = threads::world(ranks, PATIENCE).into_iter().map(start).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap_or_else(|panic| resume_unwind(panic))).collect()
    })
}
