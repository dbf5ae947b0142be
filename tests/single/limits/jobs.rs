//! Job files with many entries of one kind.

use std::fs;

use ternflock::error::Result;
use ternflock::job::Loaded;
use ternflock::train;

use crate::check;

/// A job without its network.
pub const START: &str =
    "name = \"a\"\n[data]\ndataset = \"digits\"\n[train]\nepochs = 1\n[optimizer]\nlearning_rate = 0.1\n";

/// A job with a network.
pub const WHOLE: &str = "name = \"a\"\n[data]\ndataset = \"digits\"\n[model]\npreset = \"lenet\"\n[optimizer]\n\
                         learning_rate = 0.1\n[train]\nepochs = 1\n";

/// Reads `text` as a job file, with `sets`.
pub fn load(text: &str, sets: &[String]) -> Result<Loaded> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), text).unwrap();
    train::load(file.path(), sets)
}

/// The error message for `text`.
pub fn refused(text: &str, sets: &[String]) -> String {
    let message = load(text, sets).unwrap_err().to_string();
    assert!(message.len() < 60_000, "a message of {} bytes", message.len());
    message
}

/// Checks a job that is accepted: `start`, followed by `more` of a given size.
fn accepted(what: &str, start: &str, size: usize, more: impl Fn(usize) -> String) {
    let make = |size| {
        let text = format!("{start}{}", more(size));
        let bytes = text.len();
        (text, bytes)
    };
    check(what, size, make, |text| {
        load(text, &[]).unwrap_or_else(|error| panic!("{what}: {error}"));
    });
}

/// The same for a job that is refused, with the reason.
fn refuses(what: &str, start: &str, size: usize, why: &str, more: impl Fn(usize) -> String) {
    let make = |size| {
        let text = format!("{start}{}", more(size));
        let bytes = text.len();
        (text, bytes)
    };
    check(what, size, make, |text| {
        let message = refused(text, &[]);
        assert!(message.contains(why), "{what}: {}", &message[..message.len().min(2000)]);
    });
}

fn repeat(count: usize, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect()
}

#[test]
fn long_arrays() {
    let layer = format!("{START}[[model.layers]]\ntype = \"linear\"\nunits = 10\ncolumns = [");
    accepted("columns", &layer, 30_000, |count| repeat(count, |i| format!("{}, ", 100_000 + i)) + "]\n");
    accepted("columns on lines", &layer, 30_000, |count| repeat(count, |i| format!("{i},\n")) + "]\n");
    accepted("short columns", &layer, 60_000, |count| "1,".repeat(count) + "]\n");
    let milestones = format!("{WHOLE}[schedule]\nkind = \"multistep\"\ngamma = 0.5\nmilestones = [");
    accepted("milestones", &milestones, 30_000, |count| repeat(count, |i| format!("{}, ", i + 1)) + "]\n");
    let wrong = format!("{WHOLE}[exchange]\nkeep_float = [");
    refuses("numbers for strings", &wrong, 60_000, "must be an array with every entry a string", |count| {
        "1,".repeat(count) + "]\n"
    });
    refuses("tables for strings", &wrong, 5000, "found an array of tables", |count| {
        "{ a = 1 },".repeat(count) + "]\n"
    });
    refuses("too many values", &layer, 1 << 19, "has too many values", |count| "1,".repeat(count) + "]\n");
    refuses("columns of megabytes", &layer, 450_000, "has too many values", |count| {
        repeat(count, |i| format!("{}, ", 1_000_000 + i)) + "]\n"
    });
}

#[test]
fn many_sections_and_keys() {
    refuses("sections", WHOLE, 5000, "unknown section [s0]", |count| {
        repeat(count, |i| format!("[s{i}]\na = 1\n"))
    });
    let exchange = format!("{WHOLE}[exchange]\n");
    refuses("keys", &exchange, 20_000, "unknown key `k0` in [exchange]", |count| {
        repeat(count, |i| format!("k{i}=1\n"))
    });
    refuses("near keys", &exchange, 20_000, "did you mean `timeout`", |count| {
        repeat(count, |i| format!("timeout{i}=1\n"))
    });
    refuses("keys like no other", &exchange, 20_000, "there are more problems", |count| {
        repeat(count, |i| format!("k{i}=1\n"))
    });
    refuses("one key many times", &exchange, 20_000, "duplicate key", |count| "timeout=1\n".repeat(count));
    refuses("syntax errors", &exchange, 20_000, "not valid TOML", |count| "timeout=a\n".repeat(count));
    refuses("numbers that are none", &exchange, 20_000, "must be a finite number", |count| {
        repeat(count, |i| format!("k{i}=nan\n"))
    });
    refuses("lines", &exchange, 100_000, "unknown key `a`", |count| "\n".repeat(count) + "a = 1\n");
}

#[test]
fn many_layers() {
    accepted("layers", START, 2500, |count| "[[model.layers]]\ntype=\"relu\"\n".repeat(count));
    refuses("wrong layers", START, 2500, "unknown type `rela`", |count| {
        "[[model.layers]]\ntype=\"rela\"\n".repeat(count)
    });
    let inputs = format!("{START}[[model.layers]]\ntype = \"concat\"\ninputs = [");
    accepted("inputs of a layer", &inputs, 30_000, |count| repeat(count, |i| format!("\"l{i}\",")) + "]\n");
    let layer = format!("{START}[[model.layers]]\ntype = \"linear\"\nunits = 10\n");
    refuses("keys of a layer", &layer, 10_000, "unknown key `k0`", |count| {
        repeat(count, |i| format!("k{i} = 1\n"))
    });
}

#[test]
fn deep_nesting_and_long_texts() {
    let exchange = format!("{WHOLE}[exchange]\n");
    refuses("brackets", &exchange, 25_000, "recurs", |count| format!("timeout = {}\n", "[".repeat(count)));
    refuses("arrays in arrays", &exchange, 25_000, "recurs", |count| {
        format!("timeout = {}1{}\n", "[".repeat(count), "]".repeat(count))
    });
    refuses("tables in tables", &exchange, 5000, "recurs", |count| {
        format!("timeout = {}1{}\n", "{a=".repeat(count), "}".repeat(count))
    });
    refuses("dotted keys", &exchange, 5000, "recurs", |count| format!("{}a = 1\n", "a.".repeat(count)));
    refuses("dotted headers", WHOLE, 5000, "recurs", |count| format!("[{}a]\nb = 1\n", "a.".repeat(count)));
    let long = |count: usize| "x".repeat(count);
    refuses("a long string", &exchange, 1 << 20, "... (", |n| format!("gradients = \"{}\"\n", long(n)));
    refuses("a long key", &exchange, 1 << 20, "unknown key `xxx", |n| format!("{} = 1\n", long(n)));
    refuses("a long section", WHOLE, 1 << 20, "unknown section [xxx", |n| format!("[{}]\na = 1\n", long(n)));
    refuses("a long name", "", 1 << 20, "must be 1 to 100 letters", |n| {
        format!("name = \"{}\"\n{}", long(n), WHOLE.replace("name = \"a\"\n", ""))
    });
    refuses("a long word", &exchange, 1 << 20, "not valid TOML", |n| format!("timeout = {}\n", long(n)));
    refuses("a long number", &exchange, 1 << 20, "must lie between", |n| {
        format!("timeout = 1{}\n", "0".repeat(n))
    });
    let layer = format!("{START}[[model.layers]]\n");
    for key in ["type", "name", "init", "filters"] {
        let rest = if key == "type" { "" } else { "type = \"conv2d\"\nkernel = 3\n" };
        let text = |n| {
            format!("{key} = \"{}\"\n{rest}{}", long(n), if key == "filters" { "" } else { "filters = 1\n" })
        };
        if key == "name" {
            accepted("a long name of a layer", &layer, 1 << 20, text);
        } else {
            refuses("a long value of a layer", &layer, 1 << 20, "... (", text);
        }
    }
}

#[test]
fn many_stages() {
    let stages = |count| repeat(count, |i| format!("[[stage]]\nname = \"s{i}\"\ntrain.epochs = 1\n"));
    let staged = WHOLE.replace("[train]\nepochs = 1\n", "");
    accepted("stages", &staged, 64, stages);
    refuses("too many stages", &staged, 1000, "there may be 256 stages, found", stages);
    refuses("stages of one name", &staged, 64, "two stages are called `s`", |count| {
        "[[stage]]\nname = \"s\"\ntrain.epochs = 1\n".repeat(count)
    });
    // Each stage reads the job's sections again.
    let unknown = |count| {
        format!(
            "[optimizer]\nlearning_rate = 1\n{}{}",
            repeat(count, |i| format!("k{i} = 1\n")),
            stages(count)
        )
    };
    let start = staged.replace("[optimizer]\nlearning_rate = 0.1\n", "");
    refuses("keys in all stages", &start, 64, "unknown key `k0`", unknown);
    refuses(
        "long lists in all stages",
        &staged,
        5000,
        "values from the job's sections, most of them from [schedule]",
        |count| {
            let milestones = repeat(count, |i| format!("{}, ", i + 1));
            format!(
                "[schedule]\nkind = \"multistep\"\ngamma = 0.5\nmilestones = [{milestones}]\n{}",
                stages(200)
            )
        },
    );
}

#[test]
fn ordinary_messages_are_whole() {
    let text = format!("{WHOLE}[exchange]\ntimeuot = 1\ngradients = \"{}\"\n", "x".repeat(150));
    let message = refused(&text, &[]);
    assert!(message.contains("unknown key `timeuot` in [exchange]; did you mean `timeout`?"), "{message}");
    assert!(message.contains(&"x".repeat(150)), "{message}");
}
