//! The task of a network: what it predicts, and the figures by which it is judged.

use super::{Count, Score, Scores, Speed};
use ternflock_job::{self as job, LossKind, Metric, TaskKind};
use ternflock_nn::metrics::{Evaluation, Measures};
use ternflock_nn::{Shape, Tally, TargetKind};

/// The task of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Task {
    /// What it predicts.
    pub kind: TaskKind,
    /// The metric that chooses it.
    pub metric: Metric,
}

/// A key of `[task]`, and the reason why its value is refused.
pub type Refusal = (&'static str, String);

/// The number of classes from which on it is worth knowing whether the right one is among the first five.
const MANY_CLASSES: usize = 10;

impl Task {
    /// The task that `asked` describes, on samples of shape `input` with targets of kind `target`.
    ///
    /// # Errors
    /// If it does not fit these data.
    pub fn of(asked: &job::Task, input: Shape, target: TargetKind) -> Result<Task, Refusal> {
        let is_text = matches!(input, Shape::Tokens { .. });
        let usual = match target {
            TargetKind::Class(_) if is_text => TaskKind::LanguageModel,
            TargetKind::Class(_) => TaskKind::Classification,
            TargetKind::Values(_) => {
                let of_loss =
                    |loss: LossKind| loss.kinds().iter().copied().find(|kind| kind.predicts_values());
                asked.loss.and_then(of_loss).unwrap_or(TaskKind::Regression)
            }
        };
        let kind = asked.kind.unwrap_or(usual);
        let is_sequence = matches!(input, Shape::Sequence { .. });
        let fits = match kind {
            TaskKind::MultiLabel | TaskKind::Regression => matches!(target, TargetKind::Values(_)),
            TaskKind::Forecast => matches!(target, TargetKind::Values(_)) && is_sequence,
            kind => kind == usual,
        };
        if !fits {
            let targets = match target {
                TargetKind::Class(words) if is_text => format!("a text with a vocabulary of {words}"),
                target => format!("samples of {input}, each with a target of {}", target.described()),
            };
            let message = format!(
                "task.kind = \"{}\" does not fit the data, which are {targets}; leave it out for \"{}\"",
                kind.name(),
                usual.name()
            );
            return Err(("kind", message));
        }
        match asked.problems(kind).into_iter().next() {
            Some(refusal) => Err(refusal),
            None => Ok(Task { kind, metric: asked.metric_for(kind) }),
        }
    }

    /// The score of training steps. It needs nothing but the tally, so it may be another metric than [`Task::metric`].
    pub fn training_score(self, tally: &Tally) -> Score {
        match self.kind {
            TaskKind::Classification | TaskKind::MultiLabel => Score::new(Metric::Accuracy, tally.accuracy()),
            TaskKind::Regression | TaskKind::Forecast => Score::new(Metric::Rmse, tally.rmse()),
            TaskKind::LanguageModel => Score::new(Metric::Perplexity, tally.mean_loss().exp()),
        }
    }

    /// The score with the value `value`.
    pub fn measure(self, value: f64) -> Score {
        Score::new(self.metric, value)
    }

    /// The score of `evaluation` by which networks are compared.
    pub fn score(self, evaluation: &Evaluation) -> Score {
        Score::of(self.metric, value(self.metric, evaluation))
    }

    /// The other scores of `evaluation`.
    pub fn other_scores(self, evaluation: &Evaluation) -> Scores {
        let others = self.kind.metrics().iter().copied().filter(|&metric| {
            let is_worth_it = match &evaluation.measures {
                Measures::Classes(classes) if metric == Metric::Top5 => {
                    classes.counts().len() >= MANY_CLASSES
                }
                _ => true,
            };
            metric != self.metric && is_worth_it
        });
        Scores(others.map(|metric| Score::of(metric, value(metric, evaluation))).collect())
    }

    /// `number` samples or tokens.
    pub fn count(self, number: u64) -> Count {
        match self.kind {
            TaskKind::LanguageModel => Count::Tokens(number),
            _ => Count::Samples(number),
        }
    }

    /// `rate` samples or tokens per second.
    pub fn speed(self, rate: f64) -> Speed {
        match self.kind {
            TaskKind::LanguageModel => Speed::TokensPerS(rate),
            _ => Speed::SamplesPerS(rate),
        }
    }
}

/// The value of `metric` in `evaluation`; `None` if it is undefined.
fn value(metric: Metric, evaluation: &Evaluation) -> Option<f64> {
    let tally = &evaluation.tally;
    match (metric, &evaluation.measures) {
        (Metric::Accuracy, _) => Some(tally.accuracy()),
        (Metric::Perplexity, _) => Some(tally.mean_loss().exp()),
        (Metric::Top5, Measures::Classes(classes)) => Some(classes.top_5() as f64 / tally.samples as f64),
        (Metric::MacroF1, Measures::Classes(classes)) => classes.counts().macro_f1(),
        (Metric::MacroF1, Measures::Labels(counts)) => counts.macro_f1(),
        (Metric::Rmse, Measures::Values(outputs)) => outputs.mean_scores().rmse,
        (Metric::Mae, Measures::Values(outputs)) => outputs.mean_scores().mae,
        (Metric::R2, Measures::Values(outputs)) => outputs.mean_scores().r2,
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::metrics::Outputs;

    const PICTURE: Shape = Shape::Image { channels: 1, height: 2, width: 2 };
    const TEXT: Shape = Shape::Tokens { steps: 5, vocabulary: 40 };
    const SERIES: Shape = Shape::Sequence { steps: 5, features: 2 };

    #[test]
    fn the_data_decide_what_the_job_leaves_open() {
        let of = |asked: &job::Task, input, target| Task::of(asked, input, target);
        let plain = job::Task::default();
        for (input, target, kind, metric) in [
            (PICTURE, TargetKind::Class(3), TaskKind::Classification, Metric::Accuracy),
            (TEXT, TargetKind::Class(40), TaskKind::LanguageModel, Metric::Perplexity),
            (SERIES, TargetKind::Values(3), TaskKind::Regression, Metric::Rmse),
        ] {
            assert_eq!(of(&plain, input, target), Ok(Task { kind, metric }));
        }
        let labels = job::Task { loss: Some(LossKind::BinaryCrossEntropy), ..job::Task::default() };
        let task = of(&labels, PICTURE, TargetKind::Values(3)).unwrap();
        assert_eq!(task, Task { kind: TaskKind::MultiLabel, metric: Metric::MacroF1 });
        assert_eq!(of(&labels, PICTURE, TargetKind::Class(3)).unwrap_err().0, "loss");
    }

    #[test]
    fn a_kind_that_does_not_fit_the_data_is_refused() {
        let refusal = |kind, input, target| {
            Task::of(&job::Task { kind: Some(kind), ..job::Task::default() }, input, target).unwrap_err()
        };
        let (key, message) = refusal(TaskKind::Regression, PICTURE, TargetKind::Class(3));
        assert_eq!(key, "kind");
        assert!(
            message.contains("each with a target of 3 classes; leave it out for \"classification\""),
            "{message}"
        );
        let (_, message) = refusal(TaskKind::Classification, TEXT, TargetKind::Class(40));
        assert!(message.contains("a text with a vocabulary of 40"), "{message}");
        let (_, message) = refusal(TaskKind::Forecast, PICTURE, TargetKind::Values(1));
        assert!(message.contains("a target of 1 value"), "{message}");
        let forecast = job::Task { kind: Some(TaskKind::Forecast), ..job::Task::default() };
        assert!(Task::of(&forecast, SERIES, TargetKind::Values(1)).is_ok());
    }

    #[test]
    fn perplexity_is_the_exponential_of_the_mean_loss() {
        let tally = Tally { loss: 8.0 * 10f64.ln(), correct: 2, samples: 8, squares: 32.0 };
        let of = |kind: TaskKind| Task { kind, metric: kind.metrics()[0] };
        let evaluation = Evaluation { tally, measures: Measures::Tokens };
        let perplexity = of(TaskKind::LanguageModel).score(&evaluation);
        assert!((perplexity.value - 10.0).abs() < 1e-12);
        assert_eq!(of(TaskKind::LanguageModel).training_score(&tally), perplexity);
        assert_eq!(of(TaskKind::Classification).training_score(&tally), Score::new(Metric::Accuracy, 0.25));
        assert_eq!(of(TaskKind::Regression).training_score(&tally), Score::new(Metric::Rmse, 2.0));
        let none = Evaluation { tally, measures: Measures::Values(Outputs::new(2, None)) };
        assert_eq!(of(TaskKind::Forecast).score(&none).defined(), None);
        assert_eq!(of(TaskKind::Forecast).other_scores(&none).0.len(), 2);
    }
}
