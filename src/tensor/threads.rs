//! The compute threads of a rank: one pool, which belongs to this module, and loops that distribute their
//! work over it.
//!
//! - [`set_threads`] is called once, when a rank knows its number of cores. From then on, BLAS itself runs on
//!   one thread: large work is split over the pool by [`super::gemm`] and by the layers.
//! - [`within`] runs a complete pass on the pool. Inside it, [`for_each_row`] and [`for_each`] pass on their
//!   work without a lock or an allocation. They also work outside, where each enters the pool separately.
//! - With one thread, everything runs in place, and there is no pool.
//!
//! The thread that waits for a pass (with `exchange.overlap`, the thread that calls MPI) does not belong to
//! the pool.
//!
//! Split outputs, never sums: results do not depend on the number of threads. Only the last bits of BLAS
//! products do ([`super::gemm`] uses BLAS only on machines without AVX-512).

use std::sync::{Arc, PoisonError, RwLock};

use rayon::{ThreadPool, ThreadPoolBuilder, join};

use super::blas::{check_blas_room, keep_blas_on_one_thread};
use ternflock_base::error::{Error, Result};

static POOL: RwLock<Option<Arc<ThreadPool>>> = RwLock::new(None);

/// Work on fewer elements is not worth waking another thread, which takes a few microseconds.
const WORTH_SHARING: usize = 16 * 1024;

/// Parts per thread: enough that a late thread leaves its last parts to the others.
const PARTS: usize = 4;

/// Makes this process compute on `threads` threads from now on. All of them are running when this returns.
///
/// # Errors
/// If the system refuses that many threads, or the address space that BLAS needs for them.
pub fn set_threads(threads: usize) -> Result<()> {
    keep_blas_on_one_thread();
    let pool = match threads {
        0 | 1 => None,
        _ => {
            let builder = ThreadPoolBuilder::new().num_threads(threads);
            let pool = builder.thread_name(|index| format!("compute {index}")).build();
            let refused = |error| Error::Usage(format!("cannot start {threads} threads to compute: {error}"));
            let pool = pool.map_err(refused)?;
            // On a busy machine, a thread that the system starts late would initialise itself (and allocate)
            // during a step. So each thread performs some work now.
            pool.broadcast(|_| ());
            Some(Arc::new(pool))
        }
    };
    // By now, the pool has mapped the memory that it needs.
    check_blas_room(threads)?;
    *POOL.write().unwrap_or_else(PoisonError::into_inner) = pool;
    Ok(())
}

/// The number of compute threads of this process.
pub fn threads() -> usize {
    pool().map_or(1, |pool| pool.current_num_threads())
}

/// The index of this thread, below [`threads`]. Work can use it to select its own scratch space.
pub fn thread() -> usize {
    rayon::current_thread_index().unwrap_or(0)
}

fn pool() -> Option<Arc<ThreadPool>> {
    POOL.read().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Runs `work` on the pool and waits for it. It runs in place if this is already a thread of the pool, or if
/// there is no pool.
pub fn within<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match pool() {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Calls `task` once with each of 0, 1, ... below `tasks`, in no particular order. Each task should be large
/// enough to be worth passing to another thread.
pub fn for_each(tasks: usize, task: impl Fn(usize) + Sync) {
    if tasks < 2 || threads() == 1 {
        (0..tasks).for_each(task);
    } else {
        within(|| halve(0..tasks, &task));
    }
}

fn halve(tasks: std::ops::Range<usize>, task: &(impl Fn(usize) + Sync)) {
    match tasks.len() {
        0 => (),
        1 => task(tasks.start),
        len => {
            let middle = tasks.start + len / 2;
            join(|| halve(tasks.start..middle, task), || halve(middle..tasks.end, task));
        }
    }
}

/// Slices that are cut into equal numbers of rows, for [`for_each_row`]. The slices of a tuple advance
/// together.
pub trait Rows: Sized + Send {
    /// One row of each slice.
    type Row;
    /// The number of rows.
    fn count(&self) -> usize;
    /// The number of elements in all rows together.
    fn elements(&self) -> usize;
    /// The first `rows` rows, and the others.
    fn cut(self, rows: usize) -> (Self, Self);
    /// The rest as one row.
    fn row(self) -> Self::Row;
}

/// `values` in rows of `width` elements; the last may be shorter.
pub fn rows<T: Sync>(values: &[T], width: usize) -> Read<'_, T> {
    Read { values, width: width.max(1) }
}

/// `values` in mutable rows of `width` elements; the last may be shorter.
pub fn rows_mut<T: Send>(values: &mut [T], width: usize) -> Write<'_, T> {
    Write { values, width: width.max(1) }
}

/// Rows for reading: see [`rows`].
pub struct Read<'a, T> {
    values: &'a [T],
    width: usize,
}

/// Rows for writing: see [`rows_mut`].
pub struct Write<'a, T> {
    values: &'a mut [T],
    width: usize,
}

macro_rules! slices {
    ($name:ident, $slice:ty, $bound:ident, $split:ident) => {
        impl<'a, T: $bound> Rows for $name<'a, T> {
            type Row = $slice;
            fn count(&self) -> usize {
                self.values.len().div_ceil(self.width)
            }
            fn elements(&self) -> usize {
                self.values.len()
            }
            fn cut(self, rows: usize) -> (Self, Self) {
                let width = self.width;
                let at = rows.saturating_mul(width).min(self.values.len());
                let (first, rest) = self.values.$split(at);
                ($name { values: first, width }, $name { values: rest, width })
            }
            fn row(self) -> Self::Row {
                self.values
            }
        }
    };
}
slices!(Read, &'a [T], Sync, split_at);
slices!(Write, &'a mut [T], Send, split_at_mut);

macro_rules! tuples {
    ($($name:ident $index:tt),+) => {
        impl<$($name: Rows),+> Rows for ($($name,)+) {
            type Row = ($($name::Row,)+);
            fn count(&self) -> usize {
                let count = self.0.count();
                assert!($(self.$index.count() == count)&&+, "slices of different numbers of rows");
                count
            }
            fn elements(&self) -> usize {
                0 $(+ self.$index.elements())+
            }
            fn cut(self, rows: usize) -> (Self, Self) {
                let cut = ($(self.$index.cut(rows),)+);
                (($(cut.$index.0,)+), ($(cut.$index.1,)+))
            }
            fn row(self) -> Self::Row {
                ($(self.$index.row(),)+)
            }
        }
    };
}
tuples!(A 0, B 1);
tuples!(A 0, B 1, C 2);
tuples!(A 0, B 1, C 2, D 3);
tuples!(A 0, B 1, C 2, D 3, E 4);

/// Calls `visit` with each row and its number, in no particular order.
///
/// # Panics
/// If the slices of a tuple have different numbers of rows.
pub fn for_each_row<R: Rows>(rows: R, visit: impl Fn(usize, R::Row) + Sync) {
    let count = rows.count();
    let threads = if rows.elements() < WORTH_SHARING { 1 } else { threads() };
    if threads == 1 || count < 2 {
        each(rows, 0, count, &visit);
    } else {
        let part = count.div_ceil(threads * PARTS);
        within(|| share(rows, 0, count, part, &visit));
    }
}

fn share<R: Rows>(rows: R, first: usize, count: usize, part: usize, visit: &(impl Fn(usize, R::Row) + Sync)) {
    if count <= part {
        return each(rows, first, count, visit);
    }
    let half = (count / part).div_ceil(2) * part;
    let (left, right) = rows.cut(half);
    join(|| share(left, first, half, part, visit), || share(right, first + half, count - half, part, visit));
}

#[inline]
fn each<R: Rows>(mut rows: R, first: usize, count: usize, visit: &impl Fn(usize, R::Row)) {
    for index in first..first + count {
        let (row, rest) = rows.cut(1);
        rows = rest;
        visit(index, row.row());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    /// Runs `test` on one, two and three threads. Other tests of this process may compute in the meantime;
    /// their results do not depend on the number.
    fn on_threads(test: impl Fn()) {
        for count in [1, 2, 3] {
            set_threads(count).unwrap();
            test();
        }
        set_threads(1).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn every_row_is_visited_once(width in 1usize..50, elements in 0usize..60_000) {
            let x: Vec<usize> = (0..elements).collect();
            on_threads(|| {
                let (mut y, mut ends) = (vec![0; elements], vec![0; elements.div_ceil(width)]);
                within(|| for_each_row((rows(&x, width), rows_mut(&mut y, width), rows_mut(&mut ends, 1)),
                    |index, (x, y, end)| {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y += x + 1);
                        end[0] += index + 1;
                    }));
                assert!(y.iter().enumerate().all(|(i, &y)| y == i + 1));
                assert!(ends.iter().enumerate().all(|(i, &end)| end == i + 1));
            });
        }
    }

    #[test]
    fn every_task_runs_once_inside_and_outside() {
        on_threads(|| {
            for tasks in [0, 1, 2, 7, 100] {
                let count: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
                let task = |index: usize| _ = count[index].fetch_add(1, Relaxed);
                for_each(tasks, task);
                within(|| for_each(tasks, task));
                assert!(count.iter().all(|count| count.load(Relaxed) == 2));
            }
        });
    }
}
