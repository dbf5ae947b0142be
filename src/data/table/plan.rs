//! Which columns of a table have which purpose.

use std::path::Path;

use super::column::Kind;
use super::read::{Wanted, position};
use ternflock_base::error::{Error, Result};
use ternflock_base::text::quote;
use ternflock_job::{Columns, Csv};

/// The columns to read, and the purpose of each. Positions are those in `wanted`; a column can have several purposes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// The columns to read.
    pub wanted: Vec<Wanted>,
    /// The columns that the network reads.
    pub inputs: Vec<usize>,
    /// The columns that it predicts.
    pub targets: Vec<usize>,
    /// The column that says to which split a row belongs.
    pub split: Option<usize>,
    /// The column whose equal cells keep rows together.
    pub group: Option<usize>,
}

impl Plan {
    /// The purposes of the columns in the `header` of the table at `path`, as `how` says. If the rows are cut into windows
    /// (`has_windows`), all inputs include the targets.
    ///
    /// # Errors
    /// If there is no column of a name, or if a column has two purposes that exclude each other.
    pub fn new(path: &Path, header: &[String], how: &Csv, has_windows: bool) -> Result<Plan> {
        let special = [&how.split_column, &how.group].into_iter().flatten();
        let named = how.ignore.iter().chain(&how.categories).chain(&how.targets.0).chain(special.clone());
        named.into_iter().try_for_each(|name| position(path, header, name).map(drop))?;
        let is_other = |name: &String| {
            how.ignore.contains(name)
                || special.clone().any(|other| other == name)
                || !has_windows && how.targets.contains(name)
        };
        let inputs: Vec<String> = match &how.inputs {
            Columns::All => header.iter().filter(|name| !is_other(name)).cloned().collect(),
            Columns::Named(names) => names.clone(),
        };
        if inputs.is_empty() {
            return Err(Error::data(path, "no column is left as an input"));
        }
        let mut plan = Plan::default();
        for name in &inputs {
            check_input(path, header, how, has_windows, name)?;
            let at = plan.want(name, how);
            if plan.inputs.contains(&at) {
                let message = format!("data.inputs has the column `{}` twice", quote(name));
                return Err(Error::data(path, message));
            }
            plan.inputs.push(at);
        }
        for name in &how.targets.0 {
            let at = plan.want(name, how);
            if plan.targets.contains(&at) {
                let message = format!("data.targets has the column `{}` twice", quote(name));
                return Err(Error::data(path, message));
            }
            plan.targets.push(at);
        }
        let mut texts = |name: &Option<String>| {
            name.as_ref().map(|name| {
                plan.wanted.push((name.clone(), Kind::Words));
                plan.wanted.len() - 1
            })
        };
        (plan.split, plan.group) = (texts(&how.split_column), texts(&how.group));
        Ok(plan)
    }

    /// The position of the column `name` among those to read.
    fn want(&mut self, name: &str, how: &Csv) -> usize {
        let found = self.wanted.iter().position(|(other, _)| other == name);
        found.unwrap_or_else(|| {
            let is_category = how.categories.iter().any(|other| other == name);
            self.wanted.push((name.to_owned(), if is_category { Kind::Words } else { Kind::Any }));
            self.wanted.len() - 1
        })
    }
}

/// Refuses an input that is not there or would tell the network what it must predict.
fn check_input(path: &Path, header: &[String], how: &Csv, has_windows: bool, name: &String) -> Result<()> {
    let at = position(path, header, name)?;
    if name.is_empty() {
        let message =
            format!("column {} has no name; if it is no input, data.ignore = [\"\"] leaves it out", at + 1);
        return Err(Error::data(path, message));
    }
    if !has_windows && how.targets.contains(name) {
        let message = format!("the column `{}` is an input and a target: keep one", quote(name));
        return Err(Error::data(path, message));
    }
    if how.split_column.as_ref() == Some(name) {
        let message =
            format!("the column `{}` says to which split a row belongs; it cannot be an input", quote(name));
        return Err(Error::data(path, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tests::table;
    use super::*;

    fn plan(text: &str, has_windows: bool) -> std::result::Result<Plan, String> {
        let header = ["a", "b", "c", "y", ""].map(String::from);
        Plan::new(Path::new("t.csv"), &header, &table(text), has_windows).map_err(|error| error.to_string())
    }

    #[test]
    fn all_inputs_are_those_without_another_purpose() {
        let found =
            plan("targets = 'y'\nignore = ['']\ncategories = ['b']\nsplit_column = 'c'", false).unwrap();
        let names: Vec<&str> = found.wanted.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "b", "y", "c"]);
        assert_eq!((&found.inputs[..], &found.targets[..], found.split), (&[0, 1][..], &[2][..], Some(3)));
        assert_eq!(found.wanted[1].1, Kind::Words);
        // A window is before what is predicted.
        let found = plan("targets = ['y', 'a']\nignore = ['']", true).unwrap();
        assert_eq!((&found.inputs[..], &found.targets[..]), (&[0, 1, 2, 3][..], &[3, 0][..]));
    }

    #[test]
    fn columns_that_make_no_sense_are_refused() {
        for (text, part) in [
            ("targets = 'yy'\nignore = ['']", "t.csv: has no column `yy`; there are `a`"),
            ("targets = 'price'\nignore = ['']", "has no column `price`; there are `a`, `b`, `c`, `y`, ``"),
            ("targets = 'y'\ninputs = ['y']", "the column `y` is an input and a target"),
            ("targets = 'y'\ninputs = ['a', 'a']", "data.inputs has the column `a` twice"),
            ("targets = 'y'", "column 5 has no name; if it is no input, data.ignore = [\"\"]"),
            ("targets = 'y'\nignore = ['a', 'b', 'c', '']", "no column is left as an input"),
            ("targets = 'y'\ninputs = ['a', 'c']\nsplit_column = 'c'", "cannot be an input"),
        ] {
            let message = plan(text, false).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
