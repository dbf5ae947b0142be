//! Which rows of a table are for training, for choosing the network and for the final test. Files and a column can decide;
//! the rest is split off the training rows.

use std::ops::Range;

use rand::seq::SliceRandom;

use super::column::{Cells, Words};
use super::plan::Plan;
use super::read::Table;
use crate::samples::{Role, roles, sizes, spare_of};
use ternflock_base::error::{Error, Result};
use ternflock_base::rng::{Purpose, Reader, Stream};
use ternflock_base::suggest::suggest;
use ternflock_base::text::quote;
use ternflock_job::Validation;

/// The splits that a job asks for.
#[derive(Clone, Copy, Debug)]
pub struct Shares {
    /// The size of the validation split.
    pub validation: Validation,
    /// The size of the test split.
    pub test: Validation,
    /// Whether the last rows are split off, not random ones.
    pub is_ordered: bool,
    /// The seed that draws random ones.
    pub seed: u64,
}

impl Shares {
    /// The numbers of validation and test samples that are split off from `all`, of which `left` can be spared. A set that
    /// is there already is not split off.
    ///
    /// # Errors
    /// If the job gives the size of a set that is there.
    pub fn sizes(&self, all: usize, left: usize, has_validation: bool, has_test: bool) -> Result<[usize; 2]> {
        for (key, size, is_there) in
            [("validation", self.validation, has_validation), ("test", self.test, has_test)]
        {
            if is_there && size != Validation::Auto {
                return Err(Error::Usage(format!(
                    "data.{key} is the size of a split, but the rows of this split are in a file of their own or named by \
                     data.split_column: keep one"
                )));
            }
        }
        let missing = |is_there: bool, how| (!is_there).then_some(how);
        Ok(sizes(all, left, missing(has_validation, self.validation), missing(has_test, self.test)))
    }
}

/// The rows of each part, in ascending order: training, validation and test. `files` are the rows from the files of each
/// part, and `strata` the class of each row, or 0.
///
/// # Errors
/// If a row has no valid cell in the column that decides, or if no training row is left.
pub fn parts(
    table: &Table,
    plan: &Plan,
    files: &[Range<usize>; 3],
    strata: &[usize],
    shares: &Shares,
) -> Result<[Vec<usize>; 3]> {
    let mut role = vec![Role::Train; table.places.len()];
    files[1].clone().for_each(|row| role[row] = Role::Validation);
    files[2].clone().for_each(|row| role[row] = Role::Test);
    if let Some(at) = plan.split {
        said(table, at, &mut role)?;
    }
    let has = |one: Role| role.contains(&one);
    let left: Vec<usize> = (0..role.len()).filter(|&row| role[row] == Role::Train).collect();
    let labels: Vec<usize> = left.iter().map(|&row| strata[row]).collect();
    let sizes @ [validation, test] =
        shares.sizes(left.len(), spare_of(&labels), has(Role::Validation), has(Role::Test))?;
    if validation.saturating_add(test) >= left.len() {
        return Err(Error::Usage(format!(
            "cannot take {validation} rows for validation and {test} for the test from {}: at least one must be left for \
             training",
            left.len()
        )));
    }
    let drawn = match plan.group {
        Some(at) => by_group(table, at, &left, sizes, shares)?,
        None if shares.is_ordered => ordered(left.len(), sizes),
        None => roles(&labels, validation, test, shares.seed),
    };
    left.iter().zip(drawn).for_each(|(&row, drawn)| role[row] = drawn);
    let rows = |one: Role| (0..role.len()).filter(|&row| role[row] == one).collect();
    Ok([rows(Role::Train), rows(Role::Validation), rows(Role::Test)])
}

/// The last samples are for the test, those before them for validation.
fn ordered(all: usize, [validation, test]: [usize; 2]) -> Vec<Role> {
    let role = |at: usize| match at {
        at if at >= all - test => Role::Test,
        at if at >= all - test - validation => Role::Validation,
        _ => Role::Train,
    };
    (0..all).map(role).collect()
}

/// Writes the roles that the cells of column `at` name.
fn said(table: &Table, at: usize, role: &mut [Role]) -> Result<()> {
    const NAMES: [&str; 3] = ["train", "validation", "test"];
    const ROLES: [Role; 3] = [Role::Train, Role::Validation, Role::Test];
    let (column, words) = words(table, at)?;
    for (row, role) in role.iter_mut().enumerate() {
        let word = words.words.get(words.codes[row] as usize).map_or("", String::as_str);
        let Some(found) = NAMES.iter().position(|name| *name == word) else {
            let problem = format!("the split of the row is `{}`; {}", quote(word), suggest(word, &NAMES));
            return Err(table.places.error(row, column, &problem));
        };
        *role = ROLES[found];
    }
    Ok(())
}

/// The roles of the rows `left`, so that rows with equal cells in column `at` have the same. A part has as many rows as it
/// should, or fewer if no group fits; but at least one group.
fn by_group(
    table: &Table,
    at: usize,
    left: &[usize],
    [validation, test]: [usize; 2],
    shares: &Shares,
) -> Result<Vec<Role>> {
    let (column, words) = words(table, at)?;
    let group = |row: usize| words.codes[row] as usize;
    let mut sizes = vec![0; words.words.len()];
    for &row in left {
        match sizes.get_mut(group(row)) {
            Some(size) => *size += 1,
            None => {
                return Err(table.places.error(
                    row,
                    column,
                    "has no value, so the group of the row is unknown",
                ));
            }
        }
    }
    // In the order in which the groups first come.
    let mut groups: Vec<usize> = (0..sizes.len()).filter(|&group| sizes[group] > 0).collect();
    if shares.is_ordered {
        groups.reverse();
    } else {
        let stream =
            Stream { seed: shares.seed, purpose: Purpose::Validation, step: 0, subject: 4, tensor: 0 };
        groups.shuffle(&mut Reader::new(stream));
    }
    let needed = 1 + [validation, test].iter().filter(|&&size| size > 0).count();
    if groups.len() < needed {
        let problem = format!("there are {} groups, but the splits need {needed}", groups.len());
        return Err(table.places.error(left[0], column, &problem));
    }
    let mut of_group = vec![Role::Train; sizes.len()];
    for (wanted, role) in [(test, Role::Test), (validation, Role::Validation)] {
        let mut taken = 0;
        let waiting = usize::from(role == Role::Test && validation > 0);
        let mut at = 0;
        while wanted > 0 && at < groups.len() && groups.len() > 1 + waiting {
            if taken == 0 || taken + sizes[groups[at]] <= wanted {
                let group = groups.remove(at);
                taken += sizes[group];
                of_group[group] = role;
            } else if shares.is_ordered {
                break;
            } else {
                at += 1;
            }
        }
    }
    Ok(left.iter().map(|&row| of_group[group(row)]).collect())
}

/// The texts of column `at`, and its name.
fn words(table: &Table, at: usize) -> Result<(&str, &Words)> {
    let column = &table.columns[at];
    match &column.cells {
        Cells::Words(words) => Ok((&column.name, words)),
        Cells::Numbers(_) => Err(table.places.error(0, &column.name, "was not read as text")),
    }
}
