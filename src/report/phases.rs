//! The time of each phase of a step.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::json;

/// Seconds spent in each phase of one step or of several.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Phases {
    /// Drawing the batch, the forward pass, the loss and the backward pass.
    #[serde(deserialize_with = "json::deserialize")]
    pub compute: f64,
    /// Moments of the gradients, and their rounding to ternary planes.
    #[serde(deserialize_with = "json::deserialize")]
    pub encode: f64,
    /// Waiting for the first messages of a bucket, which carry its scales: a slower rank is visible here.
    #[serde(deserialize_with = "json::deserialize")]
    pub wait: f64,
    /// The all-reduces, which is the time on the wire.
    #[serde(deserialize_with = "json::deserialize")]
    pub exchange: f64,
    /// Converting planes back to gradients.
    #[serde(deserialize_with = "json::deserialize")]
    pub decode: f64,
    /// The optimizer.
    #[serde(deserialize_with = "json::deserialize")]
    pub update: f64,
    /// The part of `encode`, `wait`, `exchange` and `decode` that ran during the computation of the step.
    #[serde(deserialize_with = "json::deserialize")]
    pub hidden: f64,
}

impl Phases {
    /// The seconds in the order of the fields, to be sent as words.
    pub fn to_array(self) -> [f64; 7] {
        let Phases { compute, encode, wait, exchange, decode, update, hidden } = self;
        [compute, encode, wait, exchange, decode, update, hidden]
    }

    /// The inverse of [`Phases::to_array`].
    pub fn from_array([compute, encode, wait, exchange, decode, update, hidden]: [f64; 7]) -> Phases {
        Phases { compute, encode, wait, exchange, decode, update, hidden }
    }

    /// The sum of all phases. Time in which two phases run at once counts twice.
    pub fn busy(self) -> f64 {
        let Phases { compute, encode, wait, exchange, decode, update, hidden: _ } = self;
        compute + encode + wait + exchange + decode + update
    }

    /// Each phase divided by `of`: its share of a total time, or its mean over a number of steps.
    pub fn divided_by(self, of: f64) -> Phases {
        Phases::from_array(self.to_array().map(|seconds| seconds / of))
    }
}

impl Add for Phases {
    type Output = Phases;

    fn add(self, other: Phases) -> Phases {
        let (mine, theirs) = (self.to_array(), other.to_array());
        Phases::from_array(std::array::from_fn(|i| mine[i] + theirs[i]))
    }
}

impl AddAssign for Phases {
    fn add_assign(&mut self, other: Phases) {
        *self = *self + other;
    }
}
