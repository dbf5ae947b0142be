//! What a run evaluates on, and what identifies the data it read.

use crate::step::evaluate::Evaluator;
use ternflock_checkpoint::Data;
use ternflock_data::{EvaluationFeed, Vocabulary};

/// The data of a run, apart from the training set, which the trainer has.
pub(crate) struct RunData {
    /// The set that is evaluated and so chooses the network.
    pub evaluator: Evaluator,
    /// Its name: "validation" or "test".
    pub set: &'static str,
    /// The test set, if it does not choose the network.
    pub test: Option<Box<dyn EvaluationFeed>>,
    /// The words of a language model.
    pub vocabulary: Option<Vocabulary>,
    /// What identifies all sets, the training set included.
    pub identity: Data,
}
