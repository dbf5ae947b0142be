//! The runs of a sweep: every job with every combination of values and every seed.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::arguments::Sweep;
use ternflock_base::error::{Error, Result};
use ternflock_base::text::quote;
use ternflock_job::{Job, Loaded};
use ternflock_train as train;

/// The maximum number of runs in a sweep. All runs are checked before the first one starts.
const MOST_TRIALS: usize = 10_000;

/// The longest directory name that file systems accept.
const LONGEST_NAME: usize = 255;

/// The settings that runs have in common if they differ only in their seed.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The job file.
    pub file: PathBuf,
    /// The job's name.
    pub job: String,
    /// The keys that vary, and their values here, as given.
    pub values: Vec<(String, String)>,
}

/// One training run: a setting with a seed.
#[derive(Clone, Debug)]
pub struct Trial {
    /// The number of its setting.
    pub setting: usize,
    /// The index of its job file.
    file: usize,
    /// `train.seed`.
    pub seed: u64,
    /// Its directory.
    pub directory: PathBuf,
}

/// All settings and all trials of a sweep.
#[derive(Clone, Debug)]
pub struct Grid {
    /// In the order of jobs and values.
    pub settings: Vec<Setting>,
    /// Setting by setting.
    pub trials: Vec<Trial>,
    /// Each job file, as first read.
    files: Vec<Loaded>,
    /// Overrides for all job files.
    sets: Vec<String>,
}

impl Grid {
    /// What `arguments` ask for. Every job is read with its values, so that nothing is wrong with the last one hours later.
    ///
    /// # Errors
    /// If a job or a value is refused, if two runs would be the same, or if there are too many runs.
    pub fn new(arguments: &Sweep) -> Result<Grid> {
        let varied = arguments.vary.iter().map(|vary| split(vary)).collect::<Result<Vec<_>>>()?;
        check_count(arguments, &varied)?;
        let sets = arguments.sets.clone();
        let mut grid = Grid { settings: Vec::new(), trials: Vec::new(), files: Vec::new(), sets };
        let mut directories = HashSet::new();
        for file in &arguments.jobs {
            for values in combinations(&varied) {
                grid.add(arguments, file, values, &mut directories)?;
            }
        }
        Ok(grid)
    }

    fn add(
        &mut self,
        arguments: &Sweep,
        path: &Path,
        values: Vec<(String, String)>,
        directories: &mut HashSet<PathBuf>,
    ) -> Result<()> {
        let sets = self.sets_of(&values, None);
        let is_first = self.settings.last().is_none_or(|before| before.file != path);
        let loaded = match self.files.last().filter(|_| !is_first) {
            Some(first) => train::load_again(first, sets)?,
            None => train::load(path, &sets)?,
        };
        let (name, own_seed) = (loaded.job.name.clone(), loaded.job.train.seed);
        if is_first {
            self.files.push(loaded);
        }
        let file = self.files.len() - 1;
        let setting = Setting { file: path.to_owned(), job: name, values };
        let seeds = if arguments.seeds.is_empty() { &[own_seed][..] } else { &arguments.seeds };
        for &seed in seeds {
            let name = name_of(&setting, seed);
            if name.len() > LONGEST_NAME {
                let message = format!(
                    "the directory of a run is named after its values, and a name may have at most \
                     {LONGEST_NAME} bytes: {} is too long; vary shorter values, or give each its own job \
                     file",
                    quote(&name)
                );
                return Err(Error::Usage(message));
            }
            let directory = arguments.into.join(&setting.job).join(name);
            if !directories.insert(directory.clone()) {
                let message = format!(
                    "two runs would both use the directory {}: give each job, value and seed once",
                    directory.display()
                );
                return Err(Error::Usage(message));
            }
            let trial = Trial { setting: self.settings.len(), file, seed, directory };
            train::load_again(&self.files[file], self.sets_of(&setting.values, Some(seed)))?;
            self.trials.push(trial);
        }
        self.settings.push(setting);
        Ok(())
    }

    /// The overrides for the job file of a run.
    pub fn sets(&self, trial: &Trial) -> Vec<String> {
        self.sets_of(&self.settings[trial.setting].values, Some(trial.seed))
    }

    fn sets_of(&self, values: &[(String, String)], seed: Option<u64>) -> Vec<String> {
        let said = values.iter().map(|(key, value)| format!("{key}={value}"));
        let seed = seed.map(|seed| format!("train.seed={seed}"));
        self.sets.iter().cloned().chain(said).chain(seed).collect()
    }

    /// The effective job of a run. It is read each time, because jobs can be large.
    ///
    /// # Errors
    /// Those of [`train::load`]. None are expected, because the job was read before.
    pub fn job(&self, trial: &Trial) -> Result<Job> {
        Ok(train::load_again(&self.files[trial.file], self.sets(trial))?.job)
    }

    /// The numbers of the runs that `only` names, or of all runs without it.
    ///
    /// # Errors
    /// If it names no run, or one that does not exist.
    pub fn chosen(&self, only: Option<&str>) -> Result<Vec<usize>> {
        let Some(only) = only else { return Ok((0..self.trials.len()).collect()) };
        let refuse = || {
            Error::Usage(format!(
                "--only {}: numbers from 0 to {} are needed, as in 0,3,5-7; --list shows the number of each \
                 run",
                quote(only),
                self.trials.len() - 1
            ))
        };
        let (mut chosen, mut seen) = (Vec::new(), vec![false; self.trials.len()]);
        for part in only.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number =
                |text: &str| text.trim().parse::<usize>().ok().filter(|&number| number < self.trials.len());
            let (first, last) = number(first).zip(number(last)).ok_or_else(refuse)?;
            chosen.extend((first..=last).filter(|&number| !std::mem::replace(&mut seen[number], true)));
        }
        if chosen.is_empty() { Err(refuse()) } else { Ok(chosen) }
    }
}

/// The key and the values of one `--vary`. A comma within brackets, braces or quotes does not separate
/// values.
fn split(vary: &str) -> Result<(String, Vec<String>)> {
    let refuse = || {
        Error::Usage(format!("--vary {}: KEY=VALUE,... is needed, as in smoothout.a=0.01,0.02", quote(vary)))
    };
    let (key, list) = vary.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(refuse)?;
    if key.trim() == "train.seed" {
        return Err(Error::Usage("--vary train.seed: use --seeds, whose results are averaged".into()));
    }
    let (mut values, mut value, mut depth, mut quote) = (Vec::new(), String::new(), 0u32, None);
    for letter in list.chars() {
        match (quote, letter) {
            (Some(open), letter) if open == letter => quote = None,
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if letter == ',' && depth == 0 && quote.is_none() {
            values.push(std::mem::take(&mut value));
        } else {
            value.push(letter);
        }
    }
    values.push(value);
    if values.iter().any(|value| value.trim().is_empty()) {
        return Err(refuse());
    }
    Ok((key.trim().to_owned(), values.iter().map(|value| value.trim().to_owned()).collect()))
}

/// Refuses more runs than a sweep may have, before any run is created.
fn check_count(arguments: &Sweep, varied: &[(String, Vec<String>)]) -> Result<()> {
    let seeds = arguments.seeds.len().max(1);
    let factors = varied.iter().map(|(_, values)| values.len()).chain([arguments.jobs.len(), seeds]);
    let count = factors.fold(1_u128, |product, factor| product.saturating_mul(factor as u128));
    if count <= MOST_TRIALS as u128 {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "a sweep may have at most {MOST_TRIALS} runs, but all jobs, values and seeds together give {count}: \
         use fewer of them, or do several sweeps"
    )))
}

/// All combinations of one value per key, generated lazily. The last key changes first.
fn combinations(varied: &[(String, Vec<String>)]) -> impl Iterator<Item = Vec<(String, String)>> {
    let count: usize = varied.iter().map(|(_, values)| values.len()).product();
    (0..count).map(move |number| {
        let mut rest = number;
        let mut chosen: Vec<(String, String)> = Vec::with_capacity(varied.len());
        for (key, values) in varied.iter().rev() {
            chosen.push((key.clone(), values[rest % values.len()].clone()));
            rest /= values.len();
        }
        chosen.reverse();
        chosen
    })
}

/// The directory of a run, below that of its job: "key=value,seed=1", in characters that no shell treats specially.
fn name_of(setting: &Setting, seed: u64) -> String {
    let values = setting.values.iter().map(|(key, value)| format!("{key}={value},"));
    let name = format!("{}seed={seed}", values.collect::<String>());
    let fit = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || "._-=,+".contains(letter) => letter,
        _ => '_',
    };
    name.chars().map(fit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_part_at_commas_outside_of_brackets_and_quotes() {
        let values = |vary| split(vary).unwrap().1;
        assert_eq!(values("smoothout.a=0.01, 0.02"), ["0.01", "0.02"]);
        assert_eq!(values("exchange.keep_float=[],['a','b,c']"), ["[]", "['a','b,c']"]);
        assert_eq!(values("data.dir=\"a,b\",c"), ["\"a,b\"", "c"]);
        for wrong in ["a", "=1", "a=", "a=1,,2", "a=1,"] {
            assert!(split(wrong).unwrap_err().to_string().contains("KEY=VALUE"), "{wrong}");
        }
        assert!(split("train.seed=1,2").unwrap_err().to_string().contains("--seeds"));
    }

    #[test]
    fn every_value_meets_every_other() {
        let varied = [("a", &["1", "2"][..]), ("b", &["x", "y"])]
            .map(|(key, values)| (key.to_owned(), values.iter().map(ToString::to_string).collect()));
        let all: Vec<String> = combinations(&varied)
            .map(|values| values.into_iter().map(|(_, value)| value).collect::<String>())
            .collect();
        assert_eq!(all, ["1x", "1y", "2x", "2y"]);
        assert_eq!(combinations(&[]).collect::<Vec<_>>(), [Vec::new()]);
    }

    #[test]
    fn directories_are_fit_for_shells() {
        let setting = Setting {
            file: "x.toml".into(),
            job: "x".into(),
            values: vec![("optimizer.kind".into(), "adam".into()), ("data.dir".into(), "a b/'c'".into())],
        };
        assert_eq!(name_of(&setting, 3), "optimizer.kind=adam,data.dir=a_b__c_,seed=3");
    }
}
