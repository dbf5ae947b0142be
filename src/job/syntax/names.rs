//! The names of the existing sections and keys, and suggestions for misspelled ones.

use ternflock_base::suggest::{list, nearest};

/// Sections and their keys, in the order in which they were read. The section "" is the top of the file.
#[derive(Debug)]
pub(super) struct Names {
    sections: Vec<(&'static str, Vec<&'static str>)>,
    /// The place of keys outside sections, for messages.
    top: &'static str,
}

/// Advice about an unknown name.
pub(super) struct Hint {
    /// The advice.
    pub advice: String,
    /// The path that was probably meant.
    pub meant: Option<String>,
}

impl Names {
    /// No section except the top, which messages call `top`, and no keys.
    pub fn new(top: &'static str) -> Self {
        Names { sections: vec![("", Vec::new())], top }
    }

    /// Adds a section `[name]`.
    pub fn add_section(&mut self, name: &'static str) {
        self.sections.push((name, Vec::new()));
    }

    /// Adds a key `key` in `section`.
    pub fn add_key(&mut self, section: &str, key: &'static str) {
        if let Some((_, keys)) = self.sections.iter_mut().find(|(name, _)| *name == section)
            && !keys.contains(&key)
        {
            keys.push(key);
        }
    }

    /// Whether `name` is a section.
    pub fn is_section(&self, name: &str) -> bool {
        self.sections().any(|section| section == name)
    }

    /// Whether `section` has a key `key`.
    pub fn is_key(&self, section: &str, key: &str) -> bool {
        self.keys(section).any(|known| known == key)
    }

    /// Advice about the unknown section `[name]`.
    pub fn section_hint(&self, name: &str) -> Hint {
        match nearest(name, self.sections()) {
            Some(near) => Hint { advice: format!("did you mean [{near}]?"), meant: Some(near.to_owned()) },
            None => {
                Hint { advice: format!("the sections are {}", list(self.sections(), "[", "]")), meant: None }
            }
        }
    }

    /// Advice about the unknown `key` of `section`: it is misspelled, belongs elsewhere, or neither.
    pub fn key_hint(&self, section: &str, key: &str) -> Hint {
        if let Some(near) = nearest(key, self.keys(section)) {
            return Hint { advice: format!("did you mean `{near}`?"), meant: Some(path(section, near)) };
        }
        match self.sections.iter().find(|(_, keys)| keys.contains(&key)) {
            Some((owner, _)) => {
                Hint { advice: format!("it belongs {}", self.place(owner)), meant: Some(path(owner, key)) }
            }
            None if section.is_empty() => self.section_hint(""),
            None => Hint {
                advice: format!("the keys there are {}", list(self.keys(section), "`", "`")),
                meant: None,
            },
        }
    }

    /// The place of the keys of a section, for messages.
    pub fn place(&self, section: &str) -> String {
        if section.is_empty() { self.top.to_owned() } else { format!("in [{section}]") }
    }

    fn sections(&self) -> impl Iterator<Item = &'static str> {
        self.sections.iter().map(|(name, _)| *name).filter(|name| !name.is_empty())
    }

    fn keys(&self, section: &str) -> impl Iterator<Item = &'static str> {
        let keys = self.sections.iter().find(|(name, _)| *name == section).map(|(_, keys)| keys);
        keys.into_iter().flatten().copied()
    }
}

/// The path of a key.
pub(crate) fn path(section: &str, key: &str) -> String {
    if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Names {
        let mut names = Names::new("at the top of the file");
        names.add_key("", "name");
        for (section, keys) in [
            ("train", vec!["epochs", "steps", "global_batch", "seed"]),
            ("optimizer", vec!["learning_rate", "momentum"]),
            ("exchange", vec!["gradients"]),
        ] {
            names.add_section(section);
            keys.into_iter().for_each(|key| names.add_key(section, key));
        }
        names
    }

    #[test]
    fn a_mistyped_name_finds_the_nearest() {
        for (section, typo, meant) in [
            ("optimizer", "learning-rate", "optimizer.learning_rate"),
            ("optimizer", "Momentum", "optimizer.momentum"),
            ("optimizer", "momentun", "optimizer.momentum"),
            ("train", "step", "train.steps"),
            ("train", "epoch", "train.epochs"),
            ("train", "globalbatch", "train.global_batch"),
            ("", "nmae", "name"),
        ] {
            assert_eq!(names().key_hint(section, typo).meant.as_deref(), Some(meant), "{section}.{typo}");
        }
        for (typo, meant) in [("optimiser", "optimizer"), ("trian", "train"), ("exchnage", "exchange")] {
            assert_eq!(names().section_hint(typo).meant.as_deref(), Some(meant));
        }
    }

    #[test]
    fn a_key_of_another_section_is_sent_there() {
        assert_eq!(names().key_hint("train", "momentum").advice, "it belongs in [optimizer]");
        assert_eq!(names().key_hint("", "epochs").advice, "it belongs in [train]");
        assert_eq!(names().key_hint("train", "name").advice, "it belongs at the top of the file");
    }

    #[test]
    fn a_name_like_no_other_gets_the_list() {
        assert_eq!(
            names().key_hint("optimizer", "beta").advice,
            "the keys there are `learning_rate`, `momentum`"
        );
        assert_eq!(
            names().section_hint("cluster").advice,
            "the sections are [train], [optimizer], [exchange]"
        );
        assert_eq!(names().key_hint("", "xyz").advice, "the sections are [train], [optimizer], [exchange]");
    }
}
