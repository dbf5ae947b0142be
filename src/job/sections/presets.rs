//! The names of the published networks, which `ternflock_models` builds. Like the names of data sets, they are defined
//! here so that a wrong one is reported together with all other problems of a job file.

use ternflock_base::suggest::{nearest, suggest};

/// Each preset, and its aliases.
const NAMES: &[(&str, &[&str])] = &[
    ("lenet", &[]),
    ("mlp", &[]),
    ("convnet-quick", &["convnet"]),
    ("convnet-full", &[]),
    ("resnet-20", &["resnet20"]),
    ("resnet-32", &["resnet32"]),
    ("resnet-44", &["resnet44"]),
    ("resnet-56", &["resnet56"]),
    ("resnet-50", &["resnet50"]),
    ("vgg", &[]),
    ("vgg-a", &["vgga"]),
    ("alexnet", &[]),
    ("googlenet", &[]),
    ("lstm-small", &[]),
    ("lstm-medium", &[]),
    ("lstm-large", &[]),
    ("rhn", &[]),
];

/// The names of all presets.
pub fn presets() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(name, _)| *name)
}

/// The names of all presets and their aliases.
pub(super) fn preset_words() -> Vec<&'static str> {
    NAMES.iter().flat_map(|(name, others)| [*name].into_iter().chain(others.iter().copied())).collect()
}

/// The preset that `name` means, by its name or an alias.
///
/// # Errors
/// If there is no such preset. The message has the nearest name, or all names.
pub fn find_preset(name: &str) -> Result<&'static str, String> {
    let found = NAMES.iter().find(|(preset, others)| *preset == name || others.contains(&name));
    found.map(|(preset, _)| *preset).ok_or_else(|| {
        let all: Vec<&str> = presets().collect();
        // A typo in an alias still means that preset.
        let others = NAMES.iter().flat_map(|(_, others)| others.iter().copied());
        let meant = nearest(name, all.iter().copied().chain(others)).and_then(|near| find_preset(near).ok());
        let advice = meant.map_or_else(|| suggest(name, &all), |meant| format!("did you mean `{meant}`?"));
        format!("no preset is called `{name}`; {advice}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_means_one_preset() {
        let mut all = preset_words();
        for (preset, others) in NAMES {
            assert!([*preset].iter().chain(*others).all(|name| find_preset(name) == Ok(*preset)), "{preset}");
        }
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn a_wrong_name_is_sent_to_the_preset() {
        for (wrong, meant) in [
            ("lennet", "lenet"),
            ("renset-20", "resnet-20"),
            ("resnt20", "resnet-20"),
            ("connvet", "convnet-quick"),
        ] {
            assert_eq!(
                find_preset(wrong),
                Err(format!("no preset is called `{wrong}`; did you mean `{meant}`?"))
            );
        }
        let message = find_preset("transformer").unwrap_err();
        assert!(
            message.starts_with("no preset is called `transformer`; there are `lenet`, `mlp`, ")
                && message.ends_with("`rhn`"),
            "{message}"
        );
    }
}
