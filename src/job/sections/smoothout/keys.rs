//! The keys of `[smoothout]`.

use serde_json::json;

use super::choices::{Adapt, Distribution, Noise, NoiseSchedule};
use crate::syntax::{Absent, Given, Key, Rule, Section};

/// The source of the defaults.
const WEN: &str = "Wen et al.'s code";

pub(super) const A: Key<f64> = Key::new(
    "a",
    Given(|| 0.0),
    "The amplitude of the noise. 0: no noise. The authors publish no value; find one with a validation split \
     (`ternflock sweep`).",
)
.such(Rule::Such {
    must_be: "at least 0 and within single precision",
    holds: |a| *a >= 0.0 && (*a as f32).is_finite(),
    schema: || json!({ "minimum": 0 }),
});

pub(super) const DISTRIBUTION: Key<Distribution> = Key::new(
    "distribution",
    Given(|| Distribution::Uniform),
    "`\"uniform\"`: on (−a, a). `\"normal\"`: with standard deviation a.",
)
.origin(WEN);

pub(super) const ADAPT: Key<Adapt> = Key::new(
    "adapt",
    Given(|| Adapt::None),
    "`\"none\"`: the same for every weight. `\"filter\"`: AdaSmoothOut; the norm of a filter's noise is a \
     times the norm of the filter. A filter is also a row of a linear weight, a row of a recurrent weight at \
     each level, or a single bias. `\"weight\"`: proportional to the weight. Zeros that a stage freezes \
     never get noise.",
)
.origin(WEN);

pub(super) const SCHEDULE: Key<NoiseSchedule> = Key::new(
    "schedule",
    Given(|| NoiseSchedule::Constant),
    "`\"constant\"`. `\"anneal\"`: a (1 + *t*)^−0.275. `\"grow\"`: a (tanh(10 (*t*/*T* − 1/2)) + 1)/2. *t* \
     and *T* are those of `[schedule]`.",
)
.origin(WEN);

pub(super) const NOISE: Key<Noise> = Key::new(
    "noise",
    Given(|| Noise::PerRank),
    "`\"per_rank\"`: each micro-batch of each rank has its own draw, so the gradient is an average over that \
     many perturbed networks. `\"shared\"`: all micro-batches of a step have the same draw.",
);

pub(super) const BATCH_NORM: Key<bool> =
    Key::new("batch_norm", Given(|| false), "Whether batch norm's weight and bias are perturbed too.")
        .origin(WEN);

pub(super) const LAYERS: Key<Vec<String>, Absent> =
    Key::new("layers", Absent("all layers"), "The layers that are perturbed.");

/// The section `[smoothout]`.
pub(crate) const SECTION: Section = Section::new(
    "smoothout",
    "Noise on the weights at which gradients are computed, so that training converges to flatter minima.",
    &[&[&DISTRIBUTION, &ADAPT, &SCHEDULE, &NOISE, &A, &BATCH_NORM, &LAYERS]],
);
