//! Averaging methods combined with the all-reduces that they offer, as benchmarks compare them.

use ternflock_collectives::all_reduce::Algorithm;

use super::{Method, all};

/// A method and, if the method offers several, its all-reduce.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Averaging {
    /// The method.
    pub method: &'static dyn Method,
    /// The all-reduce; ignored by methods that offer no choice.
    pub algorithm: Algorithm,
}

impl Averaging {
    /// The all-reduce of methods that offer no choice, and of all others until one is chosen.
    pub const DEFAULT_ALGORITHM: Algorithm = Algorithm::RingTernary;

    /// All variants of `method`: one per all-reduce, and at least one.
    pub fn of(method: &'static dyn Method) -> impl Iterator<Item = Averaging> {
        let algorithms = match method.algorithms() {
            [] => &[Averaging::DEFAULT_ALGORITHM],
            some => some,
        };
        algorithms.iter().map(move |&algorithm| Averaging { method, algorithm })
    }

    /// All variants of all methods.
    pub fn all() -> Vec<Averaging> {
        all().flat_map(Averaging::of).collect()
    }

    /// The name in logs, reports and options.
    pub fn name(self) -> &'static str {
        self.method.label(self.algorithm)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::exchange::method::of;
    use ternflock_job::Gradients;

    #[test]
    fn job_files_and_methods_use_the_same_names() {
        for gradients in Gradients::all() {
            assert_eq!(of(gradients).name(), gradients.name());
        }
    }

    #[test]
    fn names_differ() {
        let names: HashSet<_> = Averaging::all().into_iter().map(Averaging::name).collect();
        assert_eq!(names.len(), Averaging::all().len());
    }
}
