//! Which array of a file holds the inputs, and which the targets.

use std::path::Path;

use super::request::Request;
use ternflock_base::error::{Error, Result};
use ternflock_base::suggest::{list, suggest};
use ternflock_data::{ArrayListing, FoundArray};

/// Usual names of inputs with those of their targets, in lower case.
const PAIRS: [(&str, &str); 16] = [
    ("x_train", "y_train"),
    ("train_x", "train_y"),
    ("train_inputs", "train_targets"),
    ("train_images", "train_labels"),
    ("train/images", "train/labels"),
    ("train/inputs", "train/targets"),
    ("train/x", "train/y"),
    ("x", "y"),
    ("inputs", "targets"),
    ("input", "target"),
    ("inputs", "labels"),
    ("images", "labels"),
    ("features", "labels"),
    ("features", "targets"),
    ("data", "labels"),
    ("data", "target"),
];

/// The arrays to learn from.
pub struct Choice {
    /// What the network reads.
    pub inputs: FoundArray,
    /// What it predicts.
    pub targets: FoundArray,
    /// Keys of a job for a validation and a test set in the same file, with the names of their arrays.
    pub own_sets: Vec<(&'static str, String)>,
    /// How the choice was made, as a sentence.
    pub reason: &'static str,
}

/// Chooses two arrays of `listing`, which are in the file at `path`.
///
/// # Errors
/// If the user's names are unknown, or if it is unclear which arrays are meant.
pub fn choose(path: &Path, listing: &ArrayListing, request: &Request) -> Result<Choice> {
    let named = |name: Option<&str>| name.map(|name| find(path, listing, name)).transpose();
    let given = [named(request.inputs)?, named(request.target)?];
    let (inputs, targets, reason) = match given {
        [Some(inputs), Some(targets)] => (inputs, targets, ""),
        [inputs, targets] => {
            let by_name = PAIRS.iter().find_map(|(one, other)| {
                let pair = (called(listing, one)?, called(listing, other)?);
                let fits = inputs.is_none_or(|inputs| inputs == pair.0)
                    && targets.is_none_or(|targets| targets == pair.1);
                fits.then_some(pair)
            });
            match by_name {
                Some((inputs, targets)) => {
                    (inputs, targets, "Chosen by their names; use --inputs and --target to choose others.")
                }
                None => by_size(path, listing, inputs, targets)?,
            }
        }
    };
    if inputs == targets {
        let message = format!("`{}` cannot be both the inputs and the target", inputs.name);
        return Err(Error::Usage(message));
    }
    let own_sets = own_sets(listing, inputs, targets);
    Ok(Choice { inputs: inputs.clone(), targets: targets.clone(), own_sets, reason })
}

/// The array that the user calls `name`.
fn find<'a>(path: &Path, listing: &'a ArrayListing, name: &str) -> Result<&'a FoundArray> {
    let same = |other: &str| other == name || other.strip_prefix('/') == Some(name);
    if let Some((_, reason)) = listing.refused.iter().find(|(other, _)| same(other)) {
        return Err(Error::data(path, format!("its array `{name}` cannot be used: {reason}")));
    }
    listing.arrays.iter().find(|array| same(&array.name)).ok_or_else(|| {
        let names: Vec<&str> = listing.arrays.iter().map(|array| array.name.as_str()).collect();
        Error::data(path, format!("has no array `{name}`; {}", suggest(name, &names)))
    })
}

/// The array with the usual name `name`.
fn called<'a>(listing: &'a ArrayListing, name: &str) -> Option<&'a FoundArray> {
    listing.arrays.iter().find(|array| array.name.trim_start_matches('/').eq_ignore_ascii_case(name))
}

/// Of two arrays with the same number of rows, the larger one holds the inputs.
fn by_size<'a>(
    path: &Path,
    listing: &'a ArrayListing,
    inputs: Option<&'a FoundArray>,
    targets: Option<&'a FoundArray>,
) -> Result<(&'a FoundArray, &'a FoundArray, &'static str)> {
    let size = |array: &FoundArray| array.shape[1..].iter().product::<usize>();
    let known = inputs.or(targets);
    let others: Vec<&FoundArray> = listing
        .arrays
        .iter()
        .filter(|array| known.is_none_or(|known| known != *array && known.shape[0] == array.shape[0]))
        .collect();
    let reason = "Chosen by their sizes; use --inputs and --target to choose others.";
    match (inputs, targets, &others[..]) {
        (Some(inputs), None, [targets]) => Ok((inputs, targets, reason)),
        (None, Some(targets), [inputs]) => Ok((inputs, targets, reason)),
        (None, None, [one, other]) if one.shape[0] == other.shape[0] && size(one) > size(other) => {
            Ok((one, other, reason))
        }
        (None, None, [one, other]) if one.shape[0] == other.shape[0] && size(one) < size(other) => {
            Ok((other, one, reason))
        }
        _ => Err(unclear(path, listing)),
    }
}

/// The refusal of a file in which it is unclear what to learn.
fn unclear(path: &Path, listing: &ArrayListing) -> Error {
    let arrays: Vec<String> =
        listing.arrays.iter().map(|array| format!("`{}`, {}", array.name, described(array))).collect();
    let refused: Vec<String> =
        listing.refused.iter().map(|(name, reason)| format!("`{name}`: {reason}")).collect();
    let not_used = match &refused[..] {
        [] => String::new(),
        refused => format!(". Not usable: {}", list(refused.iter().map(String::as_str), "", "")),
    };
    match &arrays[..] {
        [] => Error::data(path, format!("holds no array of numbers{not_used}")),
        arrays => {
            let arrays = list(arrays.iter().map(String::as_str), "", "");
            let message = format!(
                "it is unclear which arrays are the inputs and the target: choose them with --inputs NAME and --target NAME. It \
                 holds {arrays}{not_used}"
            );
            Error::data(path, message)
        }
    }
}

/// The arrays that are called like `inputs` and `targets`, but after another set.
fn own_sets(
    listing: &ArrayListing,
    inputs: &FoundArray,
    targets: &FoundArray,
) -> Vec<(&'static str, String)> {
    let other = |array: &FoundArray, set: &str| {
        let name = array.name.replacen("train", set, 1);
        let exists = name != array.name && listing.arrays.iter().any(|array| array.name == name);
        exists.then_some(name)
    };
    let set = |words: &[&str], keys: [&'static str; 2]| {
        let found = words.iter().find_map(|word| Some([other(inputs, word)?, other(targets, word)?]));
        found.map(|names| keys.into_iter().zip(names))
    };
    let validation = set(&["validation", "valid", "val"], ["validation_inputs", "validation_targets"]);
    let test = set(&["test"], ["test_inputs", "test_targets"]);
    validation.into_iter().chain(test).flatten().collect()
}

/// The shape and the type of `array`.
pub fn described(array: &FoundArray) -> String {
    let lengths: Vec<String> = array.shape.iter().map(ToString::to_string).collect();
    format!("[{}] of {}", lengths.join(", "), array.element)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(arrays: &[(&str, &[usize])]) -> ArrayListing {
        let found = |(name, shape): &(&str, &[usize])| FoundArray {
            name: (*name).into(),
            shape: shape.to_vec(),
            element: "float32".into(),
            is_integer: false,
        };
        ArrayListing { arrays: arrays.iter().map(found).collect(), refused: Vec::new() }
    }

    fn chosen(
        arrays: &[(&str, &[usize])],
        inputs: Option<&str>,
        target: Option<&str>,
    ) -> std::result::Result<String, String> {
        let path = Path::new("a.npz");
        let request = Request { path, inputs, target, targets: None, window: None, horizon: None };
        choose(path, &listing(arrays), &request)
            .map(|choice| {
                let sets: Vec<String> = choice.own_sets.into_iter().map(|(_, name)| name).collect();
                [&[choice.inputs.name, choice.targets.name][..], &sets[..]].concat().join(" ")
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_come_before_sizes() {
        let arrays: [(&str, &[usize]); 3] = [("Y", &[9, 7]), ("X", &[9, 2]), ("z", &[9, 5])];
        assert_eq!(chosen(&arrays, None, None).unwrap(), "X Y");
        assert_eq!(chosen(&arrays, Some("z"), Some("Y")).unwrap(), "z Y");
        assert!(chosen(&arrays, Some("z"), None).unwrap_err().contains("it is unclear which arrays"));
        let arrays: [(&str, &[usize]); 4] =
            [("x_train", &[9, 2]), ("y_train", &[9]), ("x_test", &[3, 2]), ("y_test", &[3])];
        assert_eq!(chosen(&arrays, None, None).unwrap(), "x_train y_train x_test y_test");
        let arrays: [(&str, &[usize]); 2] = [("/run/drag", &[9]), ("/run/field", &[9, 4])];
        assert_eq!(chosen(&arrays, None, None).unwrap(), "/run/field /run/drag");
        assert_eq!(chosen(&arrays, Some("run/drag"), None).unwrap(), "/run/drag /run/field");
    }

    #[test]
    fn doubts_are_reported_with_what_there_is() {
        let arrays: [(&str, &[usize]); 2] = [("a", &[9, 2]), ("b", &[9, 2])];
        let message = chosen(&arrays, None, None).unwrap_err();
        assert!(message.contains("It holds `a`, [9, 2] of float32, `b`, [9, 2] of float32"), "{message}");
        assert!(
            chosen(&arrays, Some("c"), None).unwrap_err().contains("has no array `c`; there are `a`, `b`")
        );
        assert!(
            chosen(&arrays, Some("a"), Some("a"))
                .unwrap_err()
                .contains("cannot be both the inputs and the target")
        );
        assert!(chosen(&[], None, None).unwrap_err().contains("holds no array of numbers"));
    }
}
