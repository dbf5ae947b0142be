//! Scratch buffers of the threads: each task of a loop over the pool has its own buffer while it runs.

use std::sync::{Mutex, PoisonError};

use super::blocks::{Line, room};
use super::buffers::Buffers;
use super::threads::{thread, threads};

/// One buffer per thread.
pub struct Scratch(Vec<Mutex<Vec<Line>>>);

impl Scratch {
    /// Of `elements` values for each of as many threads as there are now.
    pub fn new(elements: usize, buffers: &mut Buffers) -> Result<Scratch, String> {
        let own = |buffers: &mut Buffers| Ok(Mutex::new(room(elements, buffers)?));
        Ok(Scratch(buffers.repeat(threads(), own)?))
    }

    /// Calls `work` with this thread's buffer, `elements` long. If there are more threads than buffers, some
    /// threads wait. A buffer that is too short is enlarged.
    pub fn with<R>(&self, elements: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
        let own = &self.0[thread() % self.0.len()];
        let mut lines = own.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() * size_of::<Line>() < elements * size_of::<f32>() {
            *lines = vec![Line::default(); elements.div_ceil(16)];
        }
        let values: &mut [f32] = bytemuck::cast_slice_mut(&mut lines);
        work(&mut values[..elements])
    }

    /// The lengths of the buffers, in cache lines.
    #[cfg(test)]
    pub fn lengths(&self) -> Vec<usize> {
        self.0.iter().map(|own| own.lock().map_or(0, |lines| lines.len())).collect()
    }
}
