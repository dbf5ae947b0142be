//! JSON that keeps numbers that are not finite. JSON cannot express them, and `serde_json` writes `null` for them,
//! which a reader cannot distinguish from a missing number. Here they are the strings `"NaN"`, `"Infinity"` and
//! `"-Infinity"`, as in the JSON mapping of Protocol Buffers; all other numbers are unchanged.
//!
//! All JSON that the program writes goes through [`to_text`] or [`to_value`]; numbers that it reads back go through
//! [`number`] or [`deserialize`].

mod named;

use serde::Serialize;
use serde::de::{Deserializer, Error, Visitor};
use serde_json::Value;

use named::Named;

/// The three numbers that are not finite, and their names.
const NAMES: [(&str, f64); 3] =
    [("NaN", f64::NAN), ("Infinity", f64::INFINITY), ("-Infinity", f64::NEG_INFINITY)];

/// The JSON text of `value`, on one line.
///
/// # Errors
/// If JSON cannot express `value`: a map with keys that are not strings, or a path that is not UTF-8.
pub fn to_text<T: Serialize + ?Sized>(value: &T) -> serde_json::Result<String> {
    serde_json::to_string(&Named(value))
}

/// Like [`to_text`], but as a JSON value for building an object; `null` if JSON cannot express it.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Value {
    serde_json::to_value(Named(value)).unwrap_or_default()
}

/// The number in `value`, finite or not.
pub fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| of_name(value.as_str()?))
}

/// Reads a field that is a number, finite or not: `#[serde(deserialize_with = "...")]`.
///
/// # Errors
/// If it is neither a number nor one of the three names.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
            formatter.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<f64, E> {
            Ok(number)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<f64, E> {
            Ok(number as f64)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<f64, E> {
            Ok(number as f64)
        }

        fn visit_str<E: Error>(self, name: &str) -> Result<f64, E> {
            of_name(name).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(name), &self))
        }
    }
    deserializer.deserialize_any(Number)
}

fn of_name(name: &str) -> Option<f64> {
    NAMES.iter().find(|(other, _)| *other == name).map(|(_, number)| *number)
}

/// The name of a number that is not finite.
fn name_of(number: f64) -> Option<&'static str> {
    let same = |other: f64| other == number || (other.is_nan() && number.is_nan());
    NAMES.iter().find(|(_, other)| same(*other)).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize, Serialize)]
    #[serde(tag = "kind", rename_all = "snake_case")]
    enum Sample {
        Plain {
            #[serde(deserialize_with = "deserialize")]
            value: f64,
        },
    }

    #[derive(Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Inner {
        Score(f64),
        Pair(f32, f64),
    }

    /// All the ways in which serde nests a number.
    #[derive(Serialize)]
    struct Nested {
        plain: f64,
        single: f32,
        some: Option<f64>,
        none: Option<f64>,
        list: Vec<f64>,
        tuple: (u64, f64),
        map: BTreeMap<&'static str, f64>,
        #[serde(flatten)]
        flat: Inner,
        pair: Inner,
        newtype: Newtype,
        text: &'static str,
    }

    #[derive(Serialize)]
    struct Newtype(f64);

    #[test]
    fn numbers_that_are_not_finite_have_names_wherever_they_stand() {
        let nested = Nested {
            plain: f64::NAN,
            single: f32::INFINITY,
            some: Some(f64::NEG_INFINITY),
            none: None,
            list: vec![1.5, f64::INFINITY],
            tuple: (3, f64::NAN),
            map: BTreeMap::from([("loss", f64::INFINITY)]),
            flat: Inner::Score(f64::INFINITY),
            pair: Inner::Pair(f32::NAN, 2.0),
            newtype: Newtype(f64::NEG_INFINITY),
            text: "NaN is a text here",
        };
        let expected = json!({
            "plain": "NaN", "single": "Infinity", "some": "-Infinity", "none": null, "list": [1.5, "Infinity"],
            "tuple": [3, "NaN"], "map": {"loss": "Infinity"}, "score": "Infinity", "pair": {"pair": ["NaN", 2.0]},
            "newtype": "-Infinity", "text": "NaN is a text here",
        });
        assert_eq!(to_value(&nested), expected);
        assert_eq!(to_text(&nested).unwrap(), expected.to_string());
    }

    /// Finite numbers are written as `serde_json` writes them.
    #[test]
    fn finite_numbers_are_what_they_were() {
        let values = (0.1f32, 0.1f64, -0.0f64, 1e300, 5e-324, u64::MAX, i64::MIN);
        assert_eq!(to_text(&values).unwrap(), serde_json::to_string(&values).unwrap());
    }

    #[test]
    fn what_is_written_is_read_back() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.1, -3.0, 0.0] {
            let text = to_text(&Sample::Plain { value }).unwrap();
            let Sample::Plain { value: read } = serde_json::from_str(&text).unwrap();
            assert!(read.to_bits() == value.to_bits() || (read.is_nan() && value.is_nan()), "{text}");
            let object: Value = serde_json::from_str(&text).unwrap();
            let found = number(&object["value"]).unwrap();
            assert!(found == value || (found.is_nan() && value.is_nan()), "{text}");
        }
        let Sample::Plain { value } = serde_json::from_str(r#"{"kind": "plain", "value": -3}"#).unwrap();
        assert_eq!(value, -3.0);
        for wrong in ["null", "\"inf\"", "true", "\"\""] {
            let text = format!(r#"{{"kind": "plain", "value": {wrong}}}"#);
            assert!(serde_json::from_str::<Sample>(&text).is_err(), "{text}");
        }
        assert_eq!([json!(null), json!("inf"), json!([1])].map(|value| number(&value)), [None; 3]);
    }
}
