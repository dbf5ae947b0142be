//! Which runs a sweep has: every job with every combination of values, and with every seed.

use std::path::{Path, PathBuf};

use crate::cli::arguments::Sweep;
use crate::error::{Error, Result};
use crate::job::Job;
use crate::train;

/// What runs that differ in their seed alone have in common.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The job file.
    pub file: PathBuf,
    /// The job's name.
    pub job: String,
    /// Keys that vary, and their values here, as they were said.
    pub values: Vec<(String, String)>,
}

/// One run.
#[derive(Clone, Debug)]
pub struct Run {
    /// The number of its setting.
    pub setting: usize,
    /// `train.seed`.
    pub seed: u64,
    /// What is laid over the job file.
    pub sets: Vec<String>,
    /// The effective job.
    pub job: Job,
    /// Where it goes.
    pub directory: PathBuf,
}

/// All settings and all runs of a sweep.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order of jobs and values.
    pub settings: Vec<Setting>,
    /// Setting by setting.
    pub runs: Vec<Run>,
}

impl Plan {
    /// What `arguments` ask for. Every job is read with its values, so that nothing is wrong with the last one hours later.
    ///
    /// # Errors
    /// When a job or a value is refused, or two runs would be the same.
    pub fn new(arguments: &Sweep) -> Result<Plan> {
        let varied = arguments.vary.iter().map(|vary| split(vary)).collect::<Result<Vec<_>>>()?;
        let mut plan = Plan { settings: Vec::new(), runs: Vec::new() };
        for file in &arguments.jobs {
            for values in combinations(&varied) {
                plan.add(arguments, file, values)?;
            }
        }
        Ok(plan)
    }

    fn add(&mut self, arguments: &Sweep, file: &Path, values: Vec<(String, String)>) -> Result<()> {
        let said = values.iter().map(|(key, value)| format!("{key}={value}"));
        let sets: Vec<String> = arguments.sets.iter().cloned().chain(said).collect();
        let job = train::load(file, &sets)?.job;
        let setting = Setting { file: file.to_owned(), job: job.name.clone(), values };
        let seeds = if arguments.seeds.is_empty() { vec![job.train.seed] } else { arguments.seeds.clone() };
        for seed in seeds {
            let sets = [&sets[..], &[format!("train.seed={seed}")]].concat();
            let job = train::load(file, &sets)?.job;
            let directory = arguments.into.join(name(&setting, seed));
            if self.runs.iter().any(|run| run.directory == directory) {
                let message = format!(
                    "two runs would both go to {}: give each job, value and seed once",
                    directory.display()
                );
                return Err(Error::Usage(message));
            }
            self.runs.push(Run { setting: self.settings.len(), seed, sets, job, directory });
        }
        self.settings.push(setting);
        Ok(())
    }

    /// The numbers of the runs that `only` names; of all of them without it.
    ///
    /// # Errors
    /// When it names none, or one that there is not.
    pub fn chosen(&self, only: Option<&str>) -> Result<Vec<usize>> {
        let Some(only) = only else { return Ok((0..self.runs.len()).collect()) };
        let refuse = || {
            Error::Usage(format!(
                "--only {only}: numbers from 0 to {} are needed, as in 0,3,5-7; --list says which run has which",
                self.runs.len() - 1
            ))
        };
        let mut chosen = Vec::new();
        for part in only.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let number =
                |text: &str| text.trim().parse::<usize>().ok().filter(|&number| number < self.runs.len());
            let (first, last) = number(first).zip(number(last)).ok_or_else(refuse)?;
            chosen.extend(first..=last);
        }
        if chosen.is_empty() { Err(refuse()) } else { Ok(chosen) }
    }
}

/// The key and the values of one `--vary`. A comma within brackets, braces or quotes does not part values.
fn split(vary: &str) -> Result<(String, Vec<String>)> {
    let refuse =
        || Error::Usage(format!("--vary {vary}: KEY=VALUE,... is needed, as in smoothout.a=0.01,0.02"));
    let (key, list) = vary.split_once('=').filter(|(key, _)| !key.trim().is_empty()).ok_or_else(refuse)?;
    if key.trim() == "train.seed" {
        return Err(Error::Usage("--vary train.seed: seeds are said with --seeds, and averaged over".into()));
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

/// Every choice of a value of each key, the last key's changing first.
fn combinations(varied: &[(String, Vec<String>)]) -> Vec<Vec<(String, String)>> {
    varied.iter().fold(vec![Vec::new()], |all, (key, values)| {
        let with = |before: Vec<(String, String)>| {
            values.iter().map(move |value| [&before[..], &[(key.clone(), value.clone())]].concat())
        };
        all.into_iter().flat_map(with).collect()
    })
}

/// The directory of a run, below that of the sweep: "job/key=value,seed=1", in letters that no shell minds.
fn name(setting: &Setting, seed: u64) -> PathBuf {
    let values = setting.values.iter().map(|(key, value)| format!("{key}={value},"));
    let name = format!("{}seed={seed}", values.collect::<String>());
    let fit = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || "._-=,+".contains(letter) => letter,
        _ => '_',
    };
    Path::new(&setting.job).join(name.chars().map(fit).collect::<String>())
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
            .into_iter()
            .map(|values| values.into_iter().map(|(_, value)| value).collect::<String>())
            .collect();
        assert_eq!(all, ["1x", "1y", "2x", "2y"]);
        assert_eq!(combinations(&[]), [Vec::new()]);
    }

    #[test]
    fn directories_are_fit_for_shells() {
        let setting = Setting {
            file: "x.toml".into(),
            job: "x".into(),
            values: vec![("optimizer.kind".into(), "adam".into()), ("data.dir".into(), "a b/'c'".into())],
        };
        assert_eq!(name(&setting, 3), Path::new("x/optimizer.kind=adam,data.dir=a_b__c_,seed=3"));
    }
}
