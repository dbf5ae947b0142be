//! The file itself: its content, its syntax, and the places of its values.

use std::path::Path;

use super::{MINIMAL, accepted, load_text, minimal, refused};
use crate::*;

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
                split: Some(Split { validation: Validation::Auto, validation_seed: 1 }),
                mean: None,
                std: None,
                samples: None,
                arrays: None,
                folder: None,
                text: None,
                augment: None,
                idx: None,
                csv: None,
                windows: None,
                options: None,
                synthetic: None,
                synthetic_text: None,
            },
            task: Task::default(),
            model: Model { preset: Some("lenet".into()), checkpoint: None, layers: None },
            train: Train {
                epochs: Some(1),
                steps: None,
                global_batch: 64,
                micro_batch: None,
                precision: Precision::Float32,
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
            schedule: Schedule { kind: ScheduleKind::Fixed, warmup: 0, warmup_from: 0.1, scaling: None },
            sparsity: Sparsity::default(),
            force: Force::default(),
            smoothout: SmoothOut::default(),
            exchange: Exchange::default(),
            checkpoint: Checkpoint::default(),
            stages: Vec::new(),
        }
    );
}

#[test]
fn the_jobs_of_this_repository_load() {
    let jobs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../jobs");
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

    let files: Vec<_> = std::fs::read_dir(&jobs).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 20);
    for file in files {
        let loaded = load(&file, &[]).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.job.name, file.file_stem().unwrap().to_str().unwrap());
    }
    let (large, small) = (job("large-batch-4096.toml"), job("large-batch-64.toml"));
    assert_eq!(large.train.global_batch, 64 * small.train.global_batch);
    for (name, adapt) in
        [("large-batch-smoothout.toml", Adapt::None), ("large-batch-adasmoothout.toml", Adapt::Filter)]
    {
        let noisy = job(name);
        assert!(noisy.smoothout.a > 0.0 && noisy.smoothout.adapt == adapt);
        let plain = Job { name: large.name.clone(), smoothout: SmoothOut::default(), ..noisy };
        assert_eq!(plain, large, "{name}: nothing but the noise is another");
    }
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
