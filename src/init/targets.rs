//! What is learnt from an array of targets: classes, labels or values.

use super::proposal::Proposal;
use super::setting::Setting;
use ternflock_base::error::{Error, Result};
use ternflock_data::{FoundArray, LARGEST_EXACT, MOST_DISTINCT, value_facts};

/// More different integers are amounts, not classes.
const MOST_CLASSES: usize = 1000;

/// Adds what is learnt from `array`, which a job calls `name`. Returns whether it is values, not classes or labels.
pub fn set_targets(dataset: &str, array: &FoundArray, name: &str, proposal: &mut Proposal) -> Result<bool> {
    let refuse = |message: String| Err(Error::data(name, message));
    let width = match array.shape[..] {
        [_] => None,
        [_, width] if width > 0 => Some(width),
        _ => {
            return refuse(format!(
                "has targets of shape {:?}; known are [N] and [N, K]: reshape the array, or choose another one",
                array.shape
            ));
        }
    };
    let facts = value_facts(dataset, name)?;
    if facts.distinct < 2 {
        return refuse("has the same target in all rows, so there is nothing to learn: check it".into());
    }
    let [least, most] = [facts.least, facts.most];
    match width {
        None if array.is_integer => {
            let are_classes = least >= 0.0
                && facts.distinct <= MOST_CLASSES.min(array.shape[0] / 2)
                && most - least < 10.0 * facts.distinct as f32
                && most < LARGEST_EXACT;
            if are_classes {
                proposal.choices.push(format!("The integers are classes, from {least} to {most}."));
                let comment = "The integers are classes. If they are amounts, use \"regression\" here, and units = \
                               \"targets\" in the last layer.";
                proposal.task.push(Setting::new("kind", "classification", comment));
                if least > 0.0 {
                    proposal.set(
                        "first_label",
                        least as u64,
                        "The label of the first class; there is no class 0.",
                    );
                }
            } else {
                proposal
                    .choices
                    .push(format!("The integers from {least} to {most} are values, not classes."));
                let comment = "The integers to predict are values. For classes, use \"classification\" here, and units = \
                               \"classes\" in the last layer; classes must not be negative.";
                proposal.task.push(Setting::new("kind", "regression", comment));
            }
            Ok(!are_classes)
        }
        Some(width) if width > 1 && facts.is_binary => {
            let labels = format!("Targets of zeros and ones are {width} labels, of which several can be 1.");
            proposal.choices.push(labels);
            proposal.task.push(Setting::new(
                "kind",
                "multi-label",
                "Targets are labels of 0 or 1, of which a sample can have several. If it always has one (one-hot), store its \
                 number as an integer instead.",
            ));
            Ok(false)
        }
        _ => {
            let count =
                if facts.distinct > MOST_DISTINCT { "many".into() } else { facts.distinct.to_string() };
            let values = format!("Targets are values from {least} to {most}, {count} different ones.");
            proposal.choices.push(values);
            if array.is_integer && width == Some(1) {
                let hint = "The targets are integers of shape [N, 1], so they are values; for classes, store them as [N].";
                proposal.choices.push(hint.into());
            }
            Ok(true)
        }
    }
}
