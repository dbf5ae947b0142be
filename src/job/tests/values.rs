//! Values of a wrong type, out of bounds, or impossible in combination.

use super::{MINIMAL, accepted, minimal, refused};
use crate::{Split, Validation};

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
            "exchange.gradients must be one of \"ternary\", \"float32\", \"powersgd\"",
        ),
        (
            "[exchange]\nmin_elements = -1",
            "exchange.min_elements must be a whole number of at least 0, found the",
        ),
        (
            "[exchange]\nverify_every = 1.5",
            "exchange.verify_every must be a whole number of at least 0, found the",
        ),
        ("[exchange]\nevery = 0", "exchange.every must be at least 1, found the integer 0"),
        (
            "[exchange]\nevery_start = -1",
            "exchange.every_start must be a whole number of at least 0, found the integer -1",
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
        ("[schedule]\nscaling = \"sqrt\"", "schedule.scaling needs `base_batch`, the batch size that"),
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
            "job.toml:2: data.dataset must be one of \"mnist\", \"fashion-mnist\", \"cifar-10\", \"digits\", \"synthetic\", \"idx\", \"genesis\", \"kjv\", \"ptb\", \"text\", \"synthetic-text\", \"hdf5\", \"npy\", found \"fashion\"",
            "job.toml:3: data.validation must be a whole number of at least 0, a share above 0 and below 1, or \"auto\", found the integer -5",
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
            "job.toml:3: data.mean also needs data.std",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("digits\"", "digits\"\nmean = [0.5]\nstd = [1, 2]"), &[]),
        ["job.toml:4: data.mean and data.std must both hold one number per channel; found 1 and 2"]
    );
}

#[test]
fn a_validation_split_is_a_count_a_share_or_left_to_the_program() {
    let split = |set: &str| accepted(MINIMAL, &[set]).job.data.split.unwrap();
    let seed = 1;
    for (set, validation) in [
        ("data.validation=auto", Validation::Auto),
        ("data.validation=0", Validation::Count(0)),
        ("data.validation=1", Validation::Count(1)),
        ("data.validation=0.1", Validation::Share(0.1)),
    ] {
        assert_eq!(split(set), Split { validation, validation_seed: seed }, "{set}");
    }
    assert_eq!(split("data.validation_seed=7").validation_seed, 7);
    // The seed of the run does not change it.
    assert_eq!(split("train.seed=7").validation_seed, seed);
    for wrong in ["0.0", "1.0", "1.5", "-1", "-0.5", "tenth", "[1]", "true"] {
        let said = refused(MINIMAL, &[&format!("data.validation={wrong}")]);
        assert!(said[0].contains("a share above 0 and below 1, or \"auto\", found"), "{said:?}");
    }
}

/// The job on a text that an earlier version stored contains `validation = 0`.
#[test]
fn a_text_has_no_validation_split() {
    let job = accepted(MINIMAL, &["data.dataset=genesis"]).job;
    assert_eq!(job.data.split, None);
    assert!(!job.to_toml().contains("validation"));
    assert_eq!(accepted(MINIMAL, &["data.dataset=genesis", "data.validation=0"]).job, job);
    for set in ["data.validation=0.1", "data.validation=auto", "data.validation_seed=2"] {
        let key = set.split('=').next().unwrap();
        let said = format!("--set {set}: {key} is for images; \"genesis\" has a validation text");
        assert_eq!(refused(MINIMAL, &["data.dataset=genesis", set]), [said]);
    }
}

#[test]
fn a_rate_that_evaluations_cut_needs_evaluations() {
    let plateau = "schedule.kind=plateau";
    let none = "train.eval_every=0";
    for sets in
        [[plateau, "train.eval_every=5"], [plateau, "train.log_every=0"], ["schedule.kind=step", none]]
    {
        let every = (sets[0] != plateau).then_some("schedule.every=1");
        accepted(MINIMAL, &sets.into_iter().chain(every).collect::<Vec<_>>());
    }
    let why = "cuts the rate when evaluations stop improving, but with train.eval_every = 0 there is no evaluation before the end";
    let said = refused(MINIMAL, &[plateau, none]);
    assert!(
        said.len() == 1 && said[0].starts_with("--set schedule.kind=plateau: ") && said[0].contains(why),
        "{said:?}"
    );
    // In a stage, if either of the two is set in the job itself.
    let stages = MINIMAL.replace("[train]\nepochs = 1\n", "");
    let stages = format!(
        "{stages}[[stage]]\nname = \"a\"\ntrain.epochs = 1\n[[stage]]\nname = \"b\"\nshrink = {{}}\n"
    );
    for sets in [
        [plateau, none],
        [plateau, "stage.a.train.eval_every=0"],
        ["stage.a.schedule.kind=plateau", none],
        ["stage.a.schedule.kind=plateau", "stage.a.train.eval_every=0"],
    ] {
        let said = refused(&stages, &sets);
        assert!(said.len() == 1 && said[0].contains(why), "{sets:?}: {said:?}");
    }
    // A stage without steps has no rate to cut, and a stage that sets its own evaluations is accepted.
    accepted(&stages, &["stage.b.schedule.kind=plateau", none]);
    accepted(&stages, &[plateau, none, "stage.a.train.eval_every=3"]);
}
