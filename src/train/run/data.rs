//! The data that a run evaluates on, and the facts that identify all data it read.

use crate::step::evaluate::Evaluator;
use ternflock_checkpoint::Data;
use ternflock_data::{EvaluationFeed, Preparation, Vocabulary};

/// The data of a run, apart from the training set, which the trainer has.
pub(crate) struct RunData {
    /// The set that is evaluated during the run, and by which the network is chosen.
    pub evaluator: Evaluator,
    /// The name of that set: "validation" or "test".
    pub set: &'static str,
    /// The test set, if the network is chosen by another set.
    pub test: Option<Box<dyn EvaluationFeed>>,
    /// The words of a language model.
    pub vocabulary: Option<Vocabulary>,
    /// How samples in the user's own files are prepared.
    pub preparation: Option<Preparation>,
    /// The facts that identify each set, the training set included.
    pub identity: Data,
}
