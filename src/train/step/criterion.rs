//! What a network is trained for and judged by: the loss, and the counts of its task.

use std::sync::Arc;

use super::registered_loss::registered_loss;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::plural;
use ternflock_data::{EvaluationFeed, TrainingFeed};
use ternflock_job::{self as job, ClassWeights, LossKind, TaskKind};
use ternflock_nn::loss::{AbsoluteError, BinaryCrossEntropy, CrossEntropy, Huber, SquaredError};
use ternflock_nn::metrics::{Classes, Counts, Measures, Outputs};
use ternflock_nn::{Loss, Shape, Tally, TargetKind, Targets};
use ternflock_report::Task;
use ternflock_tensor::vectorise;

/// A loss, and the scores that go with it.
#[derive(Clone, Debug)]
pub struct Criterion {
    task: Task,
    target: TargetKind,
    loss: Arc<dyn Loss>,
    /// The squares of the numbers by which values of a target were divided, `[K]`; empty: 1.
    squared_scale: Vec<f32>,
    scale: Option<Vec<f32>>,
}

/// A key of the job, and the reason why its value is refused.
pub type Refusal = (String, String);

impl Criterion {
    /// The criterion of training steps on `feed`, as in `asked`.
    ///
    /// # Errors
    /// If a key does not fit the data.
    pub fn training(asked: &job::Task, feed: &dyn TrainingFeed) -> std::result::Result<Criterion, Refusal> {
        let (input, target) = (feed.input(), feed.target());
        // What does not fit the data at all is reported first.
        Criterion::new(asked, (input, target), None, (Vec::new(), 0.0))?;
        let refuse = |message: String| ("task.class_weights".to_owned(), message);
        let weights = match &asked.class_weights {
            None => Vec::new(),
            Some(ClassWeights::Given(weights)) if weights.len() == target.outputs() => weights.clone(),
            Some(ClassWeights::Given(weights)) => {
                let (found, has) = (plural(weights.len(), "number"), target.described());
                return Err(refuse(format!(
                    "task.class_weights has {found}, but the target of a sample has {has}"
                )));
            }
            Some(ClassWeights::Balanced) => {
                let counts = feed.class_counts().ok_or_else(|| {
                    let message = "task.class_weights = \"balanced\": these data do not count their classes; give numbers";
                    refuse(message.into())
                })?;
                balanced(&counts)
            }
        };
        let smoothing = asked.label_smoothing.unwrap_or(0.0) as f32;
        Criterion::new(asked, (input, target), feed.target_scale(), (weights, smoothing))
    }

    /// The criterion of evaluations on `feed`: the same loss without class weights and without label smoothing, so that
    /// losses of runs with different ones can be compared.
    ///
    /// # Errors
    /// If a key does not fit the data.
    pub fn evaluation(asked: &job::Task, feed: &dyn EvaluationFeed) -> Result<Criterion> {
        Criterion::new(asked, (feed.input(), feed.target()), feed.target_scale(), (Vec::new(), 0.0))
            .map_err(|(_, message)| Error::Usage(message))
    }

    fn new(
        asked: &job::Task,
        (input, target): (Shape, TargetKind),
        scale: Option<&[f32]>,
        (weights, smoothing): (Vec<f32>, f32),
    ) -> std::result::Result<Criterion, Refusal> {
        let task =
            Task::of(asked, input, target).map_err(|(key, message)| (format!("task.{key}"), message))?;
        let loss: Arc<dyn Loss> = match asked.loss_for(task.kind) {
            LossKind::CrossEntropy => Arc::new(CrossEntropy::new(weights, smoothing)),
            LossKind::BinaryCrossEntropy => Arc::new(BinaryCrossEntropy::new(weights)),
            LossKind::Mse => Arc::new(SquaredError),
            LossKind::Mae => Arc::new(AbsoluteError),
            LossKind::Huber => Arc::new(Huber::new(asked.huber_delta.unwrap_or(1.0) as f32)),
            LossKind::Registered(name) => registered_loss(name).ok_or_else(|| {
                let message = format!("task.loss = \"{name}\": its name is registered, but not the loss");
                ("task.loss".to_owned(), message)
            })?,
        };
        let squared_scale = scale.unwrap_or_default().iter().map(|scale| scale * scale).collect();
        Ok(Criterion { task, target, loss, squared_scale, scale: scale.map(<[f32]>::to_vec) })
    }

    /// The task.
    pub fn task(&self) -> Task {
        self.task
    }

    /// The tally of `outputs` against `targets`. With `gradient`, also writes the gradient of `weight` times the sum of
    /// losses.
    ///
    /// # Errors
    /// If a target of several labels is neither 0 nor 1.
    pub fn compute(
        &self,
        outputs: &[f32],
        targets: &Targets,
        weight: f32,
        gradient: Option<&mut [f32]>,
    ) -> Result<Tally> {
        let mut tally = self.loss.compute(outputs, targets, weight, gradient);
        match self.task.kind {
            TaskKind::Classification | TaskKind::LanguageModel => {}
            TaskKind::MultiLabel => tally.correct = all_right(outputs, targets)?,
            TaskKind::Regression | TaskKind::Forecast => tally.squares = self.squares(outputs, targets),
        }
        Ok(tally)
    }

    /// What an evaluation counts; with `confusion`, also a confusion matrix of classes.
    pub fn measures(&self, confusion: bool) -> Measures {
        let outputs = self.target.outputs();
        match self.task.kind {
            TaskKind::LanguageModel => Measures::Tokens,
            TaskKind::Classification => Measures::Classes(Classes::new(outputs, confusion)),
            TaskKind::MultiLabel => Measures::Labels(Counts::new(outputs)),
            TaskKind::Regression | TaskKind::Forecast => {
                Measures::Values(Outputs::new(outputs, self.scale.as_deref()))
            }
        }
    }

    /// The sum over samples of the mean over outputs of the squared error, in the unit of the targets.
    fn squares(&self, outputs: &[f32], targets: &Targets) -> f64 {
        const LANES: usize = 16;
        let (width, values) = (targets.width.max(1), &targets.values);
        let square = |(output, value): (&f32, &f32)| f64::from(output - value).powi(2);
        let sum = match &self.squared_scale[..] {
            [] => vectorise(
                #[inline(always)]
                || {
                    let ((outputs, rest), (values, others)) =
                        (outputs.as_chunks::<LANES>(), values.as_chunks::<LANES>());
                    let mut sums = [0.0f64; LANES];
                    for (outputs, values) in outputs.iter().zip(values) {
                        sums.iter_mut()
                            .zip(outputs.iter().zip(values))
                            .for_each(|(sum, pair)| *sum += square(pair));
                    }
                    sums.iter().sum::<f64>() + rest.iter().zip(others).map(square).sum::<f64>()
                },
            ),
            scale => outputs
                .iter()
                .zip(values)
                .zip(scale.iter().cycle())
                .map(|(pair, &scale)| f64::from(scale) * square(pair))
                .sum(),
        };
        sum / width as f64
    }
}

/// The number of samples all of whose labels are predicted.
fn all_right(outputs: &[f32], targets: &Targets) -> Result<u64> {
    if let Some(wrong) = targets.values.iter().find(|&&value| value != 0.0 && value != 1.0) {
        return Err(Error::Usage(format!(
            "a target has the value {wrong}, but task.kind = \"multi-label\" needs 0 or 1 for each label: choose \
             \"regression\", or change the data"
        )));
    }
    let width = targets.width.max(1);
    let is_right = |(outputs, values): &(&[f32], &[f32])| {
        outputs.iter().zip(*values).all(|(&output, &value)| (output > 0.0) == (value > 0.5))
    };
    Ok(outputs.chunks(width).zip(targets.values.chunks(width)).filter(is_right).count() as u64)
}

/// N / (K n) for each class with n of N samples; K counts the classes with a sample, and the others have no weight.
fn balanced(counts: &[u64]) -> Vec<f32> {
    let (all, classes) = (counts.iter().sum::<u64>(), counts.iter().filter(|&&count| count > 0).count());
    let weight = |&count: &u64| if count > 0 { all as f64 / (classes as f64 * count as f64) } else { 0.0 };
    counts.iter().map(|count| weight(count) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn balanced_weights_give_each_class_the_same_sum() {
        assert_eq!(balanced(&[2, 0, 6]), [2.0, 0.0, 8.0 / 12.0]);
        assert_eq!(balanced(&[5, 5]), [1.0, 1.0]);
    }

    #[test]
    fn a_sample_is_right_if_all_of_its_labels_are() {
        let targets = |values: &[f32]| Targets { values: values.to_vec(), width: 2, ..Targets::default() };
        let outputs = [3.0, -1.0, 0.5, 0.5, -2.0, 0.0];
        assert_eq!(all_right(&outputs, &targets(&[1.0, 0.0, 1.0, 0.0, 0.0, 0.0])).unwrap(), 2);
        let message = all_right(&outputs, &targets(&[1.0, 0.5, 1.0, 0.0, 0.0, 0.0])).unwrap_err().to_string();
        assert!(message.contains("a target has the value 0.5"), "{message}");
    }

    #[test]
    fn errors_are_in_the_unit_of_the_targets() {
        let of = |scale: Option<&[f32]>| {
            let (asked, data) =
                (job::Task::default(), (Shape::Vector { features: 1 }, TargetKind::Values(2)));
            Criterion::new(&asked, data, scale, (Vec::new(), 0.0)).unwrap()
        };
        let targets = Targets { values: vec![1.0, 2.0, 3.0, 4.0], width: 2, ..Targets::default() };
        let outputs = [2.0, 2.0, 3.0, 7.0];
        let squares =
            |criterion: &Criterion| criterion.compute(&outputs, &targets, 1.0, None).unwrap().squares;
        assert_eq!(squares(&of(None)), (1.0 + 9.0) / 2.0);
        assert_eq!(squares(&of(Some(&[10.0, 2.0]))), (100.0 + 36.0) / 2.0);
        // The same figure as that of an evaluation.
        let criterion = of(Some(&[10.0, 2.0]));
        let mut measures = criterion.measures(false);
        measures.add(&outputs, &targets);
        let Measures::Values(counted) = measures else { panic!() };
        let rmse = counted.mean_scores().rmse.unwrap();
        assert!((rmse - (68.0f64 / 2.0).sqrt()).abs() < 1e-12, "{rmse}");
    }
}
