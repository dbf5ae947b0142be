//! The keys of `[task]`.

use serde_json::json;

use super::{ClassWeights, LossKind, Metric, TaskKind};
use crate::syntax::{Absent, Key, Rule, Section, at_least};

pub(super) const KIND: Key<TaskKind, Absent> = Key::new(
    "kind",
    Absent("what the data are"),
    "What the network predicts. Classes are a `\"classification\"`, a text is a `\"language-model\"`, and values are a \
     `\"regression\"`, or `\"multi-label\"` if `loss` says so: several labels, each 0 or 1. A `\"forecast\"` is a \
     regression on sequences. A kind that does not fit the data is refused.",
);

pub(super) const LOSS: Key<LossKind, Absent> = Key::new(
    "loss",
    Absent(
        "`\"cross-entropy\"` for classes and tokens, `\"binary-cross-entropy\"` for several labels, `\"mse\"` for values",
    ),
    "The loss ([formulas](explanation/losses-and-metrics.md)). Values can have `\"mse\"`, `\"mae\"` or `\"huber\"`. \
     A program of your own can [register others](how-to/extend.md#a-loss).",
);

pub(super) const CLASS_WEIGHTS: Key<ClassWeights, Absent> = Key::new(
    "class_weights",
    Absent("1 for every class"),
    "The factors that multiply the training loss of the samples of each class. `\"balanced\"`: N / (K n) for a class \
     with n of the N training samples of K classes, as in scikit-learn. For several labels: the factors for the \
     positive samples of each label.",
);

pub(super) const LABEL_SMOOTHING: Key<f64, Absent> = Key::new(
    "label_smoothing",
    Absent("0"),
    "For `\"cross-entropy\"`: the share of a label that the training loss spreads evenly over all classes.",
)
.within(at_least(0.0).and_below(1.0));

pub(super) const HUBER_DELTA: Key<f64, Absent> = Key::new(
    "huber_delta",
    Absent("1"),
    "For `\"huber\"`: the error at which the loss changes from a square to a line. Normalised targets have a \
     standard deviation of 1.",
)
.such(Rule::Such {
    must_be: "above 0 and within single precision",
    holds: |delta| (*delta as f32) > 0.0 && (*delta as f32).is_finite(),
    schema: || json!({ "exclusiveMinimum": 0 }),
});

pub(super) const METRIC: Key<Metric, Absent> = Key::new(
    "metric",
    Absent(
        "`\"accuracy\"`, `\"macro_f1\"` for several labels, `\"rmse\"` for values, `\"perplexity\"` for a text",
    ),
    "The metric that chooses `best.h5`. Classes can have `\"accuracy\"`, `\"top_5\"` or `\"macro_f1\"`, several labels \
     `\"macro_f1\"` or `\"accuracy\"`, and values `\"rmse\"`, `\"mae\"` or `\"r2\"`.",
);

/// The section `[task]`.
pub(crate) const SECTION: Section = Section::new(
    "task",
    "What the network learns, by which loss, and by which metric it is chosen. Every key follows from the data if it is \
     not set.",
    &[&[&KIND, &LOSS, &CLASS_WEIGHTS, &LABEL_SMOOTHING, &HUBER_DELTA, &METRIC]],
);
