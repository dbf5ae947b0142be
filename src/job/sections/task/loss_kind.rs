//! The losses of `[task]`: the built-in ones, and those of other programs that use this library.

use std::sync::{PoisonError, RwLock};

use serde::{Serialize, Serializer};
use serde_json::{Value as Json, json};
use toml::Value;

use super::TaskKind;
use crate::syntax::{FromValue, one_of};
use ternflock_base::error::{Error, Result as Outcome};

/// A loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Softmax cross-entropy.
    CrossEntropy,
    /// Binary cross-entropy of logits.
    BinaryCrossEntropy,
    /// The mean squared error.
    Mse,
    /// The mean absolute error.
    Mae,
    /// Huber's loss: a square for small errors, a line for large ones.
    Huber,
    /// The loss that a program has registered by this name ([`register_loss_name`]).
    Registered(&'static str),
}

const BUILT_IN: [(&str, LossKind); 5] = [
    ("cross-entropy", LossKind::CrossEntropy),
    ("binary-cross-entropy", LossKind::BinaryCrossEntropy),
    ("mse", LossKind::Mse),
    ("mae", LossKind::Mae),
    ("huber", LossKind::Huber),
];

/// A registered loss: its name, and the kinds of tasks that it fits.
type Registered = (&'static str, &'static [TaskKind]);

static REGISTERED: RwLock<Vec<Registered>> = RwLock::new(Vec::new());

/// Makes `loss = "name"` valid in jobs, for tasks of the kinds `kinds`. It only makes the name known;
/// `ternflock_train::register_loss` also registers the loss.
///
/// # Errors
/// [`Error::Usage`] if there is a loss of this name, or if `kinds` is empty or has language models.
#[doc(hidden)]
pub fn register_loss_name(name: &'static str, kinds: &'static [TaskKind]) -> Outcome<()> {
    let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
    if BUILT_IN.iter().any(|(other, _)| *other == name) || registered.iter().any(|(other, _)| *other == name)
    {
        return Err(Error::Usage(format!("there is a loss called `{name}` already")));
    }
    // Perplexity is computed from the cross-entropy.
    if kinds.is_empty() || kinds.contains(&TaskKind::LanguageModel) {
        let message = "must fit at least one kind of task, and \"language-model\" is not one of them";
        return Err(Error::Usage(format!("the loss `{name}` {message}")));
    }
    registered.push((name, kinds));
    Ok(())
}

fn registered() -> Vec<Registered> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).clone()
}

impl LossKind {
    /// The name in job files.
    pub fn name(self) -> &'static str {
        match self {
            LossKind::Registered(name) => name,
            built_in => BUILT_IN.iter().find(|(_, loss)| *loss == built_in).map_or("", |(name, _)| *name),
        }
    }

    /// The kinds of tasks that it fits.
    pub fn kinds(self) -> &'static [TaskKind] {
        match self {
            LossKind::CrossEntropy => &[TaskKind::Classification, TaskKind::LanguageModel],
            LossKind::BinaryCrossEntropy => &[TaskKind::MultiLabel],
            LossKind::Mse | LossKind::Mae | LossKind::Huber => &[TaskKind::Regression, TaskKind::Forecast],
            LossKind::Registered(name) => {
                registered().iter().find(|(other, _)| *other == name).map_or(&[], |(_, kinds)| *kinds)
            }
        }
    }

    /// All losses for tasks of the kind `kind`, the default first.
    pub fn of(kind: TaskKind) -> Vec<LossKind> {
        all().into_iter().map(|(_, loss)| loss).filter(|loss| loss.kinds().contains(&kind)).collect()
    }
}

fn all() -> Vec<(&'static str, LossKind)> {
    let others = registered().into_iter().map(|(name, _)| (name, LossKind::Registered(name)));
    BUILT_IN.into_iter().chain(others).collect()
}

impl Serialize for LossKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl FromValue for LossKind {
    fn from_value(value: &Value) -> Result<Self, String> {
        let all = all();
        let found = all.iter().find(|(name, _)| value.as_str() == Some(name));
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        found.map(|(_, loss)| *loss).ok_or_else(|| one_of(&names, value.as_str()))
    }

    fn type_name() -> String {
        let quoted: Vec<String> = BUILT_IN.iter().map(|(name, _)| format!("`\"{name}\"`")).collect();
        format!("one of {}", quoted.join(", "))
    }

    fn schema() -> Json {
        json!({ "enum": all().iter().map(|(name, _)| *name).collect::<Vec<_>>() })
    }
}
