//! Keys, sections and names that are unknown, misplaced or missing, and the suggestions for them.

use std::fs;

use super::{MINIMAL, accepted, minimal, refused};
use crate::*;

#[test]
fn unknown_names_get_the_nearest_one() {
    assert_eq!(
        refused(minimal("learning_rat = 1\nseed = 1\nbeta = 1\n[exchnage]\ntimeout = 1\n[cluster]\n"), &[]),
        [
            "job.toml:9: unknown key `learning_rat` in [optimizer]; did you mean `learning_rate`?",
            "job.toml:10: unknown key `seed` in [optimizer]; it belongs in [train]",
            "job.toml:11: unknown key `beta` in [optimizer]; did you mean `beta1`?",
            "job.toml:12: unknown section [exchnage]; did you mean [exchange]?",
            "job.toml:14: unknown section [cluster]; the sections are [data], [task], [model], [train], [optimizer], \
             [schedule], [sparsity], [force], [smoothout], [exchange], [checkpoint]",
        ]
    );
    assert_eq!(
        refused(format!("epochs = 3\n{MINIMAL}"), &[]),
        ["job.toml:1: unknown key `epochs` at the top of the file; it belongs in [train]"]
    );
}

#[test]
fn a_mistyped_name_is_not_also_missing() {
    let typo = MINIMAL
        .replace("[optimizer]", "[optimiser]")
        .replace("epochs", "epoch")
        .replace("[data]", "data = 1");
    assert_eq!(
        refused(typo.replace("dataset = \"digits\"\n", "\n"), &[]),
        [
            "job.toml:1: data must be a section, [data], found the integer 1",
            "job.toml:6: unknown key `epoch` in [train]; did you mean `epochs`?",
            "job.toml:7: unknown section [optimiser]; did you mean [optimizer]?",
        ]
    );
}

#[test]
fn missing_keys_are_named_with_their_section() {
    assert_eq!(
        refused("", &[]),
        [
            "job.toml: missing key: [data] needs `dataset`",
            "job.toml: missing key: [model] needs `preset` or `checkpoint` or `layers`",
            "job.toml: missing key: [train] needs `epochs` or `steps`",
            "job.toml: missing key: [optimizer] needs `learning_rate`",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("epochs = 1", "seed = 1"), &[]),
        ["job.toml:5: missing key: [train] needs `epochs` or `steps`"]
    );
}

/// A value from a fixed list: swapping two letters counts as one typo.
#[test]
fn a_mistyped_word_gets_the_nearest_one() {
    let said = refused(
        minimal("[exchange]\nalgorithm = \"halving_ternray\"\n[schedule]\nkind = \"ploynomial\"\n"),
        &["data.dataset=minst", "model.preset=lennet", "train.log_every=x"],
    );
    let expected = [
        (
            "job.toml:10: exchange.algorithm must be one of ",
            "(did you mean \"halving_ternary\"?), found the string",
        ),
        ("job.toml:12: schedule.kind must be one of ", "(did you mean \"polynomial\"?), found the string"),
        (
            "--set data.dataset=minst: data.dataset must be one of \"mnist\", ",
            "(did you mean \"mnist\"?), found \"minst\"",
        ),
        ("--set model.preset=lennet: no preset is called `lennet`; did you mean `lenet`?", ""),
        ("--set train.log_every=x: ", "found the string \"x\""),
    ];
    assert_eq!(said.len(), expected.len(), "{said:?}");
    for (line, (start, part)) in said.iter().zip(expected) {
        assert!(line.starts_with(start) && line.contains(part), "{line}");
    }
}

#[test]
fn a_preset_may_be_called_by_its_other_name() {
    for (said, name) in [("resnet20", "resnet-20"), ("convnet", "convnet-quick"), ("resnet-50", "resnet-50")]
    {
        let job = accepted(MINIMAL, &[&format!("model.preset={said}")]).job;
        assert_eq!(job.model.preset.as_deref(), Some(name));
        assert!(job.to_toml().contains(&format!("preset = \"{name}\"")), "{}", job.to_toml());
    }
}

#[test]
fn a_job_is_named_after_its_file_unless_it_says_a_name() {
    assert_eq!(accepted(&format!("name = \"x-1.b_2\"\n{MINIMAL}"), &[]).job.name, "x-1.b_2");
    assert_eq!(
        refused(format!("name = \"../up\"\n{MINIMAL}"), &[]),
        ["job.toml:1: name must be 1 to 100 letters, digits, `.`, `_` or `-`, the first a letter or digit, \
          found the string \"../up\""]
    );
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my job.toml");
    fs::write(&path, MINIMAL).unwrap();
    let error = load(&path, &[]).unwrap_err().to_string();
    assert!(error.ends_with("found \"my job\"; rename the file or set `name`"), "{error}");
    assert_eq!(load(&path, &["name=mine".to_owned()]).unwrap().job.name, "mine");
}
