//! Where the time of a step goes.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use super::json;

/// Seconds spent in each phase of one step or of several.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Phases {
    /// Drawing the batch, forward, loss and backward.
    #[serde(deserialize_with = "json::deserialize")]
    pub compute: f64,
    /// Moments of the gradients, and their rounding to ternary planes.
    #[serde(deserialize_with = "json::deserialize")]
    pub encode: f64,
    /// Until all ranks have met in a bucket's first messages, which carry its scales: a slower rank shows here.
    #[serde(deserialize_with = "json::deserialize")]
    pub wait: f64,
    /// The all-reduces: the wire.
    #[serde(deserialize_with = "json::deserialize")]
    pub exchange: f64,
    /// Planes back to gradients.
    #[serde(deserialize_with = "json::deserialize")]
    pub decode: f64,
    /// The optimizer.
    #[serde(deserialize_with = "json::deserialize")]
    pub update: f64,
    /// How much of `encode`, `wait`, `exchange` and `decode` ran while the step was still computing.
    #[serde(deserialize_with = "json::deserialize")]
    pub hidden: f64,
}

impl Phases {
    /// In the order of the fields, to be sent as words.
    pub fn to_array(self) -> [f64; 7] {
        let Phases { compute, encode, wait, exchange, decode, update, hidden } = self;
        [compute, encode, wait, exchange, decode, update, hidden]
    }

    /// The inverse of [`Phases::to_array`].
    pub fn from_array([compute, encode, wait, exchange, decode, update, hidden]: [f64; 7]) -> Phases {
        Phases { compute, encode, wait, exchange, decode, update, hidden }
    }

    /// Seconds in which something was done, counted twice where two things were done at a time.
    pub fn busy(self) -> f64 {
        let Phases { compute, encode, wait, exchange, decode, update, hidden: _ } = self;
        compute + encode + wait + exchange + decode + update
    }

    /// Each phase's share of a time `of`, or its mean over `of` things.
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
