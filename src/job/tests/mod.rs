//! Job files as a person gets them wrong, and the lines they get back.

mod canonical;

use std::path::{Path, PathBuf};

use super::*;

/// The lines that follow are numbered from 9.
pub(super) const MINIMAL: &str = "\
[data]
dataset = \"digits\"
[model]
preset = \"lenet\"
[train]
epochs = 1
[optimizer]
learning_rate = 0.1
";

/// Loads `text` as `job.toml` of a fresh directory.
fn load_text(text: impl AsRef<[u8]>, sets: &[&str]) -> (Result<Loaded>, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("job.toml");
    fs::write(&path, text).unwrap();
    let sets: Vec<String> = sets.iter().map(|set| set.to_string()).collect();
    (load(&path, &sets), dir.path().to_owned())
}

pub(super) fn accepted(text: &str, sets: &[&str]) -> Loaded {
    load_text(text, sets).0.unwrap_or_else(|error| panic!("{text}\n{sets:?}\n{error}"))
}

/// What is said about `text`, each line beginning with `job.toml` or `--set`.
pub(super) fn refused(text: impl AsRef<[u8]>, sets: &[&str]) -> Vec<String> {
    let (result, dir) = load_text(text, sets);
    let error = result.expect_err("this job must be refused");
    assert!(matches!(error, Error::Job { .. }));
    error.to_string().replace(&format!("{}/", dir.display()), "").lines().map(str::to_owned).collect()
}

pub(super) fn minimal(more: &str) -> String {
    format!("{MINIMAL}{more}")
}

#[test]
fn defaults_fill_in_what_a_minimal_job_leaves_out() {
    let job = accepted(MINIMAL, &[]).job;
    assert_eq!(
        job,
        Job {
            name: "job".into(),
            data: Data {
                dataset: "digits".into(),
                dir: None,
                validation: 0,
                mean: None,
                std: None,
                text: None,
                augment: None,
                synthetic: None,
                synthetic_text: None,
            },
            model: Model { preset: Some("lenet".into()), layers: None },
            train: Train {
                epochs: Some(1),
                steps: None,
                global_batch: 64,
                seed: 1,
                eval_every: None,
                log_every: 100
            },
            optimizer: Optimizer {
                kind: OptimizerKind::Sgd { momentum: 0.9 },
                learning_rate: 0.1,
                weight_decay: 0.0005,
                decay_layers: None,
                clip_norm: None,
            },
            schedule: Schedule { kind: ScheduleKind::Fixed, warmup: 0, warmup_from: 0.1 },
            exchange: Exchange::default(),
            checkpoint: Checkpoint::default(),
        }
    );
}

#[test]
fn the_jobs_of_this_repository_load() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("jobs");
    let job = |name: &str| load(jobs.join(name), &[]).unwrap().job;

    let mnist = job("lenet-mnist.toml");
    assert_eq!(
        (mnist.name.as_str(), mnist.train.steps, mnist.train.seed),
        ("lenet-mnist", Some(10_000), 123)
    );
    assert_eq!(mnist.schedule.kind, ScheduleKind::Polynomial { power: 0.5 });
    assert_eq!((mnist.exchange.min_elements, mnist.exchange.keep_float.len()), (1, 0));

    assert_eq!(job("lenet-fashion.toml").data.dataset, "fashion-mnist");

    let layers = job("lenet-digits.toml").model.layers.unwrap();
    let types: Vec<&str> = layers.iter().map(|layer| layer["type"].as_str().unwrap()).collect();
    let expected = [
        "conv2d",
        "relu",
        "max_pool2d",
        "conv2d",
        "relu",
        "max_pool2d",
        "flatten",
        "linear",
        "relu",
        "linear",
    ];
    assert_eq!(types, expected);
}

#[test]
fn a_file_that_is_no_job_file_is_refused_by_name() {
    let error = load("no/such/job.toml", &[]).unwrap_err().to_string();
    assert!(error.starts_with("no/such/job.toml: cannot read the job file: No such file"), "{error}");
    assert_eq!(
        refused(b"[data]\n# caf\xe9\n", &[]),
        ["job.toml:2: not UTF-8; save the job file as UTF-8 text"]
    );
    let dir = tempfile::tempdir().unwrap();
    let error = load(dir.path(), &[]).unwrap_err().to_string();
    assert!(error.contains("cannot read the job file"), "{error}");
}

#[test]
fn syntax_errors_have_their_lines() {
    assert_eq!(
        refused("[data]\ndataset = digits\n[train]\nsteps = 1\nsteps = 2\n[model\n", &[]),
        [
            "job.toml:2: not valid TOML: string values must be quoted, expected literal string (`digits`)",
            "job.toml:5: not valid TOML: duplicate key (`steps`)",
            "job.toml:6: not valid TOML: unclosed table, expected `]`",
        ]
    );
    assert_eq!(
        refused(
            "[train]\nsteps = 99999999999999999999\n\n[exchange]\ntimeout = inf\nclip_sigma = [1,\n2, nan]",
            &[]
        ),
        [
            "job.toml:2: train.steps must lie between -9223372036854775808 and 9223372036854775807, \
             found 99999999999999999999",
            "job.toml:5: exchange.timeout must be a finite number, found inf",
            "job.toml:7: exchange.clip_sigma[2] must be a finite number, found nan",
        ]
    );
}

#[test]
fn unknown_names_get_the_nearest_one() {
    assert_eq!(
        refused(minimal("learning_rat = 1\nseed = 1\nbeta = 1\n[exchnage]\ntimeout = 1\n[cluster]\n"), &[]),
        [
            "job.toml:9: unknown key `learning_rat` in [optimizer]; did you mean `learning_rate`?",
            "job.toml:10: unknown key `seed` in [optimizer]; it belongs in [train]",
            "job.toml:11: unknown key `beta` in [optimizer]; did you mean `beta1`?",
            "job.toml:12: unknown section [exchnage]; did you mean [exchange]?",
            "job.toml:14: unknown section [cluster]; the sections are [data], [model], [train], [optimizer], \
             [schedule], [exchange], [checkpoint]",
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
            "job.toml: missing key: [model] needs `preset` or `layers`",
            "job.toml: missing key: [train] needs `epochs` or `steps`",
            "job.toml: missing key: [optimizer] needs `learning_rate`",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("epochs = 1", "seed = 1"), &[]),
        ["job.toml:5: missing key: [train] needs `epochs` or `steps`"]
    );
}

#[test]
fn a_wrong_type_says_what_was_expected_and_found() {
    let cases = [
        ("[exchange]\ntimeout = \"\"", "exchange.timeout must be a number, found the string \"\""),
        ("momentum = \"high\"", "optimizer.momentum must be a number, found the string \"high\""),
        (
            "kind = \"adamw\"",
            "optimizer.kind must be one of \"sgd\", \"nesterov\", \"adam\", \"lars\", found the string \"adamw\"",
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

#[test]
fn images_vary_and_are_made_up_as_the_job_says() {
    let data = |text: &str| accepted(&MINIMAL.replace("\"digits\"", text), &[]).job.data;
    let augment = Augment { padding: 4, crop: None, mirror: true };
    assert_eq!(data("\"cifar-10\"\npadding = 4\nmirror = true").augment, Some(augment));
    assert_eq!(data("\"digits\"\npadding = 0\nmirror = false").augment, None);
    let synthetic = |shape, classes, samples| Some(Synthetic { shape, classes, samples });
    assert_eq!(data("\"synthetic\"").synthetic, synthetic([3, 32, 32], 10, 10_000));
    let said = "\"synthetic\"\nshape = [3, 227, 227]\nclasses = 1000\nsamples = 64";
    assert_eq!(data(said).synthetic, synthetic([3, 227, 227], 1000, 64));
    let wrong = "\"synthetic\"\nshape = [3, 32]\nclasses = 0\ncrop = 0\npadding = -1";
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", wrong), &[]),
        [
            "job.toml:3: data.shape must be three sizes of at least 1: channels, height and width, found the array [3, 32]",
            "job.toml:4: data.classes must be at least 1, found the integer 0",
            "job.toml:5: data.crop must be at least 1, found the integer 0",
            "job.toml:6: data.padding must be a whole number of at least 0, found the integer -1",
        ]
    );
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", "\"digits\"\nsamples = 3"), &[]),
        ["job.toml:3: data.samples belongs to dataset = \"synthetic\"; this one is \"digits\""]
    );
}

#[test]
fn text_is_made_up_as_the_job_says() {
    let said = |text: &str| accepted(&MINIMAL.replace("\"digits\"", text), &[]).job.data;
    let defaults =
        SyntheticText { tokens: 1_000_000, vocabulary: 10_000, sequence_length: 35, evaluation_columns: 16 };
    let data = said("\"synthetic-text\"");
    assert_eq!((data.is_text(), data.text, data.synthetic_text), (true, None, Some(defaults.clone())));
    let more = "\"synthetic-text\"\ntokens = 500\nvocabulary = 16777216\nsequence_length = 20";
    let other = SyntheticText { tokens: 500, vocabulary: 1 << 24, sequence_length: 20, ..defaults };
    assert_eq!(said(more).synthetic_text, Some(other));
    let wrong = "\"synthetic-text\"\ntokens = 0\nvocabulary = 16777217\nsequence_length = 0\nlevel = \"word\"\n\
                 train = \"a\"\nmirror = true\nsamples = 3\nvalidation = 2";
    let kinds = "data.vocabulary must be at least 2 and at most 16777216";
    let of_a_file = "is about the text of a file; \"synthetic-text\" is made up";
    assert_eq!(
        refused(MINIMAL.replace("\"digits\"", wrong), &[]),
        [
            "job.toml:3: data.tokens must be at least 1, found the integer 0",
            &format!("job.toml:4: {kinds}, found the integer 16777217"),
            "job.toml:5: data.sequence_length must be at least 1, found the integer 0",
            &format!("job.toml:6: data.level {of_a_file}"),
            &format!("job.toml:7: data.train {of_a_file}"),
            "job.toml:8: data.mirror is for images; \"synthetic-text\" is a text",
            "job.toml:9: data.samples belongs to dataset = \"synthetic\"; this one is \"synthetic-text\"",
            "job.toml:10: data.validation counts images; \"synthetic-text\" has a validation text",
        ]
    );
    let none = refused(MINIMAL.replace("\"digits\"", "\"synthetic-text\"\nvocabulary = 0"), &[]);
    assert_eq!(none, [format!("job.toml:3: {kinds}, found the integer 0")]);
    let elsewhere = refused(MINIMAL.replace("\"digits\"", "\"kjv\"\ntokens = 5"), &[]);
    assert_eq!(
        elsewhere,
        ["job.toml:3: data.tokens belongs to dataset = \"synthetic-text\"; this one is \"kjv\""]
    );
}

#[test]
fn a_schedule_takes_its_own_keys_only() {
    let schedule = |text: &str| accepted(&minimal(&format!("[schedule]\n{text}")), &[]).job.schedule.kind;
    assert_eq!(schedule("kind = \"step\"\nevery = 5"), ScheduleKind::Step { gamma: 0.1, every: 5 });
    let milestones = vec![6000, 8000];
    assert_eq!(
        schedule("kind = \"multistep\"\ngamma = 0.5\nmilestones = [6000, 8000]"),
        ScheduleKind::Multistep { gamma: 0.5, milestones }
    );
    assert_eq!(schedule("kind = \"polynomial\""), ScheduleKind::Polynomial { power: 1.0 });
    assert_eq!(schedule("kind = \"inv\""), ScheduleKind::Inv { gamma: 0.0001, power: 0.75 });
    assert_eq!(schedule("kind = \"cosine\""), ScheduleKind::Cosine);
    assert_eq!(schedule("kind = \"plateau\""), ScheduleKind::Plateau { gamma: 0.25, patience: 0 });
    assert_eq!(
        schedule("kind = \"exponential\"\ngamma = 0.5\nconstant_epochs = 4"),
        ScheduleKind::Exponential { gamma: 0.5, constant_epochs: 4 }
    );
    assert_eq!(
        refused(minimal("[schedule]\nevery = 5\ngamma = 0.1\nkind = \"polynomial\"\n"), &[]),
        [
            "job.toml:10: schedule.every belongs to kind = \"step\"; this schedule is \"polynomial\"",
            "job.toml:11: schedule.gamma belongs to kind = \"step\", \"multistep\", \"inv\", \
             \"exponential\", \"plateau\"; this schedule is \"polynomial\"",
        ]
    );
    assert_eq!(
        refused(minimal("[schedule]\npower = 1\n"), &[]),
        ["job.toml:10: schedule.power belongs to kind = \"polynomial\", \"inv\"; this schedule is \"fixed\""]
    );
    assert_eq!(
        refused(minimal("[schedule]\nkind = \"step\"\n"), &[]),
        ["job.toml:9: missing key: [schedule] needs `every`"]
    );
}

#[test]
fn an_optimizer_takes_its_own_keys_within_their_bounds() {
    let optimizer = |text: &str| accepted(&minimal(text), &[]).job.optimizer;
    assert_eq!(optimizer("kind = \"nesterov\"").kind, OptimizerKind::Nesterov { momentum: 0.9 });
    assert_eq!(optimizer("kind = \"lars\"").kind, OptimizerKind::Lars { momentum: 0.9, trust: 0.001 });
    let adam = optimizer("kind = \"adam\"\nclip_norm = 5");
    let defaults = OptimizerKind::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, decoupled_decay: false };
    assert_eq!((adam.kind, adam.weight_decay, adam.clip_norm), (defaults, 0.0, Some(5.0)));
    assert_eq!(
        refused(
            minimal("kind = \"adam\"\nbeta1 = 1\nbeta2 = -0.1\nepsilon = 0\ntrust = 1\nclip_norm = 0\n"),
            &[]
        ),
        [
            "job.toml:10: optimizer.beta1 must be at least 0 and below 1, found the integer 1",
            "job.toml:11: optimizer.beta2 must be at least 0 and below 1, found the float -0.1",
            "job.toml:12: optimizer.epsilon must be above 0, found the integer 0",
            "job.toml:13: optimizer.trust belongs to kind = \"lars\"; this optimizer is \"adam\"",
            "job.toml:14: optimizer.clip_norm must be above 0, found the integer 0",
        ]
    );
    assert_eq!(
        refused(minimal("kind = \"lars\"\nmomentum = 1\ntrust = 0\n"), &[]),
        [
            "job.toml:10: optimizer.momentum must be at least 0 and below 1, found the integer 1",
            "job.toml:11: optimizer.trust must be above 0, found the integer 0",
        ]
    );
    assert_eq!(
        refused(minimal("kind = \"nesterov\"\nmomentum = 0\n"), &[]),
        ["job.toml:10: optimizer.momentum must be above 0 and below 1, found the integer 0"]
    );
}

#[test]
fn warming_up_goes_with_every_schedule() {
    let schedule = |text: &str| accepted(&minimal(&format!("[schedule]\n{text}")), &[]).job.schedule;
    let warmed = schedule("kind = \"cosine\"\nwarmup = 100\nwarmup_from = 0");
    assert_eq!(warmed, Schedule { kind: ScheduleKind::Cosine, warmup: 100, warmup_from: 0.0 });
    assert_eq!(schedule("warmup = 3"), Schedule { warmup: 3, ..Schedule::default() });
    assert_eq!(
        refused(minimal("[schedule]\nwarmup = -1\nwarmup_from = 1.5\n"), &[]),
        [
            "job.toml:10: schedule.warmup must be a whole number of at least 0, found the integer -1",
            "job.toml:11: schedule.warmup_from must be at least 0 and at most 1, found the float 1.5",
        ]
    );
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

#[test]
fn the_source_of_every_value_is_known() {
    let text = minimal("[[model.layers]]\ntype = \"relu\"\n\n[[model.layers]]\nfilters = [\n1,\n2]\n")
        .replace("preset = \"lenet\"", "");
    let (loaded, dir) = load_text(text, &["train.seed=7"]);
    let source = loaded.unwrap().source;
    let at = |path: &str| source.at(path).replace(&format!("{}/", dir.display()), "");
    assert_eq!(at("data.dataset"), "job.toml:2");
    assert_eq!(at("train"), "job.toml:5");
    assert_eq!(at("model.layers[0].type"), "job.toml:10");
    assert_eq!(at("model.layers[1]"), "job.toml:12");
    assert_eq!(at("model.layers[1].filters[1]"), "job.toml:15");
    assert_eq!(at("model.layers[1].stride"), "job.toml:12", "a default stands where its table does");
    assert_eq!(at("train.global_batch"), "job.toml:5");
    assert_eq!(at("exchange.timeout"), "job.toml", "a default of a section that is not there");
    assert_eq!(at("train.seed"), "--set train.seed=7");
}
