//! `[task]`: what the network learns, by which loss, and by which metric it is chosen.

mod choices;
mod keys;
mod loss_kind;
mod metric;

use serde::Serialize;

pub use choices::{ClassWeights, TaskKind};
pub use loss_kind::{LossKind, register_loss_name};
pub use metric::Metric;

use crate::syntax::{Definition, SectionReader};
use keys::{CLASS_WEIGHTS, HUBER_DELTA, KIND, LABEL_SMOOTHING, LOSS, METRIC};

pub(crate) use keys::SECTION;

/// The section `[task]`. What is `None` follows from the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Task {
    /// What is predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<TaskKind>,
    /// The loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<LossKind>,
    /// The weights of classes in the training loss.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<ClassWeights>,
    /// The share of a label that is spread evenly over all classes, in [0, 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_smoothing: Option<f64>,
    /// The error at which Huber's loss changes from a square to a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub huber_delta: Option<f64>,
    /// The metric that chooses the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric: Option<Metric>,
}

impl Task {
    pub(crate) fn read(section: &mut SectionReader) -> Self {
        let task = Task {
            kind: section.read(&KIND),
            loss: section.read(&LOSS),
            class_weights: section.read(&CLASS_WEIGHTS),
            label_smoothing: section.read(&LABEL_SMOOTHING),
            huber_delta: section.read(&HUBER_DELTA),
            metric: section.read(&METRIC),
        };
        // What is left to the data is checked when they are known.
        if let Some(kind) = task.kind {
            task.problems(kind).into_iter().for_each(|(key, message)| section.refuse(key, message));
        }
        task
    }

    /// The kind that the job asks for, by `kind` or by a loss that only one kind of target can have; `None`: the data decide.
    pub fn asked_kind(&self) -> Option<TaskKind> {
        // A loss that also fits classes does not decide; the data do.
        let by_loss = |loss: LossKind| {
            let kinds = loss.kinds();
            kinds.iter().all(|kind| kind.predicts_values()).then(|| kinds.first().copied()).flatten()
        };
        self.kind.or_else(|| self.loss.and_then(by_loss))
    }

    /// The loss for the kind `kind`.
    pub fn loss_for(&self, kind: TaskKind) -> LossKind {
        self.loss.unwrap_or_else(|| LossKind::of(kind)[0])
    }

    /// The metric for the kind `kind`.
    pub fn metric_for(&self, kind: TaskKind) -> Metric {
        self.metric.unwrap_or(kind.metrics()[0])
    }

    /// The keys whose values do not fit a task of the kind `kind`, each with a message.
    pub fn problems(&self, kind: TaskKind) -> Vec<(&'static str, String)> {
        let (loss, name) = (self.loss_for(kind), kind.name());
        let mut problems = Vec::new();
        let mut refuse = |key: &dyn Definition, message: String| {
            problems.push((key.name(), format!("task.{} {message}", key.name())));
        };
        if !loss.kinds().contains(&kind) {
            let losses: Vec<_> = LossKind::of(kind).iter().map(|loss| loss.name()).collect();
            refuse(&LOSS, format!("= \"{}\": {}", loss.name(), fitting(name, &losses)));
        } else {
            let classes = matches!(kind, TaskKind::Classification | TaskKind::MultiLabel);
            let is_balanced = self.class_weights == Some(ClassWeights::Balanced);
            if self.class_weights.is_some() && !classes {
                refuse(&CLASS_WEIGHTS, format!("is for classes and labels; the task is \"{name}\""));
            } else if self.class_weights.is_some() && matches!(loss, LossKind::Registered(_)) {
                refuse(&CLASS_WEIGHTS, format!("belongs to cross-entropy; this loss is \"{}\"", loss.name()));
            } else if is_balanced && kind == TaskKind::MultiLabel {
                let message = "= \"balanced\" is for classes; give one number per label for \"multi-label\"";
                refuse(&CLASS_WEIGHTS, message.into());
            }
            for (key, is_given, owner) in [
                (&LABEL_SMOOTHING as &dyn Definition, self.label_smoothing.is_some(), LossKind::CrossEntropy),
                (&HUBER_DELTA, self.huber_delta.is_some(), LossKind::Huber),
            ] {
                if is_given && loss != owner {
                    let owner = owner.name();
                    refuse(key, format!("belongs to loss = \"{owner}\"; this loss is \"{}\"", loss.name()));
                }
            }
        }
        let metric = self.metric_for(kind);
        if !kind.metrics().contains(&metric) {
            let metrics: Vec<_> = kind.metrics().iter().map(|metric| metric.name()).collect();
            refuse(&METRIC, format!("= \"{}\": {}", metric.name(), fitting(name, &metrics)));
        }
        problems
    }
}

/// The values that fit a task of the kind `kind`.
fn fitting(kind: &str, values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("\"{value}\"")).collect();
    format!("a task of kind \"{kind}\" has {}", values.join(", "))
}
