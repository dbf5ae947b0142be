//! The rules for values beyond their type.

use serde_json::{Map, Value as Json, json};

use super::values::FromValue;

/// The rule for values beyond their type.
pub(crate) enum Rule<T> {
    /// Anything.
    Any,
    /// A number in a range.
    Within(Range),
    /// A condition that is not a range.
    Such {
        /// The words that follow "must be".
        must_be: &'static str,
        /// Whether a value satisfies it.
        holds: fn(&T) -> bool,
        /// The condition as a JSON Schema, as far as a schema can express it.
        schema: fn() -> Json,
    },
}

impl<T: FromValue> Rule<T> {
    /// Whether `value` satisfies the rule.
    pub fn holds(&self, value: &T) -> bool {
        match self {
            Rule::Any => true,
            Rule::Within(range) => value.number().is_none_or(|number| range.contains(number)),
            Rule::Such { holds, .. } => holds(value),
        }
    }

    /// The words that follow "must be"; `None`: there is no rule.
    pub fn must_be(&self) -> Option<String> {
        match self {
            Rule::Any => None,
            Rule::Within(range) => Some(range.must_be()),
            Rule::Such { must_be, .. } => Some((*must_be).to_owned()),
        }
    }

    /// The keywords that the rule adds to the JSON Schema of the type.
    pub fn schema(&self) -> Json {
        match self {
            Rule::Any => json!({}),
            Rule::Within(range) => range.schema(),
            Rule::Such { schema, .. } => schema(),
        }
    }
}

/// The numbers from a lower to an upper bound.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    from: Option<Bound>,
    to: Option<Bound>,
}

#[derive(Clone, Copy)]
struct Bound {
    number: f64,
    /// Whether the bound itself is in the range.
    inside: bool,
}

/// The numbers from `number` on.
pub(crate) const fn at_least(number: f64) -> Range {
    Range { from: Some(Bound { number, inside: true }), to: None }
}

/// The numbers larger than `number`.
pub(crate) const fn above(number: f64) -> Range {
    Range { from: Some(Bound { number, inside: false }), to: None }
}

/// The numbers up to `number`.
pub(crate) const fn at_most(number: f64) -> Range {
    Range { from: None, to: Some(Bound { number, inside: true }) }
}

impl Range {
    /// Restricts the range to numbers up to `number`.
    pub const fn and_at_most(self, number: f64) -> Range {
        Range { to: at_most(number).to, ..self }
    }

    /// Restricts the range to numbers smaller than `number`.
    pub const fn and_below(self, number: f64) -> Range {
        Range { to: Some(Bound { number, inside: false }), ..self }
    }

    fn contains(&self, number: f64) -> bool {
        let from = self.from.is_none_or(|from| number > from.number || from.inside && number == from.number);
        from && self.to.is_none_or(|to| number < to.number || to.inside && number == to.number)
    }

    fn must_be(&self) -> String {
        let word = |bound: Option<Bound>, inside, outside| {
            bound.map(|bound| format!("{} {}", if bound.inside { inside } else { outside }, bound.number))
        };
        let bounds = [word(self.from, "at least", "above"), word(self.to, "at most", "below")];
        bounds.into_iter().flatten().collect::<Vec<_>>().join(" and ")
    }

    fn schema(&self) -> Json {
        let mut schema = Map::new();
        for (bound, inside, outside) in
            [(self.from, "minimum", "exclusiveMinimum"), (self.to, "maximum", "exclusiveMaximum")]
        {
            if let Some(Bound { number, inside: is_inside }) = bound {
                let number = if number.fract() == 0.0 { json!(number as i64) } else { json!(number) };
                schema.insert(if is_inside { inside } else { outside }.to_owned(), number);
            }
        }
        Json::Object(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_checked_as_it_is_described() {
        for (range, words, inside, outside) in [
            (at_least(1.0), "at least 1", &[1.0, 9.0][..], &[0.0][..]),
            (above(0.0).and_below(0.5), "above 0 and below 0.5", &[0.1], &[0.0, 0.5]),
            (at_least(0.0).and_at_most(1e6), "at least 0 and at most 1000000", &[0.0, 1e6], &[-0.1, 1e7]),
            (at_most(255.0), "at most 255", &[0.0, 255.0], &[256.0]),
        ] {
            assert_eq!(range.must_be(), words);
            assert!(inside.iter().all(|&number| range.contains(number)), "{words}");
            assert!(!outside.iter().any(|&number| range.contains(number)), "{words}");
        }
        let schema = above(0.0).and_at_most(0.5).schema();
        assert_eq!(schema, json!({ "exclusiveMinimum": 0, "maximum": 0.5 }));
    }
}
