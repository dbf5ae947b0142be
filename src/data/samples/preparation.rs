//! What a checkpoint must remember so that other samples are prepared like those that a network was trained on.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::prepared::Prepared;
use super::scale::{features, measure};
use super::{Samples, Scale, Selection};
use crate::table::Encoding;
use ternflock_base::error::Result;
use ternflock_job::{Normalisation, SampleSettings};
use ternflock_nn::{Shape, TargetKind};

/// How samples are prepared. A source fills in what it determines itself, such as the names of classes; the rest is
/// measured on the training split.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Preparation {
    /// The normalisation of inputs: one number for each channel or feature.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Scale>,
    /// The normalisation of targets that are values.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Scale>,
    /// How the columns of a table become inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<Encoding>,
    /// The names of the classes, by number; empty if they have none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub class_names: Vec<String>,
}

impl Preparation {
    /// Measures on the training split `train` what `settings` ask for.
    ///
    /// # Errors
    /// Those of reading the samples.
    pub fn measure(mut self, train: &Selection, settings: &SampleSettings) -> Result<Preparation> {
        let inputs = settings.normalise == Normalisation::Standard;
        let is_values = matches!(train.samples.target(), TargetKind::Values(_));
        let targets = is_values && settings.normalise_targets == Normalisation::Standard;
        if inputs || targets {
            let (of_inputs, of_targets) = measure(train)?;
            self.inputs = inputs.then_some(of_inputs);
            self.targets = targets.then_some(of_targets);
        }
        Ok(self)
    }

    /// The samples of `selection`, prepared.
    ///
    /// # Errors
    /// If the preparation is for samples of another shape.
    pub fn apply(&self, selection: Selection) -> Result<Selection> {
        let Selection { samples, numbers } = selection;
        let prepared: Arc<dyn Samples> = Arc::new(Prepared::new(samples, self)?);
        Ok(Selection { samples: prepared, numbers })
    }

    /// Whether it is for inputs of `shape` and for `outputs` values to predict.
    pub fn fits(&self, shape: Shape, outputs: usize) -> bool {
        let fits = |scale: &Option<Scale>, count: usize| {
            scale.as_ref().is_none_or(|scale| scale.mean.len() == count && scale.std.len() == count)
        };
        fits(&self.inputs, features(shape).0) && fits(&self.targets, outputs)
    }

    /// Normalises `inputs`, samples of `shape` one after another.
    pub fn normalise_inputs(&self, shape: Shape, inputs: &mut [f32]) {
        self.inputs.iter().for_each(|scale| scale.apply(features(shape).1, inputs));
    }

    /// Turns `outputs` for normalised targets, one sample after another, into values in the targets' own unit.
    pub fn restore_targets(&self, outputs: &mut [f32]) {
        self.targets.iter().for_each(|scale| scale.undo(outputs));
    }

    /// The text that a checkpoint holds.
    pub fn to_json(&self) -> String {
        // Numbers, texts and lists are always JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads the text of a checkpoint. An `Err` has the reason why it cannot be used.
    pub fn from_json(text: &str) -> std::result::Result<Preparation, String> {
        serde_json::from_str(text).map_err(|error| format!("its preparation of data cannot be read: {error}"))
    }
}
