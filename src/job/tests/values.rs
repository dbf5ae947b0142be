//! Values of a wrong type, out of bounds, or impossible beside others.

use super::{MINIMAL, minimal, refused};

#[test]
fn a_wrong_type_says_what_was_expected_and_found() {
    let cases = [
        ("[exchange]\ntimeout = \"\"", "exchange.timeout must be a number, found the string \"\""),
        ("momentum = \"high\"", "optimizer.momentum must be a number, found the string \"high\""),
        (
            "kind = \"adamw\"",
            "optimizer.kind must be one of \"sgd\", \"nesterov\", \"adam\", \"lars\" (did you mean \"adam\"?), found the string \"adamw\"",
        ),
        ("[train.x]", "unknown key `x` in [train]; the keys there are"),
        (
            "[exchange]\ngradients = \"tern\"",
            "exchange.gradients must be one of \"ternary\", \"float32\", found",
        ),
        (
            "[exchange]\nmin_elements = -1",
            "exchange.min_elements must be a whole number of at least 0, found the",
        ),
        (
            "[exchange]\nverify_every = 1.5",
            "exchange.verify_every must be a whole number of at least 0, found the",
        ),
        ("[exchange]\nkeep_float = \"fc\"", "exchange.keep_float must be an array, found the string \"fc\""),
        (
            "[exchange]\nkeep_float = [1]",
            "exchange.keep_float must be an array with every entry a string, found the",
        ),
        ("[checkpoint]\nbest = 1", "checkpoint.best must be true or false, found the integer 1"),
        (
            "[checkpoint]\nkeep = 2024-01-01",
            "checkpoint.keep must be a whole number of at least 0, found the datetime",
        ),
        ("[smoothout]\na = -0.1", "smoothout.a must be at least 0 and within single precision, found the"),
        ("[smoothout]\na = nan", "smoothout.a must be a finite number, found nan"),
        ("[smoothout]\na = inf", "smoothout.a must be a finite number, found inf"),
        (
            "[smoothout]\nadapt = \"layer\"",
            "smoothout.adapt must be one of \"none\", \"filter\", \"weight\", found the string \"layer\"",
        ),
        ("[schedule]\nscaling = \"sqrt\"", "schedule.scaling needs `base_batch`, the batch that"),
        ("[schedule]\nbase_batch = 0", "schedule.base_batch must be at least 1, found the integer 0"),
        (
            "[schedule]\nkind = 3",
            "schedule.kind must be one of \"fixed\", \"step\", \"multistep\", \"polynomial\",",
        ),
    ];
    for (line, message) in cases {
        let number = if line.contains('\n') { 10 } else { 9 };
        let lines = refused(minimal(line), &[]);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("job.toml:{number}: {message}")), "{lines:?}");
    }
    assert_eq!(
        refused(MINIMAL.replace("digits", ""), &[]),
        ["job.toml:2: data.dataset must be the name of a dataset, found the string \"\""]
    );
    let layers = MINIMAL.replace("preset = \"lenet\"", "layers = [1]");
    assert_eq!(
        refused(layers, &[]),
        ["job.toml:4: model.layers must be an array with every entry a table, found the array [1]"]
    );
}

#[test]
fn values_out_of_bounds_are_refused_all_at_once() {
    let text = "\
[data]
dataset = \"fashion\"
validation = -5
mean = []
std = [0.5, 0]
[model]
layers = []
[train]
steps = 0
global_batch = 0
[optimizer]
learning_rate = 0
momentum = 1.0
weight_decay = -0.1
[exchange]
clip_sigma = -1
timeout = 0
[checkpoint]
keep = 0
[schedule]
kind = \"multistep\"
gamma = 0
milestones = [2, 2]
";
    assert_eq!(
        refused(text, &[]),
        [
            "job.toml:2: data.dataset must be one of \"mnist\", \"fashion-mnist\", \"cifar-10\", \"digits\", \"synthetic\", \"idx\", \"genesis\", \"kjv\", \"ptb\", \"text\", \"synthetic-text\", found \"fashion\"",
            "job.toml:3: data.validation must be a whole number of at least 0, found the integer -5",
            "job.toml:4: data.mean must be one or more numbers, found the array []",
            "job.toml:5: data.std must be one or more numbers above 0, found the array [0.5, 0]",
            "job.toml:7: model.layers must be at least one layer, found the array []",
            "job.toml:9: train.steps must be at least 1, found the integer 0",
            "job.toml:10: train.global_batch must be at least 1, found the integer 0",
            "job.toml:12: optimizer.learning_rate must be above 0, found the integer 0",
            "job.toml:13: optimizer.momentum must be at least 0 and below 1, found the float 1.0",
            "job.toml:14: optimizer.weight_decay must be at least 0, found the float -0.1",
            "job.toml:16: exchange.clip_sigma must be 0 or at least 0.001, found the integer -1",
            "job.toml:17: exchange.timeout must be above 0 and at most 1000000, found the integer 0",
            "job.toml:19: checkpoint.keep must be at least 1, found the integer 0",
            "job.toml:22: schedule.gamma must be above 0, found the integer 0",
            "job.toml:23: schedule.milestones must be one or more steps, ascending, found the array [2, 2]",
        ]
    );
}

#[test]
fn impossible_combinations_are_refused() {
    assert_eq!(
        refused(minimal("[model.layers]\n").replace("epochs = 1", "epochs = 1\nsteps = 2"), &[]),
        [
            "job.toml:7: `epochs` and `steps` of [train] exclude each other; keep one",
            "job.toml:10: `preset` and `layers` of [model] exclude each other; keep one",
            "job.toml:10: model.layers must be an array, found a table",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("digits\"", "idx\"\nmean = [0.5]"), &[]),
        [
            "job.toml:2: data.dataset = \"idx\" needs `dir`, the directory of the IDX files",
            "job.toml:3: data.mean needs data.std beside it",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("digits\"", "digits\"\nmean = [0.5]\nstd = [1, 2]"), &[]),
        ["job.toml:4: data.mean and data.std must hold one number a channel, both; found 1 and 2"]
    );
}
