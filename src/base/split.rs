//! Even splits: of samples over ranks, of work over tasks.

pub use ternflock_collectives::all_reduce::cut::chunk;
