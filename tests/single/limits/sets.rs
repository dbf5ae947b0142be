//! Overrides: long ones and many of them.

use crate::check;
use crate::jobs::{START, WHOLE, load, refused};

/// Checks the `--set` arguments that `make` makes, on the job file `text`. They are refused with `why`, or accepted.
fn overrides(what: &str, text: &str, size: usize, why: Option<&str>, make: impl Fn(usize) -> Vec<String>) {
    let make = |size| {
        let sets = make(size);
        let bytes = text.len() + sets.iter().map(String::len).sum::<usize>();
        (sets, bytes)
    };
    check(what, size, make, |sets| match why {
        None => {
            load(text, sets).unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        Some(why) => {
            let message = refused(text, sets);
            assert!(message.contains(why), "{what}: {}", &message[..message.len().min(2000)]);
        }
    });
}

#[test]
fn long_overrides() {
    let array = |key: &'static str, entry: &'static str| {
        move |count| vec![format!("{key}=[{}]", entry.repeat(count)), "data.std=[1.0]".into()]
    };
    overrides(
        "means",
        WHOLE,
        20_000,
        Some("must both hold one number per channel"),
        array("data.mean", "1.5,"),
    );
    overrides("layers", START, 30_000, None, |count| {
        vec![format!("model.layers=[{{ type = 'linear', units = 10, columns = [{}] }}]", "1,".repeat(count))]
    });
    overrides("wrong numbers", WHOLE, 60_000, Some("must be an array with every entry"), |count| {
        vec![format!("exchange.keep_float=[{}]", "1,".repeat(count))]
    });
    overrides(
        "numbers that are none",
        WHOLE,
        20_000,
        Some("data.mean[0] must be a finite number"),
        |count| vec![format!("data.mean=[{}]", "nan,".repeat(count))],
    );
    overrides("a string", WHOLE, 1 << 20, Some("must be one of"), |count| {
        vec![format!("exchange.gradients={}", "x".repeat(count))]
    });
    overrides("a key", WHOLE, 1 << 20, Some("unknown key `xxx"), |count| {
        vec![format!("exchange.{}=1", "x".repeat(count))]
    });
    overrides("a path", WHOLE, 1 << 20, Some("one key at a time"), |count| {
        vec![format!("exchange.{}=1", "x.".repeat(count))]
    });
    overrides(
        "too many values",
        WHOLE,
        1 << 19,
        Some("the value has too many values"),
        array("data.mean", "1,"),
    );
}

/// A message quotes the beginning of a long override, once.
#[test]
fn messages_are_short() {
    let message = refused(WHOLE, &[format!("exchange.gradients={}", "x".repeat(100_000))]);
    assert!(message.len() < 1000, "{} bytes", message.len());
    assert!(
        message.contains("--set exchange.gradients=xxx") && message.contains("... (100019 bytes)"),
        "{message}"
    );
}

#[test]
fn many_overrides() {
    let staged =
        format!("{}[[stage]]\nname = \"a\"\ntrain.epochs = 1\n", WHOLE.replace("[train]\nepochs = 1\n", ""));
    overrides("one key again and again", WHOLE, 250, None, |count| {
        (0..count).map(|i| format!("train.seed={i}")).collect()
    });
    overrides("unknown keys", WHOLE, 250, Some("there are more problems"), |count| {
        (0..count).map(|i| format!("train.k{i}=1")).collect()
    });
    overrides("keys of a stage", &staged, 250, None, |count| {
        (0..count).map(|i| format!("stage.a.train.steps={}", i + 1)).collect()
    });
    overrides("too many", WHOLE, 10_000, Some("there may be 1000 overrides (--set), found"), |count| {
        (0..count).map(|i| format!("train.seed={i}")).collect()
    });
}
