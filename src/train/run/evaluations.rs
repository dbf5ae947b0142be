//! The evaluations of a run, and which of them was the best.

use ternflock_checkpoint::Best;
use ternflock_nn::Evaluation;
use ternflock_report::Score;

/// The evaluations of a run.
#[derive(Default)]
pub(crate) struct Evaluations {
    /// The best evaluation of the present stage.
    best: Option<Best>,
    /// The last evaluation since the run was started, and its step.
    last: Option<(u64, Evaluation)>,
    /// The step of the checkpoint that the run resumed from, if the checkpoint holds an evaluation of that step. None after
    /// the stage.
    resumed: Option<u64>,
    is_owed: bool,
}

/// How a new evaluation compares with earlier ones.
pub(crate) struct Judgement {
    /// Whether it is the best of its stage.
    pub is_best: bool,
    /// Whether it repeats an evaluation that was made before the restart.
    pub is_again: bool,
}

impl Evaluations {
    /// The evaluations of a run that resumes at `step` from a checkpoint with the best evaluation `best`. `has_own` says
    /// whether the checkpoint holds an evaluation of `step`, and `is_due` whether the job asks for one after `step`.
    pub fn resumed(best: Option<Best>, step: u64, has_own: bool, is_due: bool) -> Evaluations {
        Evaluations { best, last: None, resumed: has_own.then_some(step), is_owed: is_due && !has_own }
    }

    /// Whether the run was stopped before an evaluation that was due, and must make it first.
    pub fn is_owed(&self) -> bool {
        self.is_owed
    }

    /// Whether the checkpoint that the run resumed from holds an evaluation of `step`.
    pub fn is_stored(&self, step: u64) -> bool {
        self.resumed == Some(step)
    }

    /// Begins the next stage, which has a best evaluation of its own.
    pub fn begin_stage(&mut self) {
        (self.best, self.resumed) = (None, None);
    }

    /// Adds the evaluation of `step`, whose score is `score`.
    pub fn add(&mut self, step: u64, evaluation: Evaluation, score: Score) -> Judgement {
        let (loss, is_again) = (evaluation.tally.mean_loss(), self.is_stored(step));
        // What has been judged is not judged again: on another number of ranks the sum of the losses differs in its last
        // bits, and would make a network better than itself, or than one that is as good.
        let is_best = match self.best.as_ref().filter(|best| best.metric == score.name()) {
            Some(best) => !is_again && score.improves(loss, best.value, best.loss),
            None => true,
        };
        if is_best {
            let metric = score.name().into();
            self.best = Some(Best { step, metric, value: score.value, loss: Some(loss) });
        }
        self.last = Some((step, evaluation));
        Judgement { is_best, is_again }
    }

    /// The best evaluation of the present stage.
    pub fn best(&self) -> Option<&Best> {
        self.best.as_ref()
    }

    /// The last evaluation since the run was started, with its step.
    pub fn last(&self) -> Option<&(u64, Evaluation)> {
        self.last.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_job::Metric;
    use ternflock_nn::{Measures, Tally};

    fn add(evaluations: &mut Evaluations, step: u64, correct: u64, loss: f64) -> Judgement {
        let tally = Tally { loss, correct, samples: 10, ..Tally::default() };
        let score = Score::new(Metric::Accuracy, tally.accuracy());
        evaluations.add(step, Evaluation { tally, measures: Measures::Tokens }, score)
    }

    #[test]
    fn the_best_is_that_of_the_stage_and_is_not_judged_again_after_a_restart() {
        let mut evaluations = Evaluations::default();
        assert!(add(&mut evaluations, 1, 5, 20.0).is_best, "the first");
        assert!(!add(&mut evaluations, 2, 4, 10.0).is_best);
        assert!(add(&mut evaluations, 3, 5, 19.0).is_best, "as many are right, with a smaller loss");
        let best = evaluations.best().cloned();
        assert_eq!(best.as_ref().map(|best| best.step), Some(3));

        let mut resumed = Evaluations::resumed(best.clone(), 3, true, true);
        assert!(!resumed.is_owed());
        let judgement = add(&mut resumed, 3, 5, 18.0);
        assert!(judgement.is_again && !judgement.is_best);
        assert!(add(&mut resumed, 4, 5, 18.0).is_best);
        let evaluation = resumed.last().unwrap().1.clone();
        let other = Score::new(Metric::MacroF1, 0.1);
        assert!(resumed.add(4, evaluation, other).is_best, "the first of another metric");
        resumed.begin_stage();
        assert!(add(&mut resumed, 5, 1, 90.0).is_best, "the first of the next stage");
        assert_eq!(resumed.last().map(|(step, _)| *step), Some(5));

        assert!(Evaluations::resumed(best, 3, false, true).is_owed());
    }
}
