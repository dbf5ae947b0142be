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
    Key::new("momentum", Given(|| 0.9), "the momentum. `sgd` with a momentum of 0 has no state.")
        .of(Of::kinds(&["sgd", "lars"]))
        .within(FRACTION)
        .origin("TernGrad's LeNet and AlexNet scripts");

pub(super) const NESTEROV_MOMENTUM: Key<f64> = MOMENTUM.of(NESTEROV).within(above(0.0).and_below(1.0));

pub(super) const BETA1: Key<f64> =
    Key::new("beta1", Given(|| 0.9), "the decay per step of the running mean of gradients.")
        .of(ADAM)
        .within(FRACTION)
        .origin("PyTorch");

pub(super) const BETA2: Key<f64> =
    Key::new("beta2", Given(|| 0.999), "the decay per step of the running mean of their squares.")
        .of(ADAM)
        .within(FRACTION)
        .origin("PyTorch");

pub(super) const EPSILON: Key<f64> = Key::new(
    "epsilon",
    Given(|| 1e-8),
    "added to the square root of that \
    mean.",
)
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

pub(super) const TRUST: Key<f64> =
    Key::new("trust", Given(|| 0.001), "the factor of the ratio of the norms.")
        .of(LARS)
        .within(above(0.0))
        .origin("You, Gitman, Ginsburg 2017");

pub(super) const LEARNING_RATE: Key<f64, Required> =
    Key::new("learning_rate", Required, "The learning rate that the schedule starts from.")
        .within(above(0.0));

pub(super) const WEIGHT_DECAY: Key<f64> = Key::new(
    "weight_decay",
    Given(|| 0.0005),
    "L2 regularisation: this factor times the weight is added to the gradient, after the exchange and after \
     clipping. Biases and the parameters of batch norm do not decay.",
)
.within(at_least(0.0))
.origin("TernGrad's LeNet and AlexNet scripts; PyTorch");

pub(super) const ADAM_WEIGHT_DECAY: Key<f64> = Key { default: Given(|| 0.0), ..WEIGHT_DECAY.of(ADAM) };

pub(super) const DECAY_LAYERS: Key<Vec<String>, Absent> =
    Key::new("decay_layers", Absent("all layers"), "The layers whose weights decay.");

pub(super) const CLIP_NORM: Key<f64, Absent> = Key::new(
    "clip_norm",
    Absent("no clipping"),
    "If the norm of the averaged gradients of all tensors together is larger than this, they are scaled down \
     to it, as in PyTorch's `clip_grad_norm_`.",
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
