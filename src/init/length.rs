//! How long a first run trains: a few minutes at most.

use ternflock_nn::Shape;

/// Multiply-adds of all forward passes of a run: with the backward passes, some minutes of two cores.
const BUDGET: u64 = 1 << 40;

/// The bounds of the batch: smaller ones compute badly and starve ranks, larger ones make few steps.
const BATCH: [usize; 2] = [16, 64];
/// The share of an epoch that a batch is.
const STEPS_PER_EPOCH: usize = 20;
/// The most epochs of a small data set.
const MOST_EPOCHS: usize = 100;

/// The tokens that a column of a text has at least, the bounds of the number of columns, the tokens that a run should read, and
/// the most epochs of a short text.
const TOKENS_PER_COLUMN: usize = 2000;
const TEXT_BATCH: [usize; 2] = [4, 16];
const TOKENS_OF_RUN: usize = 1_000_000;
const MOST_TEXT_EPOCHS: usize = 40;

/// The length of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// The samples of a step.
    pub batch: usize,
    /// The passes over the training samples.
    pub epochs: usize,
    /// Whether the data are so large that the number of epochs is limited by the time they take.
    pub is_short: bool,
}

impl Length {
    /// For `samples` training samples of the shape `input`, with the cost `multiply_adds` of one.
    pub fn new(input: Shape, samples: usize, multiply_adds: u64) -> Length {
        let batch =
            (samples / STEPS_PER_EPOCH).next_power_of_two().clamp(BATCH[0], BATCH[1]).min(samples.max(1));
        let steps = match input {
            Shape::Vector { .. } => 2000,
            Shape::Image { .. } | Shape::Sequence { .. } | Shape::Tokens { .. } => 1000,
        };
        let wanted = (steps * batch).div_ceil(samples.max(1)).clamp(5, MOST_EPOCHS);
        Length::within_budget(batch, wanted, multiply_adds.saturating_mul(samples as u64))
    }

    /// For a text of about `tokens` tokens, with the cost `multiply_adds` of one.
    pub fn of_text(tokens: usize, multiply_adds: u64) -> Length {
        let batch = (tokens / TOKENS_PER_COLUMN).next_power_of_two().clamp(TEXT_BATCH[0], TEXT_BATCH[1]);
        let wanted = (TOKENS_OF_RUN / tokens.max(1)).clamp(5, MOST_TEXT_EPOCHS);
        Length::within_budget(batch, wanted, multiply_adds.saturating_mul(tokens as u64))
    }

    /// At most `wanted` epochs, each of which costs `multiply_adds`.
    fn within_budget(batch: usize, wanted: usize, multiply_adds: u64) -> Length {
        let affordable = usize::try_from(BUDGET / multiply_adds.max(1)).unwrap_or(wanted);
        let epochs = wanted.min(affordable).max(1);
        Length { batch, epochs, is_short: epochs < wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_data_are_seen_often_and_large_ones_once() {
        let of = |samples, cost| Length::new(Shape::Vector { features: 1 }, samples, cost);
        assert_eq!(of(3, 1000), Length { batch: 3, epochs: 100, is_short: false });
        assert_eq!(of(400, 1000), Length { batch: 32, epochs: 100, is_short: false });
        assert_eq!(of(10_000, 1000), Length { batch: 64, epochs: 13, is_short: false });
        assert_eq!(of(1_000_000, 1000), Length { batch: 64, epochs: 5, is_short: false });
        assert_eq!(of(1_000_000, 1 << 30), Length { batch: 64, epochs: 1, is_short: true });
        assert_eq!(Length::of_text(9000, 1000), Length { batch: 4, epochs: 40, is_short: false });
        assert_eq!(Length::of_text(1_000_000, 1000), Length { batch: 16, epochs: 5, is_short: false });
    }
}
