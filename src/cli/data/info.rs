//! `ternflock data info`.

use std::process::ExitCode;

use serde_json::{Value, json};

use crate::arguments::Info;
use crate::exit;
use crate::numbers::thousands;
use crate::streams::print;
use crate::table::table;
use ternflock_base::error::Result;
use ternflock_data::{EvaluationFeed, Feeds, Spread, Survey, survey};
use ternflock_job::Loaded;
use ternflock_nn::{Shape, TargetKind};
use ternflock_tensor::set_threads;
use ternflock_train::{Remembered, TEST, load, open_feeds, open_training_set};

/// The maximum number of rows of a table that are shown.
const MOST_ROWS: usize = 20;
/// The number of samples that are shown, and the maximum number of values of each.
const SHOWN: usize = 3;
const MOST_VALUES: usize = 12;

/// Describes the data of a job.
pub fn main(arguments: &Info) -> ExitCode {
    match info(arguments) {
        Ok(text) => print(&text),
        Err(error) => exit::fail(&error),
    }
}

/// What was found out.
pub struct Found {
    dataset: String,
    /// The shape of a sample.
    pub input: Shape,
    /// What is predicted for it.
    pub target: TargetKind,
    sets: Vec<(&'static str, Survey)>,
    class_names: Vec<String>,
    words: Vec<String>,
    remarks: Vec<String>,
}

fn info(arguments: &Info) -> Result<String> {
    set_threads(std::thread::available_parallelism().map_or(1, usize::from))?;
    let loaded = load(&arguments.job, &arguments.sets)?;
    let found = find(&loaded, arguments.samples)?;
    Ok(if arguments.json { format!("{}\n", found.json()) } else { found.text() })
}

/// Opens the data of a job, and reads about `samples` samples of each set.
///
/// # Errors
/// Those of reading the data.
pub fn find(loaded: &Loaded, samples: usize) -> Result<Found> {
    let feeds = open_feeds(loaded)?;
    let remarks = feeds.remarks();
    let Feeds { train, mut evaluation, set, test, vocabulary, preparation } = feeds;
    // The training set is read in its own order, without augmentation.
    drop(train);
    let data = &loaded.job.data;
    let known = Remembered {
        vocabulary: vocabulary.as_ref(),
        preparation: preparation.as_ref(),
        task: loaded.job.task.asked_kind(),
    };
    let mut training = open_training_set(data, data.dir.as_deref(), known)?;
    let (input, target) = (training.input(), training.target());
    let class_names = training.class_names().unwrap_or_default().to_vec();
    let look = |feed: &mut dyn EvaluationFeed, shown| survey(feed, samples, shown);
    let mut sets = vec![("training", look(&mut *training, SHOWN)?), (set, look(&mut *evaluation, 0)?)];
    if let Some(mut test) = test {
        sets.push((TEST, look(&mut *test, 0)?));
    }
    let words = vocabulary.map_or(Vec::new(), |vocabulary| vocabulary.words().to_vec());
    Ok(Found { dataset: data.dataset.clone(), input, target, sets, class_names, words, remarks })
}

impl Found {
    fn json(&self) -> Value {
        let spread = |spread: &Spread| json!({"min": spread.least, "mean": spread.mean(), "max": spread.most, "not_finite": spread.not_finite});
        let set = |set: &Survey| {
            json!({
                "samples": set.items,
                "read": set.read,
                "classes": set.classes,
                "inputs": set.inputs.iter().map(spread).collect::<Vec<_>>(),
                "targets": set.targets.iter().map(spread).collect::<Vec<_>>(),
            })
        };
        let sets = self.sets.iter().map(|(name, survey)| ((*name).to_owned(), set(survey)));
        json!({
            "dataset": self.dataset,
            "input": self.input.to_string(),
            "target": self.target.described(),
            "class_names": self.class_names,
            "sets": sets.collect::<serde_json::Map<_, _>>(),
            "remarks": self.remarks,
        })
    }

    /// The number of training samples.
    pub fn training_samples(&self) -> usize {
        self.sets[0].1.items
    }

    /// What the samples are, what is odd about them, and how many each set has.
    pub fn summary(&self) -> String {
        let kind = match self.input {
            Shape::Image { .. } => "images of",
            Shape::Vector { .. } => "vectors of",
            Shape::Sequence { .. } => "sequences of",
            Shape::Tokens { .. } => "text in sequences of",
        };
        let mut text = format!("{}: {kind} {}; {}\n", self.dataset, self.input, self.target.described());
        self.remarks.iter().for_each(|remark| text += &format!("{remark}\n"));
        text + "\n" + &table(&self.set_rows(), &[1, 2])
    }

    /// Everything, for people.
    pub fn text(&self) -> String {
        let mut text = self.summary();
        if !matches!(self.input, Shape::Tokens { .. }) {
            text += &format!("\n{}", table(&self.value_rows(), &[1, 2, 3, 4]));
            if matches!(self.target, TargetKind::Class(_)) {
                text += &format!("\n{}", table(&self.class_rows(), &[1, 2, 3]));
            }
        }
        text + "\n" + &self.samples()
    }

    fn set_rows(&self) -> Vec<Vec<String>> {
        let items = if matches!(self.input, Shape::Tokens { .. }) { "columns" } else { "samples" };
        let head = ["set", items, "read"].map(String::from).to_vec();
        let row = |(name, survey): &(&str, Survey)| {
            vec![(*name).to_owned(), thousands(survey.items as u64), thousands(survey.read as u64)]
        };
        [head].into_iter().chain(self.sets.iter().map(row)).collect()
    }

    /// The ranges of the training set, as the network sees it.
    fn value_rows(&self) -> Vec<Vec<String>> {
        let name = if matches!(self.input, Shape::Image { .. }) { "channel" } else { "feature" };
        let survey = &self.sets[0].1;
        let row = |name: String, spread: &Spread| {
            let numbers = [f64::from(spread.least), spread.mean(), f64::from(spread.most)];
            let numbers = numbers.map(|number| format!("{number:.4}")).into_iter();
            [name].into_iter().chain(numbers).chain([thousands(spread.not_finite)]).collect()
        };
        let numbered = |name: &'static str, spreads: &[Spread]| {
            let rows = spreads.iter().take(MOST_ROWS).enumerate();
            let mut rows: Vec<_> =
                rows.map(|(number, spread)| row(format!("{name} {number}"), spread)).collect();
            if let Some(more) = spreads.len().checked_sub(MOST_ROWS).filter(|more| *more > 0) {
                rows.push(vec![format!("and {more} more")]);
            }
            rows
        };
        let head = ["training set", "min", "mean", "max", "not finite"].map(String::from).to_vec();
        let inputs = numbered(name, &survey.inputs);
        [head].into_iter().chain(inputs).chain(numbered("target", &survey.targets)).collect()
    }

    fn class_rows(&self) -> Vec<Vec<String>> {
        let classes = self.target.outputs();
        let head = ["class"].into_iter().chain(self.sets.iter().map(|(name, _)| *name)).map(String::from);
        let row = |class: usize| {
            let counts = self
                .sets
                .iter()
                .map(|(_, survey)| thousands(survey.classes.get(class).copied().unwrap_or(0)));
            [self.class(class)].into_iter().chain(counts).collect()
        };
        let mut rows: Vec<Vec<String>> =
            [head.collect()].into_iter().chain((0..classes.min(MOST_ROWS)).map(row)).collect();
        if classes > MOST_ROWS {
            rows.push(vec![format!("and {} more", classes - MOST_ROWS)]);
        }
        rows
    }

    fn class(&self, class: usize) -> String {
        self.class_names.get(class).cloned().unwrap_or_else(|| class.to_string())
    }

    fn samples(&self) -> String {
        let mut text = "  first samples of the training set:\n".to_owned();
        for (values, target) in &self.sets[0].1.first {
            let shown = |values: &[f32], show: &dyn Fn(f32) -> String| {
                let more = if values.len() > MOST_VALUES { " ..." } else { "" };
                let words: Vec<String> = values.iter().take(MOST_VALUES).map(|&value| show(value)).collect();
                words.join(" ") + more
            };
            let number = |value: f32| format!("{value:.4}");
            let word =
                |value: f32| self.words.get(value as usize).cloned().unwrap_or_else(|| format!("{value}"));
            text += &match (self.input, self.target) {
                (Shape::Tokens { .. }, _) => format!("    {}\n", shown(values, &word)),
                (_, TargetKind::Class(_)) => {
                    let class = target.first().map_or(String::new(), |&class| self.class(class as usize));
                    format!("    {class}: {}\n", shown(values, &number))
                }
                _ => format!("    {}: {}\n", shown(target, &number), shown(values, &number)),
            };
        }
        text
    }
}
