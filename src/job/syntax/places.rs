//! A tree of the places where the values of a job were given, with the same shape as the values.

use std::collections::BTreeMap;

/// The place of one value. It is small, because a job file may have many values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// A line of the file, starting at 1.
    Line(u32),
    /// A `--set`, by its index.
    Set(u32),
}

/// The place of a value and of the values inside it.
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    at: Option<At>,
    inside: Inside,
}

#[derive(Clone, Debug, Default)]
enum Inside {
    #[default]
    Nothing,
    Table(BTreeMap<Box<str>, Places>),
    Array(Box<[Places]>),
}

impl Places {
    /// The place of a scalar.
    pub fn scalar(at: At) -> Self {
        Places { at: Some(at), inside: Inside::Nothing }
    }

    /// The place of a table, and the places of its values by key.
    pub fn table(at: Option<At>, values: BTreeMap<Box<str>, Places>) -> Self {
        Places { at, inside: Inside::Table(values) }
    }

    /// The place of an array and the places of its entries.
    pub fn array(at: At, entries: Vec<Places>) -> Self {
        Places { at: Some(at), inside: Inside::Array(entries.into()) }
    }

    /// The place of the innermost value on `path` (such as `model.layers[2].filters`) that has one, and the length of the
    /// path up to that value.
    pub fn find(&self, path: &str) -> (usize, Option<At>) {
        let (mut here, mut read) = (self, 0);
        let mut found = (0, self.at);
        while let Some((inner, length)) = here.step(&path[read..]) {
            (here, read) = (inner, read + length);
            if here.at.is_some() {
                found = (read, here.at);
            }
        }
        found
    }

    /// The child at the first word of `path`, and the length of that word.
    fn step(&self, path: &str) -> Option<(&Places, usize)> {
        match &self.inside {
            Inside::Nothing => None,
            Inside::Array(entries) => {
                let (number, _) = path.strip_prefix('[')?.split_once(']')?;
                Some((entries.get(number.parse::<usize>().ok()?)?, number.len() + 2))
            }
            Inside::Table(values) => {
                let rest = path.strip_prefix('.').unwrap_or(path);
                let dot = path.len() - rest.len();
                let word = &rest[..rest.find(['.', '[']).unwrap_or(rest.len())];
                // Quoted keys may contain dots and brackets.
                let keys = [word, rest].into_iter();
                let mut inner = keys.map(|key| (values.get(key), dot + key.len()));
                inner.find_map(|(inner, length)| Some((inner?, length)))
            }
        }
    }

    /// Entry `number` of the array at `key` of this table.
    pub fn entry(&self, key: &str, number: usize) -> Option<&Places> {
        let Inside::Table(values) = &self.inside else { return None };
        let Inside::Array(entries) = &values.get(key)?.inside else { return None };
        entries.get(number)
    }

    /// The mutable version of [`Places::entry`].
    pub fn entry_mut(&mut self, key: &str, number: usize) -> Option<&mut Places> {
        let Inside::Table(values) = &mut self.inside else { return None };
        let Inside::Array(entries) = &mut values.get_mut(key)?.inside else { return None };
        entries.get_mut(number)
    }

    /// Replaces the places at `key` of `section` ("" for this table itself) with `new`, or removes them.
    pub fn replace(&mut self, section: &str, key: &str, new: Option<Places>) {
        let mut table = self.values_mut();
        if !section.is_empty() {
            table = table.entry(section.into()).or_default().values_mut();
        }
        match new {
            Some(new) => _ = table.insert(key.into(), new),
            None => _ = table.remove(key),
        }
    }

    /// The values of a table. Anything else becomes an empty table.
    fn values_mut(&mut self) -> &mut BTreeMap<Box<str>, Places> {
        if !matches!(self.inside, Inside::Table(_)) {
            self.inside = Inside::Table(BTreeMap::new());
        }
        match &mut self.inside {
            Inside::Table(values) => values,
            Inside::Nothing | Inside::Array(_) => unreachable!("it was made a table"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table<const N: usize>(at: Option<At>, values: [(&str, Places); N]) -> Places {
        Places::table(at, values.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    #[test]
    fn the_innermost_value_with_a_place_is_found() {
        let line = |line| Places::scalar(At::Line(line));
        let layers =
            Places::array(At::Line(3), vec![line(4), table(Some(At::Line(5)), [("a.b[0]", line(6))])]);
        let mut places = table(None, [("model", table(None, [("layers", layers)])), ("c.d", line(7))]);
        for (path, length, at) in [
            ("model", 0, None),
            ("model.layers[0]", 15, Some(4)),
            ("model.layers[1].a.b[0]", 22, Some(6)),
            ("model.layers[1].filters", 15, Some(5)),
            ("model.layers[2].filters", 12, Some(3)),
            ("model.layers[x", 12, Some(3)),
            ("c.d", 3, Some(7)),
            ("c", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(places.find(path), (length, at.map(At::Line)), "{path}");
        }
        places.replace("model", "layers", None);
        assert_eq!(places.find("model.layers[0]"), (0, None));
        places.replace("train", "steps", Some(Places::scalar(At::Set(0))));
        assert_eq!(places.find("train.steps"), (11, Some(At::Set(0))));
        assert_eq!(places.find("train.seed"), (0, None));
    }
}
