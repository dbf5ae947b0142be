//! A state over the steps of a batch, and the part that is carried to the next batch. A layer that reads backwards
//! begins each batch with a zero state at the last step, and carries nothing.

use super::sizes::Sizes;
use crate::layer::RecurrentState;
use ternflock_tensor::Buffers;

/// One state of a recurrent layer, H numbers per sample.
pub(super) struct History {
    name: &'static str,
    hidden: usize,
    /// T.
    count: usize,
    /// Whether the last step of a sequence is read first.
    reverse: bool,
    /// The state at the end of the last batch: `[capacity, H]`; empty if it is not carried.
    recurrent_state: Vec<f32>,
    /// Before the first step that is read, and after each: `[T + 1, N, H]`. The two states around a step are adjacent;
    /// the order is that of the sequence, so backwards, the first of the two is the state after the step.
    steps: Vec<f32>,
}

impl History {
    /// A zero state called `name`, for batches of up to `capacity` samples.
    pub fn new(
        name: &'static str,
        sizes: &Sizes,
        capacity: usize,
        buffers: &mut Buffers,
    ) -> Result<History, String> {
        let Sizes { steps: count, hidden, reverse, .. } = *sizes;
        let recurrent_state = buffers.zeros(&[if reverse { 0 } else { capacity }, hidden])?;
        let steps = buffers.zeros(&[count + 1, capacity, hidden])?;
        Ok(History { name, hidden, count, reverse, recurrent_state, steps })
    }

    /// Begins a batch of `n` samples with the recurrent state.
    pub fn begin(&mut self, n: usize) {
        let rows = n * self.hidden;
        match self.reverse {
            false => self.steps[..rows].copy_from_slice(&self.recurrent_state[..rows]),
            true => self.steps[self.count * rows..][..rows].fill(0.0),
        }
    }

    /// Before step `t` and after it: `[N, H]` each.
    pub fn around(&mut self, t: usize, n: usize) -> (&[f32], &mut [f32]) {
        let rows = n * self.hidden;
        let (first, second) = self.steps[t * rows..][..2 * rows].split_at_mut(rows);
        if self.reverse { (second, first) } else { (first, second) }
    }

    /// Before step `t`: `[N, H]`.
    pub fn before(&self, t: usize, n: usize) -> &[f32] {
        let rows = n * self.hidden;
        &self.steps[(t + usize::from(self.reverse)) * rows..][..rows]
    }

    /// After step `t`: `[N, H]`.
    pub fn after(&self, t: usize, n: usize) -> &[f32] {
        let rows = n * self.hidden;
        &self.steps[(t + usize::from(!self.reverse)) * rows..][..rows]
    }

    /// Before each step: `[T, N, H]`, followed by other elements.
    pub fn befores(&self, n: usize) -> &[f32] {
        &self.steps[if self.reverse { n * self.hidden } else { 0 }..]
    }

    /// Ends a batch of `n` samples: its last state becomes the recurrent state, if that is carried.
    pub fn end(&mut self, n: usize) {
        let rows = n * self.hidden;
        if !self.reverse {
            self.recurrent_state[..rows].copy_from_slice(&self.steps[self.count * rows..][..rows]);
        }
    }

    /// Sets the recurrent state back to what it was before the last batch, of `n` samples.
    pub fn rewind(&mut self, n: usize) {
        let rows = n * self.hidden;
        if !self.reverse {
            self.recurrent_state[..rows].copy_from_slice(&self.steps[..rows]);
        }
    }

    /// For those who keep it, if it is carried.
    pub fn recurrent_state(&mut self) -> Option<RecurrentState<'_>> {
        let History { name, hidden, reverse, recurrent_state, .. } = self;
        (!*reverse).then_some(RecurrentState { name, width: *hidden, values: recurrent_state })
    }
}
