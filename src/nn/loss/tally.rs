//! Sums over samples, from which losses and scores are computed.

/// The result of a batch. The tallies of parts add up to the tally of the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// The sum of the samples' losses, in nats.
    pub loss: f64,
    /// Samples whose largest logit is the label's (the first of equals counts).
    pub correct: u64,
    /// Samples.
    pub samples: u64,
}

impl Tally {
    /// The mean loss per sample.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.samples as f64
    }

    /// The share of correct samples.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.samples as f64
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.samples += other.samples;
    }
}
