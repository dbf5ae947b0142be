//! The scores of each class, label or output in the report of `ternflock eval`.

use serde_json::{Value, json};

use crate::numbers::{percent, significant, thousands};
use crate::table::table;
use ternflock_nn::metrics::{ClassScores, Counts, Measures, OutputScores};
use ternflock_report::json::to_value;

/// The maximum number of rows of a table; JSON has all.
const MOST_ROWS: usize = 50;

/// The table of all classes, labels or outputs; `None` if there is only one, or nothing is counted.
pub fn text(measures: &Measures, names: &[String]) -> Option<String> {
    let (mut rows, all) = match measures {
        Measures::Tokens => return None,
        Measures::Classes(classes) => of_counts("class", classes.counts(), names),
        Measures::Labels(counts) => of_counts("label", counts, names),
        Measures::Values(outputs) => of_outputs(&outputs.scores()),
    };
    if all < 2 {
        return None;
    }
    if all > MOST_ROWS {
        rows.push(vec!["...".into(), format!("{} in all; --json lists them", thousands(all as u64))]);
        return Some(table(&rows, &[]));
    }
    Some(table(&rows, &[1, 2, 3, 4]))
}

/// The same as JSON: undefined scores are `null`, and a classifier has its confusion matrix.
pub fn object(measures: &Measures, names: &[String]) -> Value {
    match measures {
        Measures::Tokens => json!({}),
        Measures::Classes(classes) => json!({
            "classes": counts_json("class", classes.counts(), names),
            "confusion": classes.confusion(),
        }),
        Measures::Labels(counts) => json!({ "labels": counts_json("label", counts, names) }),
        Measures::Values(outputs) => {
            let one = |(output, scores): (usize, OutputScores)| {
                let OutputScores { rmse, mae, r2 } = scores;
                json!({"output": output, "rmse": to_value(&rmse), "mae": to_value(&mae), "r2": to_value(&r2)})
            };
            json!({ "outputs": outputs.scores().into_iter().enumerate().map(one).collect::<Vec<_>>() })
        }
    }
}

/// The name of class `class`: its number if it has none.
fn name(class: usize, names: &[String]) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

fn of_counts(what: &str, counts: &Counts, names: &[String]) -> (Vec<Vec<String>>, usize) {
    let mut rows = vec![[what, "samples", "precision", "recall", "F1"].map(String::from).to_vec()];
    let share = |share: Option<f64>| share.map_or_else(|| "-".into(), percent);
    rows.extend(counts.scores().iter().take(MOST_ROWS).enumerate().map(|(class, scores)| {
        let ClassScores { samples, precision, recall, f1, .. } = *scores;
        vec![name(class, names), thousands(samples), share(precision), share(recall), share(f1)]
    }));
    (rows, counts.len())
}

fn of_outputs(scores: &[OutputScores]) -> (Vec<Vec<String>>, usize) {
    let mut rows = vec![["output", "RMSE", "MAE", "R²"].map(String::from).to_vec()];
    let number = |number: Option<f64>| number.map_or_else(|| "-".into(), significant);
    rows.extend(scores.iter().take(MOST_ROWS).enumerate().map(|(output, scores)| {
        [vec![output.to_string()], [scores.rmse, scores.mae, scores.r2].map(number).to_vec()].concat()
    }));
    (rows, scores.len())
}

fn counts_json(what: &str, counts: &Counts, names: &[String]) -> Vec<Value> {
    let one = |(class, scores): (usize, ClassScores)| {
        let ClassScores { samples, predicted, precision, recall, f1 } = scores;
        let mut object = json!({
            what: class,
            "samples": samples,
            "predicted": predicted,
            "precision": precision,
            "recall": recall,
            "f1": f1,
        });
        if let Some(name) = names.get(class) {
            object["name"] = json!(name);
        }
        object
    };
    counts.scores().into_iter().enumerate().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ternflock_nn::Targets;
    use ternflock_nn::metrics::{Classes, Outputs};

    #[test]
    fn undefined_scores_are_dashes_and_null() {
        let mut measures = Measures::Classes(Classes::new(3, true));
        measures.add(&[1.0, 0.0, 0.0, 1.0, 0.0, 0.0], &Targets::of_labels(vec![0, 1]));
        let names = ["cat", "dog", "emu"].map(String::from);
        assert_eq!(
            text(&measures, &names).unwrap(),
            "  class  samples  precision    recall       F1\n  \
             cat          1    50.00 %  100.00 %  66.67 %\n  \
             dog          1          -    0.00 %   0.00 %\n  \
             emu          0          -         -        -\n"
        );
        let object = object(&measures, &names);
        assert_eq!(object["confusion"], json!([[1, 0, 0], [1, 0, 0], [0, 0, 0]]));
        assert_eq!(
            object["classes"][1],
            json!({"class": 1, "name": "dog", "samples": 1, "predicted": 0, "precision": null, "recall": 0.0, "f1": 0.0})
        );
    }

    #[test]
    fn each_output_has_its_errors_and_long_tables_are_cut() {
        let mut measures = Measures::Values(Outputs::new(2, None));
        let values = vec![1.0, 3.0, 2.0, 3.0];
        measures.add(&[1.0, 4.0, 2.0, 2.0], &Targets { values, width: 2, ..Targets::default() });
        assert_eq!(
            text(&measures, &[]).unwrap(),
            "  output    RMSE     MAE      R²\n  0       0.0000  0.0000  1.0000\n  1       1.0000  1.0000       -\n"
        );
        let second = json!({"output": 1, "rmse": 1.0, "mae": 1.0, "r2": null});
        assert_eq!(object(&measures, &[])["outputs"][1], second);
        let many = text(&Measures::Values(Outputs::new(60, None)), &[]).unwrap();
        assert!(many.lines().count() == 52 && many.ends_with("60 in all; --json lists them\n"), "{many}");
        assert_eq!(text(&Measures::Values(Outputs::new(1, None)), &[]), None);
    }
}
