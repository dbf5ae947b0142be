//! The keys of `[schedule]`.

use serde::Serialize;
use serde_json::json;

use super::scaling::{BASE_BATCH, SCALING};
use crate::syntax::{Given, Key, Of, Required, Rule, Section, Selector, above, at_least, choices, words};

/// The name of a curve, which decides what other keys it has.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Name {
    Fixed,
    Step,
    Multistep,
    Polynomial,
    Inv,
    Cosine,
    Exponential,
    Plateau,
}

choices! { Name: Fixed = "fixed", Step = "step", Multistep = "multistep", Polynomial = "polynomial", Inv = "inv", Cosine = "cosine", Exponential = "exponential", Plateau = "plateau", }

const STEP: Of = Of::kinds(&["step"]);
const MULTISTEP: Of = Of::kinds(&["multistep"]);
const INV: Of = Of::kinds(&["inv"]);
const EXPONENTIAL: Of = Of::kinds(&["exponential"]);
const PLATEAU: Of = Of::kinds(&["plateau"]);

pub(super) const KIND: Key<Name> =
    Key::new("kind", Given(|| Name::Fixed), "The curve. A key of another kind is refused.");

pub(super) const GAMMA: Key<f64> = Key::new("gamma", Given(|| 0.1), "the factor.")
    .of(Of::kinds(&["step", "multistep", "exponential"]))
    .within(above(0.0))
    .origin("TernGrad's AlexNet script (0.1), Caffe's LeNet solver (0.0001), PyTorch's word language model (0.25)");

pub(super) const INV_GAMMA: Key<f64> = Key { default: Given(|| 0.0001), ..GAMMA.of(INV) };

pub(super) const PLATEAU_GAMMA: Key<f64> = Key { default: Given(|| 0.25), ..GAMMA.of(PLATEAU) };

pub(super) const EVERY: Key<u64, Required> =
    Key::new("every", Required, "the number of steps from one factor to the next.")
        .of(STEP)
        .within(at_least(1.0));

pub(super) const MILESTONES: Key<Vec<u64>, Required> = Key::new(
    "milestones",
    Required,
    "the steps at which the rate is multiplied by `gamma` once more; the \
        first is at least 1.",
)
.of(MULTISTEP)
.such(Rule::Such {
    must_be: "one or more steps, ascending",
    holds: |steps| ascending(steps),
    schema: || json!({ "minItems": 1, "uniqueItems": true, "items": { "minimum": 1 } }),
});

pub(super) const POWER: Key<f64> = Key::new("power", Given(|| 1.0), "the exponent.")
    .of(Of::kinds(&["polynomial"]))
    .within(above(0.0))
    .origin("a straight line; Caffe's LeNet solver (0.75)");

pub(super) const INV_POWER: Key<f64> = Key { default: Given(|| 0.75), ..POWER.of(INV) };

pub(super) const CONSTANT_EPOCHS: Key<u64> =
    Key::new("constant_epochs", Given(|| 1), "the number of epochs before the first factor.")
        .of(EXPONENTIAL)
        .within(at_least(1.0));

pub(super) const PATIENCE: Key<u64> = Key::new(
    "patience",
    Given(|| 0),
    "the number of evaluations in a row without improvement that do not \
        cut the rate.",
)
.of(PLATEAU)
.origin("PyTorch's word language model");

pub(super) const WARMUP: Key<u64> = Key::new("warmup", Given(|| 0), "The number of warm-up steps. 0: none.");

pub(super) const WARMUP_FROM: Key<f64> =
    Key::new("warmup_from", Given(|| 0.1), "The factor of the rate in the first warm-up step.")
        .within(at_least(0.0).and_at_most(1.0));

/// The section `[schedule]`.
pub(crate) const SECTION: Section = Section {
    selector: Some(Selector { key: &KIND, kinds: words::<Name>, resets: true }),
    ..Section::new(
        "schedule",
        "The learning rate from step to step.",
        &[
            &[&KIND, &GAMMA, &INV_GAMMA, &PLATEAU_GAMMA, &EVERY, &MILESTONES, &POWER, &INV_POWER],
            &[&CONSTANT_EPOCHS, &PATIENCE, &WARMUP, &WARMUP_FROM, &SCALING, &BASE_BATCH],
        ],
    )
};

fn ascending(milestones: &[u64]) -> bool {
    milestones.first().is_some_and(|&first| first > 0)
        && milestones.is_sorted_by(|earlier, later| earlier < later)
}
