//! Sizes of layers that follow from the data: `units = "vocabulary"`, `units = "classes"`, `units = "targets"`.

use serde_json::{Map, Value};

use ternflock_nn::{Shape, TargetKind};

/// The options that may have such a value: the type of the layer, and the key.
const SIZED: [(&str, &str); 3] = [("linear", "units"), ("conv2d", "filters"), ("embedding", "vocabulary")];

/// The sizes that data can define.
const WORDS: [&str; 3] = ["vocabulary", "classes", "targets"];

/// The options that hold arbitrary names.
const NAMES: [&str; 4] = ["name", "type", "inputs", "tied"];

/// Replaces such a word in the `table` of a layer by the size from data of shape `input` with targets of kind `target`. An
/// `Err` has the reason why there is none.
pub fn resolve(table: &mut Map<String, Value>, input: Shape, target: TargetKind) -> Result<(), String> {
    replace(table, |word| size(word, input, target))
}

/// The same before the data are known: replaces each word that some kind of data defines by a number that no
/// layer refuses.
pub fn stand_in(table: &mut Map<String, Value>) -> Result<(), String> {
    replace(table, |_| Ok(1))
}

fn replace(
    table: &mut Map<String, Value>,
    size: impl Fn(&str) -> Result<usize, String>,
) -> Result<(), String> {
    let kind = table.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (key, value) in table.iter_mut() {
        let Some(word) = value.as_str().filter(|word| WORDS.contains(word)) else { continue };
        if SIZED.contains(&(kind.as_str(), key.as_str())) {
            *value = size(word).map_err(|reason| format!("`{key} = \"{word}\"`: {reason}"))?.into();
        } else if !NAMES.contains(&key.as_str()) {
            return Err(format!(
                "`{key} = \"{word}\"`: only `units` of a linear layer, `filters` of a convolution and `vocabulary` of an \
                 embedding can be left to the data; give a number"
            ));
        }
    }
    Ok(())
}

fn size(word: &str, input: Shape, target: TargetKind) -> Result<usize, String> {
    match (word, input, target) {
        ("vocabulary", Shape::Tokens { vocabulary, .. }, _) => Ok(vocabulary),
        (_, Shape::Tokens { .. }, _) => {
            Err("the data are a text; \"vocabulary\" is the number of its words".into())
        }
        ("classes", _, TargetKind::Class(classes)) => Ok(classes),
        ("targets", _, TargetKind::Values(values)) => Ok(values),
        (_, _, TargetKind::Class(_)) => Err(format!(
            "the data are {}, which have no {word}; \"classes\" is the number of classes",
            kind_of(input)
        )),
        (_, _, TargetKind::Values(_)) => Err(format!(
            "the data are {}, which have no {word}; \"targets\" is the number of values that a sample's target has",
            kind_of(input)
        )),
    }
}

/// The kind of samples of shape `input`, in a word.
fn kind_of(input: Shape) -> &'static str {
    match input {
        Shape::Image { .. } => "images",
        Shape::Vector { .. } => "vectors",
        Shape::Sequence { .. } => "sequences",
        Shape::Tokens { .. } => "a text",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: Shape = Shape::Tokens { steps: 5, vocabulary: 40 };
    const IMAGES: Shape = Shape::Image { channels: 1, height: 8, width: 8 };

    fn resolved(table: Value, input: Shape) -> Result<Value, String> {
        let mut table = table.as_object().unwrap().clone();
        resolve(&mut table, input, TargetKind::Class(if input == TEXT { 40 } else { 10 }))
            .map(|()| table.into())
    }

    #[test]
    fn words_become_the_numbers_of_the_data() {
        for (table, input, key, number) in [
            (json!({"type": "linear", "units": "vocabulary", "name": "classes"}), TEXT, "units", 40),
            (json!({"type": "embedding", "vocabulary": "vocabulary", "features": 3}), TEXT, "vocabulary", 40),
            (json!({"type": "linear", "units": "classes", "tied": "vocabulary"}), IMAGES, "units", 10),
            (json!({"type": "conv2d", "filters": "classes", "kernel": 1}), IMAGES, "filters", 10),
        ] {
            let mut expected = table.clone();
            expected[key] = json!(number);
            assert_eq!(resolved(table, input), Ok(expected));
        }
        // Other words are left for the layer to refuse.
        for plain in [
            json!({"type": "linear", "units": 7, "init": "zero"}),
            json!({"type": "linear", "units": "vocab"}),
        ] {
            assert_eq!(resolved(plain.clone(), TEXT), Ok(plain));
        }
    }

    #[test]
    fn words_stand_for_some_number_until_the_data_are_known() {
        for word in WORDS {
            let mut table = json!({"type": "linear", "units": word}).as_object().unwrap().clone();
            assert_eq!(stand_in(&mut table), Ok(()));
            assert_eq!(table["units"], 1);
        }
        let mut table = json!({"type": "linear", "units": "many"}).as_object().unwrap().clone();
        assert_eq!((stand_in(&mut table), &table["units"]), (Ok(()), &json!("many")), "the layer refuses it");
        let mut table = json!({"type": "lstm", "hidden": "classes"}).as_object().unwrap().clone();
        assert!(stand_in(&mut table).unwrap_err().contains("only `units` of a linear"));
    }

    #[test]
    fn words_that_make_no_sense_are_refused() {
        for (table, input, part) in [
            (
                json!({"type": "linear", "units": "vocabulary"}),
                IMAGES,
                "`units = \"vocabulary\"`: the data are images",
            ),
            (
                json!({"type": "linear", "units": "classes"}),
                TEXT,
                "`units = \"classes\"`: the data are a text",
            ),
            (
                json!({"type": "lstm", "hidden": "vocabulary"}),
                TEXT,
                "`hidden = \"vocabulary\"`: only `units` of a linear",
            ),
            (json!({"type": "embedding", "features": "classes"}), TEXT, "`features = \"classes\"`: only"),
        ] {
            let message = resolved(table, input).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
    }
}
