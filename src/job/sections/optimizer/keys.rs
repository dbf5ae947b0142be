//! The keys of `[optimizer]`.

use serde::Serialize;

use crate::syntax::{
    Absent, Given, Key, Of, Range, Required, Section, Selector, above, at_least, choices, words,
};

/// The name of an update rule, which decides what other keys it has.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Sgd,
    Nesterov,
    Adam,
    Lars,
}

choices! { Name: Sgd = "sgd", Nesterov = "nesterov", Adam = "adam", Lars = "lars" }

const NESTEROV: Of = Of::kinds(&["nesterov"]);
const ADAM: Of = Of::kinds(&["adam"]);
const LARS: Of = Of::kinds(&["lars"]);

const FRACTION: Range = at_least(0.0).and_below(1.0);

pub(super) const KIND: Key<Name> =
    Key::new("kind", Given(|| Name::Sgd), "The update rule. A key of another kind is refused.");

pub(super) const MOMENTUM: Key<f64> =
    Key::new("momentum", Given(|| 0.9), "the momentum. `sgd` without any keeps nothing from step to step.")
        .of(Of::kinds(&["sgd", "lars"]))
        .within(FRACTION)
        .origin("TernGrad's LeNet and AlexNet scripts");

pub(super) const NESTEROV_MOMENTUM: Key<f64> = MOMENTUM.of(NESTEROV).within(above(0.0).and_below(1.0));

pub(super) const BETA1: Key<f64> =
    Key::new("beta1", Given(|| 0.9), "how much of the mean of gradients stays a step.")
        .of(ADAM)
        .within(FRACTION)
        .origin("PyTorch");

pub(super) const BETA2: Key<f64> =
    Key::new("beta2", Given(|| 0.999), "how much of the mean of their squares stays a step.")
        .of(ADAM)
        .within(FRACTION)
        .origin("PyTorch");

pub(super) const EPSILON: Key<f64> = Key::new("epsilon", Given(|| 1e-8), "added to the root of that mean.")
    .of(ADAM)
    .within(above(0.0))
    .origin("PyTorch");

pub(super) const DECOUPLED_DECAY: Key<bool> = Key::new(
    "decoupled_decay",
    Given(|| false),
    "weight decay shrinks the weights directly (AdamW) instead of being added to the gradient.",
)
.of(ADAM)
.origin("PyTorch");

pub(super) const TRUST: Key<f64> = Key::new("trust", Given(|| 0.001), "the factor of the ratio of norms.")
    .of(LARS)
    .within(above(0.0))
    .origin("You, Gitman, Ginsburg 2017");

pub(super) const LEARNING_RATE: Key<f64, Required> =
    Key::new("learning_rate", Required, "Where the schedule starts.").within(above(0.0));

pub(super) const WEIGHT_DECAY: Key<f64> = Key::new(
    "weight_decay",
    Given(|| 0.0005),
    "Times the weight, added to its gradient after the exchange and after clipping (L2); biases and batch norm's \
     factors do not decay.",
)
.within(at_least(0.0))
.origin("TernGrad's LeNet and AlexNet scripts; PyTorch");

pub(super) const ADAM_WEIGHT_DECAY: Key<f64> = Key { default: Given(|| 0.0), ..WEIGHT_DECAY.of(ADAM) };

pub(super) const DECAY_LAYERS: Key<Vec<String>, Absent> =
    Key::new("decay_layers", Absent("all layers"), "The layers whose weights decay.");

pub(super) const CLIP_NORM: Key<f64, Absent> = Key::new(
    "clip_norm",
    Absent("no clipping"),
    "The averaged gradients of all tensors together are scaled down to this norm where theirs is larger, as by \
     PyTorch's `clip_grad_norm_`.",
)
.within(above(0.0));

/// The section `[optimizer]`.
pub(crate) const SECTION: Section = Section {
    selector: Some(Selector { key: &KIND, kinds: words::<Name>, resets: true }),
    ..Section::new(
        "optimizer",
        "How an averaged gradient becomes a step.",
        &[
            &[&KIND, &MOMENTUM, &NESTEROV_MOMENTUM, &BETA1, &BETA2, &EPSILON, &DECOUPLED_DECAY, &TRUST],
            &[&LEARNING_RATE, &WEIGHT_DECAY, &ADAM_WEIGHT_DECAY, &DECAY_LAYERS, &CLIP_NORM],
        ],
    )
};
