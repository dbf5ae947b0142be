//! Recurrent layers, unrolled over the T steps of a sequence. Their states are carried from batch to batch,
//! and gradients stop where a batch begins (truncated back-propagation through time). A layer can also read
//! sequences backwards (`reverse`); nothing is carried then, because the next batch comes before this one in its order.
//!
//! Letters: T steps, N samples, D input features, H hidden units, G gates. A row is one step of one sample; a
//! layer maps `[T, N, D]` to `[T, N, H]`. The contribution of the input to all gates of all steps is one
//! matrix product, and so is the gradient of each weight; only the product of `[N, H]` with the recurrent
//! weight remains for each step.

mod backward;
mod declare;
mod describe;
mod gru;
mod history;
mod lstm;
mod rhn;
mod rnn;
mod sizes;
mod state_weight;

#[cfg(test)]
mod check;
#[cfg(test)]
mod reference;

pub use gru::Gru;
pub use lstm::Lstm;
pub use rhn::Rhn;
pub use rnn::{Nonlinearity, Rnn};
