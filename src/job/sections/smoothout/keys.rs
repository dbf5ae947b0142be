//! The keys of `[smoothout]`.

use serde_json::json;

use super::choices::{Adapt, Distribution, Noise, NoiseSchedule};
use crate::syntax::{Absent, Given, Key, Rule, Section};

/// Where the defaults are from.
const WEN: &str = "Wen et al.'s code";

pub(super) const A: Key<f64> = Key::new(
    "a",
    Given(|| 0.0),
    "How far it moves a weight. 0: there is no noise. The authors publish no value; find one on a validation split \
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
    "`\"uniform\"`: on (−a, a). `\"normal\"`: of standard deviation a.",
)
.origin(WEN);

pub(super) const ADAPT: Key<Adapt> = Key::new(
    "adapt",
    Given(|| Adapt::None),
    "`\"none\"`: the same for every weight. `\"filter\"`: AdaSmoothOut; the norm of a filter's noise is a times the norm \
     of the filter. A filter is also a row of a linear weight, a row of a recurrent weight at each level, or a single \
     bias. `\"weight\"`: in proportion to the weight. Zeros that a stage freezes never get noise.",
)
.origin(WEN);

pub(super) const SCHEDULE: Key<NoiseSchedule> = Key::new(
    "schedule",
    Given(|| NoiseSchedule::Constant),
    "`\"constant\"`. `\"anneal\"`: a (1 + *t*)^−0.275. `\"grow\"`: a (tanh(10 (*t*/*T* − 1/2)) + 1)/2. *t* and *T* as in \
     `[schedule]`.",
)
.origin(WEN);

pub(super) const NOISE: Key<Noise> = Key::new(
    "noise",
    Given(|| Noise::PerRank),
    "`\"per_rank\"`: each rank, and each of its micro-batches, has its own draw, so the average gradient sees as many \
     perturbed networks. `\"shared\"`: all of a step have the same.",
);

pub(super) const BATCH_NORM: Key<bool> =
    Key::new("batch_norm", Given(|| false), "Whether batch norm's weight and bias are perturbed too.")
        .origin(WEN);

pub(super) const LAYERS: Key<Vec<String>, Absent> =
    Key::new("layers", Absent("all layers"), "The layers that are perturbed.");

/// The section `[smoothout]`.
pub(crate) const SECTION: Section = Section::new(
    "smoothout",
    "Noise on the weights that gradients are taken at, so that training ends in flatter minima.",
    &[&[&DISTRIBUTION, &ADAPT, &SCHEDULE, &NOISE, &A, &BATCH_NORM, &LAYERS]],
);
