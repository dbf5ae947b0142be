//! Splits a set into samples for training, for choosing the network and for the final test. The split is a pure function
//! of the seed and the labels, so it is the same on every rank and for any number of ranks.

use std::ops::Range;
use std::sync::Arc;

use super::{Samples, Selection};
use crate::split::apportion;
use rand::seq::SliceRandom;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Reader, Stream};

/// A set in three parts. Each keeps the order of the samples.
pub struct Parts {
    /// The samples to train on.
    pub train: Selection,
    /// The samples that choose the network; may be empty.
    pub validation: Selection,
    /// The samples that judge it; may be empty.
    pub test: Selection,
}

/// Draws `validation` and `test` samples of `samples` at random by `seed`; the rest is for training. If samples have
/// labels, each class gives the same share of its samples, rounded to whole ones.
///
/// # Errors
/// If no training sample is left.
pub fn split(samples: &Arc<dyn Samples>, validation: usize, test: usize, seed: u64) -> Result<Parts> {
    let all = samples.len();
    check(validation, test, all)?;
    // Values are one class.
    let labels = samples.labels().unwrap_or_else(|| vec![0; all]);
    let mut role = vec![Role::Train; all];
    // The test samples are drawn first, so that they do not depend on the size of the validation split.
    for (subject, count, drawn) in [(2, test, Role::Test), (3, validation, Role::Validation)] {
        draw(&labels, &mut role, count, drawn, seed, subject);
    }
    let part = |of: Role| Selection {
        samples: Arc::clone(samples),
        numbers: (0..all).filter(|&number| role[number] == of).collect(),
    };
    Ok(Parts { train: part(Role::Train), validation: part(Role::Validation), test: part(Role::Test) })
}

/// Takes the last samples for the test and those before them for validation; the first are for training.
///
/// # Errors
/// If no training sample is left.
pub fn split_ordered(samples: &Arc<dyn Samples>, validation: usize, test: usize) -> Result<Parts> {
    let all = samples.len();
    check(validation, test, all)?;
    let part = |numbers: Range<usize>| Selection { samples: Arc::clone(samples), numbers: numbers.collect() };
    let (first, second) = (all - test - validation, all - test);
    Ok(Parts { train: part(0..first), validation: part(first..second), test: part(second..all) })
}

/// Refuses to take more than can be spared of `all` samples.
fn check(validation: usize, test: usize, all: usize) -> Result<()> {
    if validation.saturating_add(test) >= all {
        return Err(Error::Usage(format!(
            "cannot take {validation} samples for validation and {test} for the test from {all}: at least one must be left \
             for training"
        )));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Train,
    Validation,
    Test,
}

/// Turns `count` of the samples for training into samples of the role `drawn`.
fn draw(labels: &[usize], role: &mut [Role], count: usize, drawn: Role, seed: u64, subject: u32) {
    let classes = labels.iter().max().map_or(0, |largest| largest + 1);
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (number, &label) in labels.iter().enumerate().filter(|(number, _)| role[*number] == Role::Train) {
        members[label].push(number);
    }
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let stream = |class: usize, tensor| Stream {
        seed,
        purpose: Purpose::Validation,
        step: class as u64,
        subject,
        tensor,
    };
    let mut order: Vec<usize> = (0..classes).collect();
    order.shuffle(&mut Reader::new(stream(0, 1)));
    for ((class, members), share) in members.iter_mut().enumerate().zip(apportion(&counts, count, &order)) {
        members.shuffle(&mut Reader::new(stream(class, 0)));
        members[..share].iter().for_each(|&number| role[number] = drawn);
    }
}
