//! A pool of buffers for messages.

/// Free buffers. Each keeps its last length, so that a request for the same length costs nothing.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    free: Vec<Vec<u64>>,
}

impl Pool {
    /// A buffer of `words` words: one with this length if there is one, otherwise one whose storage fits
    /// without much waste, otherwise a new one. The collectives request the same lengths in each step, so
    /// nothing is allocated after the first step; only coded messages and sparse rows, whose lengths vary, can
    /// need another buffer later.
    pub fn take(&mut self, words: usize) -> Vec<u64> {
        let same = self.free.iter().position(|buffer| buffer.len() == words);
        let fits = || self.free.iter().position(|b| (words..=2 * words).contains(&b.capacity()));
        match same.or_else(fits) {
            Some(index) => {
                let mut buffer = self.free.swap_remove(index);
                buffer.resize(words, 0);
                buffer
            }
            None => vec![0; words],
        }
    }

    /// Keeps `buffer` for a later [`Pool::take`].
    pub fn give(&mut self, buffer: Vec<u64>) {
        if buffer.capacity() > 0 {
            self.free.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_returned_buffer_serves_its_own_length_again() {
        let mut pool = Pool::default();
        pool.give(vec![1; 10]);
        pool.give(vec![2; 6]);
        assert_eq!(pool.take(6), [2; 6]);
        assert_eq!(pool.take(10), [1; 10]);
        assert_eq!(pool.take(10), [0; 10]);
    }

    #[test]
    fn storage_is_reused_for_nearby_lengths_and_not_wasted_on_far_ones() {
        let mut pool = Pool::default();
        pool.give(vec![1; 100]);
        assert_eq!(pool.take(3), [0; 3]);
        let near = pool.take(90);
        assert_eq!((near.len(), near.capacity()), (90, 100));
    }
}
