//! How to read data, and what to learn from them.

use super::setting::Setting;

/// The sections `[data]` and `[task]` of a job.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Proposal {
    /// The keys of `[data]`.
    pub data: Vec<Setting>,
    /// The keys of `[task]`; empty: they follow from the data.
    pub task: Vec<Setting>,
    /// Choices that were made, for the user: a sentence each.
    pub choices: Vec<String>,
    /// For a text, about how many tokens it has.
    pub tokens: usize,
}

impl Proposal {
    /// A job with these data and any network, with which the data can be opened.
    pub fn stand_in(&self) -> String {
        let rest = "[model]\npreset = \"mlp\"\n[train]\nsteps = 1\nglobal_batch = 1\n[optimizer]\nlearning_rate = 1\n";
        format!("name = \"init\"\n{}{rest}", self.sections())
    }

    /// The two sections as text.
    pub fn sections(&self) -> String {
        let section = |name: &str, settings: &[Setting]| match settings {
            [] => String::new(),
            _ => format!("[{name}]\n{}\n", settings.iter().map(Setting::lines).collect::<String>()),
        };
        section("data", &self.data) + &section("task", &self.task)
    }

    /// Adds a key to `[data]`.
    pub fn set(
        &mut self,
        key: &'static str,
        value: impl Into<serde_json::Value>,
        comment: impl Into<String>,
    ) {
        self.data.push(Setting::new(key, value, comment));
    }

    /// Adds the keys of the splits: at random, or in the order of time.
    pub fn set_splits(&mut self, is_ordered: bool) {
        self.set(
            "validation",
            "auto",
            "The samples that choose checkpoints/best.h5; they are never trained on. A number, a share such as 0.2, or \
             \"auto\": a tenth, at most 10,000. A set of its own takes its place.",
        );
        self.set("test", "auto", "The samples that measure the chosen network, once, at the end.");
        match is_ordered {
            true => self.set("split", "ordered", "Splits follow time: the last samples are the test split."),
            false => self.set(
                "split",
                "random",
                "Samples are drawn for the splits at random; \"ordered\" takes the last ones, for samples that follow \
                 each other in time.",
            ),
        }
    }

    /// Adds the keys of normalisation.
    pub fn set_normalisation(&mut self, has_values: bool) {
        self.set(
            "normalise",
            "standard",
            "Inputs get mean 0 and standard deviation 1, as measured on the training split; \"none\" leaves them as they \
             are.",
        );
        if has_values {
            self.set(
                "normalise_targets",
                "standard",
                "The values to predict are normalised too. Metrics are reported in their own units.",
            );
        }
    }
}
