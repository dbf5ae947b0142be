//! Splits a set into samples for training, for choosing the network and for the final test. The split is a pure function
//! of the seed and the labels, so it is the same on every rank and for any number of ranks.

use std::ops::Range;
use std::sync::Arc;

use super::{Samples, Selection};
use crate::split::{apportion, size, spare};
use rand::seq::SliceRandom;
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Reader, Stream};
use ternflock_job::Validation;

/// A set in three parts. Each keeps the order of the samples.
pub struct Parts {
    /// The samples to train on.
    pub train: Selection,
    /// The samples that choose the network; may be empty.
    pub validation: Selection,
    /// The samples that judge it; may be empty.
    pub test: Selection,
}

/// The numbers of validation and test samples that are split off from `all`, of which `left` can be spared: as `validation` and
/// `test` say, where `None` is a set that is there already.
pub fn sizes(
    all: usize,
    mut left: usize,
    validation: Option<Validation>,
    test: Option<Validation>,
) -> [usize; 2] {
    let mut take = |how: Option<Validation>| {
        let size = how.map_or(0, |how| size(how, all, left));
        left = left.saturating_sub(size);
        size
    };
    let test = take(test);
    [take(validation), test]
}

/// The number of samples with these `labels` that can be taken so that each class keeps one.
pub fn spare_of(labels: &[usize]) -> usize {
    let mut counts = vec![0; labels.iter().max().map_or(0, |largest| largest + 1)];
    labels.iter().for_each(|&label| counts[label] += 1);
    spare(&counts)
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
    let role = roles(&labels, validation, test, seed);
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

/// The purpose of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// To train on.
    Train,
    /// To choose the network.
    Validation,
    /// To judge it.
    Test,
}

/// The roles of samples with these `labels`, drawn at random by `seed`. There must be more samples than `validation` and
/// `test` together.
pub fn roles(labels: &[usize], validation: usize, test: usize, seed: u64) -> Vec<Role> {
    let mut role = vec![Role::Train; labels.len()];
    // The test samples are drawn first, so that they do not depend on the size of the validation split.
    for (subject, count, drawn) in [(2, test, Role::Test), (3, validation, Role::Validation)] {
        draw(labels, &mut role, count, drawn, seed, subject);
    }
    role
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
