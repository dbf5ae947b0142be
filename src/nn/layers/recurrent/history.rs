//! A state over the steps of a batch, and the part that is carried to the next batch.

use crate::layer::RecurrentState;
use ternflock_tensor::Buffers;

/// One state of a recurrent layer, H numbers per sample.
pub(super) struct History {
    name: &'static str,
    hidden: usize,
    /// The state at the end of the last batch: `[capacity, H]`.
    recurrent_state: Vec<f32>,
    /// Before the first step, and after each: `[T + 1, N, H]`.
    steps: Vec<f32>,
}

impl History {
    /// A zero state called `name`, for batches of up to `capacity` samples of `steps` steps.
    pub fn new(
        name: &'static str,
        steps: usize,
        hidden: usize,
        capacity: usize,
        buffers: &mut Buffers,
    ) -> Result<History, String> {
        let recurrent_state = buffers.zeros(&[capacity, hidden])?;
        let steps = buffers.zeros(&[steps + 1, capacity, hidden])?;
        Ok(History { name, hidden, recurrent_state, steps })
    }

    /// Begins a batch of `n` samples with the recurrent state.
    pub fn begin(&mut self, n: usize) {
        let rows = n * self.hidden;
        self.steps[..rows].copy_from_slice(&self.recurrent_state[..rows]);
    }

    /// Before step `t` and after it: `[N, H]` each.
    pub fn around(&mut self, t: usize, n: usize) -> (&[f32], &mut [f32]) {
        let rows = n * self.hidden;
        let (before, after) = self.steps.split_at_mut((t + 1) * rows);
        (&before[t * rows..], &mut after[..rows])
    }

    /// Before step `t`: `[N, H]`.
    pub fn before(&self, t: usize, n: usize) -> &[f32] {
        let rows = n * self.hidden;
        &self.steps[t * rows..(t + 1) * rows]
    }

    /// Before each step and after the last: `[T + 1, N, H]`, followed by unused elements.
    pub fn all(&self) -> &[f32] {
        &self.steps
    }

    /// Ends a batch of `n` samples and `t` steps: its last state becomes the recurrent state.
    pub fn end(&mut self, t: usize, n: usize) {
        let rows = n * self.hidden;
        self.recurrent_state[..rows].copy_from_slice(&self.steps[t * rows..(t + 1) * rows]);
    }

    /// For those who keep it.
    pub fn recurrent_state(&mut self) -> RecurrentState<'_> {
        RecurrentState { name: self.name, width: self.hidden, values: &mut self.recurrent_state }
    }
}
