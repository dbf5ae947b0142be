//! A job's text, hash and differences, and the reference of its keys.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use proptest::prelude::*;

use super::{MINIMAL, accepted, load_text};
use crate::canonical::values;
use crate::sections::INHERITED;
use crate::syntax::path;
use crate::*;
use ternflock_base::error::Error;
use toml::Table;

/// A job with every key, except those of other schedules and optimizers and one of each two that exclude each
/// other.
fn everything() -> Job {
    let layers = "x = [[1, 2], []]\nname = \"a \\\"b\\\"\"\nt = 1979-05-27\n[deep]\nk = [{ b = 1.5 }]"
        .parse()
        .unwrap();
    Job {
        name: "all".into(),
        data: Data {
            dataset: "idx".into(),
            dir: Some("a dir/\u{e4}".into()),
            split: Some(Split { validation: Validation::Share(0.25), validation_seed: 3 }),
            mean: Some(vec![0.1, -0.0]),
            std: Some(vec![1e-7, 3.0]),
            samples: None,
            arrays: None,
            folder: None,
            text: None,
            augment: Some(Augment { padding: 4, crop: Some(24), mirror: true }),
            idx: Some(Idx { classes: Some(26), first_label: 1 }),
            csv: None,
            windows: None,
            options: None,
            synthetic: None,
            synthetic_text: None,
        },
        task: Task {
            kind: Some(TaskKind::Classification),
            loss: Some(LossKind::CrossEntropy),
            class_weights: Some(ClassWeights::Given(vec![0.1, 2.0])),
            label_smoothing: Some(0.1),
            huber_delta: None,
            metric: Some(Metric::Top5),
        },
        model: Model { preset: None, checkpoint: None, layers: Some(vec![layers, Table::new()]) },
        train: Train {
            epochs: None,
            steps: Some(7),
            global_batch: 3,
            micro_batch: Some(1),
            precision: Precision::Bf16,
            seed: i64::MAX as u64,
            eval_every: Some(0),
            log_every: 9,
        },
        optimizer: Optimizer {
            kind: OptimizerKind::Sgd { momentum: 0.0 },
            learning_rate: 0.01,
            weight_decay: 1e-300,
            decay_layers: Some(vec!["a".into()]),
            clip_norm: Some(5.0),
        },
        schedule: Schedule {
            kind: ScheduleKind::Multistep { gamma: 0.1, milestones: vec![1, 5] },
            scaling: Some(Scaling { base_batch: 64, kind: ScalingKind::Sqrt }),
            ..Schedule::default()
        },
        sparsity: Sparsity { factors: [("conv1".to_owned(), 0.5)].into(), ..Sparsity::default() },
        force: Force { layers: Some(vec!["conv1".into()]), ..Force::default() },
        smoothout: SmoothOut { a: 1e-3, layers: Some(vec!["conv1".into()]), ..SmoothOut::default() },
        exchange: Exchange { keep_float: vec!["logits".into(), "conv1".into()], ..Exchange::default() },
        checkpoint: Checkpoint { best: false, ..Checkpoint::default() },
        stages: Vec::new(),
    }
}

/// The same in a stage that sets everything and in one that sets nothing.
fn in_stages() -> Job {
    let job = everything();
    let train = |steps| Train { epochs: None, steps, ..job.train.clone() };
    let stage = Stage {
        name: "a".into(),
        freeze_zeros: true,
        shrink: Some(Shrink { round_to: 8, columns: false }),
        low_rank: Some(LowRank {
            energy: Some(0.95),
            ranks: [("conv2".to_owned(), 3)].into(),
            separable: vec!["conv1".into()],
            except: vec!["ip1".into()],
            ..LowRank::default()
        }),
        train: train(None),
        optimizer: Optimizer { kind: OptimizerKind::Nesterov { momentum: 0.5 }, ..job.optimizer.clone() },
        schedule: Schedule { scaling: job.schedule.scaling, ..Schedule::default() },
        sparsity: Sparsity::default(),
        force: Force { strength: -0.5, ..job.force.clone() },
        smoothout: SmoothOut { adapt: Adapt::Filter, ..job.smoothout.clone() },
    };
    let plain = Stage {
        name: "b".into(),
        freeze_zeros: false,
        shrink: None,
        low_rank: None,
        train: train(Some(3)),
        optimizer: job.optimizer.clone(),
        schedule: job.schedule.clone(),
        sparsity: job.sparsity.clone(),
        force: job.force.clone(),
        smoothout: job.smoothout.clone(),
    };
    Job { train: train(None), stages: vec![stage, plain], ..job }
}

/// A job about text, with the overrides `sets`.
fn text(sets: &[&str]) -> Job {
    let dataset = ["data.dataset=text", "data.train=train.txt"];
    accepted(MINIMAL, &[&dataset[..], sets].concat()).job
}

#[test]
fn the_text_of_a_job_is_a_job_file() {
    let expected = "\
name = \"job\"

[data]
dataset = \"digits\"
validation = \"auto\"
validation_seed = 1

[model]
preset = \"lenet\"

[train]
epochs = 1
global_batch = 64
precision = \"float32\"
seed = 1
log_every = 100

[optimizer]
kind = \"sgd\"
momentum = 0.9
learning_rate = 0.1
weight_decay = 0.0005

[schedule]
kind = \"fixed\"
warmup = 0
warmup_from = 0.1

[sparsity]
method = \"group_lasso\"
filters = 0.0
channels = 0.0
shapes = 0.0
filters_2d = 0.0
layers = 0.0
neurons = 0.0
inputs = 0.0
hidden_units = 0.0
l1 = 0.0
scale_by_size = false
threshold = 0.0001

[sparsity.factors]

[force]
kind = \"l2\"
strength = 0.0

[smoothout]
a = 0.0
distribution = \"uniform\"
adapt = \"none\"
schedule = \"constant\"
noise = \"per_rank\"
batch_norm = false

[exchange]
gradients = \"ternary\"
auto_among = \"exact\"
algorithm = \"ring_ternary\"
coding = \"auto\"
clip_sigma = 2.5
clip_sigma_over = \"touched_rows\"
min_elements = 512
keep_float = [\"logits\"]
row_scales = []
low_rank = []
overlap = \"auto\"
bucket_elements = 262144
every = 1
every_start = 0
error_feedback = false
powersgd_rank = 4
powersgd_start = 0
verify_every = 100
warn_after = 30.0
timeout = 300.0

[checkpoint]
every = 1000
keep = 3
best = true
";
    assert_eq!(accepted(MINIMAL, &[]).job.to_toml(), expected);
}

#[test]
fn a_job_survives_its_text_and_its_serialised_form() {
    let job = everything();
    let text = job.to_toml();
    assert_eq!(Job::from_toml(&text).unwrap(), job);
    assert_eq!(Job::from_toml(&in_stages().to_toml()).unwrap(), in_stages());
    let made_up = accepted(MINIMAL, &["data.dataset=synthetic-text", "data.tokens=7"]).job;
    assert_eq!(Job::from_toml(&made_up.to_toml()).unwrap(), made_up);
    assert_eq!(accepted(&text, &[]).job, job, "the same through a file");
    let json = serde_json::to_string(&accepted(MINIMAL, &[]).job).unwrap();
    assert_eq!(serde_json::from_str::<Job>(&json).unwrap(), accepted(MINIMAL, &[]).job);
}

#[test]
fn a_stored_job_must_be_whole() {
    let error = Job::from_toml("[data]\ndataset = 1\n").unwrap_err().to_string();
    assert!(error.starts_with("job:2: data.dataset must be a string, found the integer 1\njob: "), "{error}");
    assert!(error.contains("a job's name must be"), "{error}");
}

#[test]
fn the_hash_is_that_of_the_values_alone() {
    let job = accepted(MINIMAL, &[]).job;
    let sections: Vec<String> = MINIMAL.split('[').skip(1).map(|section| format!("[{section}")).collect();
    let other =
        sections.iter().rev().map(|section| section.replace(" = ", "=") + "# why\n\n").collect::<String>();
    let other = other.replace("learning_rate=0.1", "momentum = 0.90\nlearning_rate = 1e-1");
    assert_eq!(accepted(&other, &[]).job.hash(), job.hash());
}

#[test]
fn every_value_changes_the_hash_and_is_told_as_a_difference() {
    let sets = [
        "name=other",
        "data.dataset=mnist",
        "data.validation=1",
        "data.validation=0",
        "data.validation=0.5",
        "data.validation_seed=2",
        "data.padding=4",
        "data.crop=7",
        "data.mirror=true",
        "model.preset=mlp",
        "train.epochs=2",
        "train.global_batch=65",
        "train.micro_batch=8",
        "train.precision=bf16",
        "train.seed=2",
        "train.eval_every=0",
        "train.log_every=101",
        "optimizer.learning_rate=0.10000000000000002",
        "optimizer.momentum=0.8",
        "optimizer.weight_decay=0",
        "optimizer.clip_norm=5",
        "optimizer.decay_layers=[]",
        "schedule.kind=polynomial",
        "schedule.warmup=1",
        "schedule.warmup_from=0",
        "schedule.base_batch=8",
        "smoothout.a=0.1",
        "smoothout.distribution=normal",
        "smoothout.adapt=filter",
        "smoothout.schedule=grow",
        "smoothout.noise=shared",
        "smoothout.batch_norm=true",
        "smoothout.layers=[]",
        "exchange.gradients=float32",
        "exchange.algorithm=auto",
        "exchange.clip_sigma=0",
        "exchange.clip_sigma_over=elements",
        "exchange.min_elements=1",
        "exchange.keep_float=[]",
        "exchange.row_scales=[\"logits\"]",
        "exchange.every_start=1",
        "exchange.error_feedback=true",
        "exchange.verify_every=0",
        "exchange.timeout=1",
        "checkpoint.every=1",
        "checkpoint.keep=1",
        "checkpoint.best=false",
    ];
    let job = accepted(MINIMAL, &[]).job;
    let mut hashes = HashSet::from([job.hash()]);
    for set in sets {
        let other = accepted(MINIMAL, &[set]).job;
        assert!(hashes.insert(other.hash()), "{set}");
        let key = set.split('=').next().unwrap();
        assert_eq!(job.differences(&other)[0].key, key, "{:?}", job.differences(&other));
    }
    let [job, other] = ["", "data.dir=x"]
        .map(|set| accepted(MINIMAL, &["data.dataset=mnist", set][..1 + set.len().min(1)]).job);
    assert!(job.hash() != other.hash() && job.differences(&other)[0].key == "data.dir");
}

/// Compressed movements of several steps need their rounding errors fed back, so that is the default there.
#[test]
fn local_steps_feed_errors_back_unless_the_job_says_otherwise() {
    let feedback = |sets: &[&str]| accepted(MINIMAL, sets).job.exchange.error_feedback;
    assert!(!feedback(&[]) && !feedback(&["exchange.every=1", "exchange.every_start=10"]));
    assert!(feedback(&["exchange.every=2"]));
    assert!(!feedback(&["exchange.every=2", "exchange.error_feedback=false"]));
}

/// A stored job without a key that a later version added describes what that version did, and a run resumes with it
/// unless the file or an override says otherwise.
#[test]
fn the_stored_job_of_an_earlier_version_keeps_its_rule() {
    use ClipSigmaOver::{Elements, TouchedRows};
    let key = "clip_sigma_over = \"touched_rows\"\n";
    let now = accepted(MINIMAL, &[]);
    let text = now.job.to_toml();
    assert_eq!(Job::from_stored(&text).unwrap(), now.job);
    let earlier = text.replace(key, "");
    assert_ne!(earlier, text);
    assert_eq!(Job::from_toml(&earlier).unwrap().exchange.clip_sigma_over, TouchedRows);
    assert_eq!(Job::from_stored(&earlier).unwrap().exchange.clip_sigma_over, Elements);

    let rule = |asked: &Loaded, stored: &str| asked.clone().resuming(stored).job.exchange.clip_sigma_over;
    assert_eq!(rule(&now, &earlier), Elements);
    assert_eq!(rule(&now, &text), TouchedRows);
    let set = accepted(MINIMAL, &["exchange.clip_sigma_over=touched_rows"]);
    assert_eq!(rule(&set, &earlier), TouchedRows);
    let in_the_file = accepted(&format!("{MINIMAL}\n[exchange]\n{key}"), &[]);
    assert_eq!(rule(&in_the_file, &earlier), TouchedRows);
}

#[test]
fn differences_name_the_values_that_differ() {
    let job = accepted(MINIMAL, &[]).job;
    assert_eq!(job.differences(&job), []);
    let other =
        accepted(MINIMAL, &["train.steps=200", "exchange.keep_float=[]", "optimizer.momentum=0.5"]).job;
    let said =
        |job: &Job, other| -> Vec<_> { job.differences(other).iter().map(ToString::to_string).collect() };
    assert_eq!(
        said(&job, &other),
        [
            "exchange.keep_float: [\"logits\"] -> []",
            "optimizer.momentum: 0.9 -> 0.5",
            "train.epochs: 1 -> not set",
            "train.steps: not set -> 200",
        ]
    );
    let layers = |filters: u64| {
        let layers = format!("model.layers=[{{ type = 'relu' }}, {{ filters = {filters} }}]");
        accepted(MINIMAL, &[&layers]).job
    };
    assert_eq!(said(&layers(16), &layers(32)), ["model.layers[1].filters: 16 -> 32"]);
}

/// A table with every key.
const TABLE: [&str; 14] = [
    "data.dataset=csv",
    "data.file=['a b.csv', 'c,d.csv.gz']",
    "data.validation_file=v.csv",
    "data.test_file=t.csv",
    "data.delimiter=\"\\t\"",
    "data.inputs=['age', 'income, net']",
    "data.targets=price",
    "data.categories=['code']",
    "data.ignore=['id']",
    "data.missing=median",
    "data.split_column=set",
    "data.group=patient",
    "data.window=24",
    "data.stride=2",
];

#[test]
fn a_table_survives_the_text() {
    let job = accepted(MINIMAL, &TABLE).job;
    assert_eq!(Job::from_toml(&job.to_toml()).unwrap(), job);
    let table = job.data.csv.unwrap();
    assert_eq!((table.delimiter, &table.files[1]), ('\t', &"c,d.csv.gz".into()));
    assert_eq!(table.inputs, Columns::Named(vec!["age".into(), "income, net".into()]));
    assert_eq!(job.data.windows, Some(Windows { window: 24, horizon: 1, stride: 2 }));
}

/// `docs/job-file.md` describes every key with its default.
#[test]
fn the_reference_is_complete() {
    let mut documented = BTreeMap::new();
    let mut section = "";
    for line in include_str!("../../../docs/job-file.md").lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            section = if heading.starts_with('[') { heading.trim_matches(['[', ']']) } else { "" };
        }
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if let ["", key, _, default, ..] = cells[..]
            && let Some(key) = key.strip_prefix('`').and_then(|key| key.strip_suffix('`'))
            && !key.starts_with('"')
        {
            documented.insert(path(section, key), default);
        }
    }

    let said = ["name", "data.dataset", "model.preset", "train.epochs", "optimizer.learning_rate"];
    let defaults = values(&accepted(MINIMAL, &[]).job.to_toml());
    for (path, default) in defaults.iter().filter(|(path, _)| !said.contains(&path.as_str())) {
        assert_eq!(documented.get(path), Some(&format!("`{default}`").as_str()), "{path}");
    }

    let mut jobs = vec![everything(), accepted(MINIMAL, &[]).job];
    for kind in [
        ScheduleKind::Step { gamma: 1.0, every: 1 },
        ScheduleKind::Polynomial { power: 1.0 },
        ScheduleKind::Exponential { gamma: 1.0, constant_epochs: 1 },
        ScheduleKind::Plateau { gamma: 1.0, patience: 1 },
    ] {
        jobs.push(Job { schedule: Schedule { kind, ..Schedule::default() }, ..everything() });
    }
    for kind in [
        OptimizerKind::Adam { beta1: 0.5, beta2: 0.5, epsilon: 1.0, decoupled_decay: true },
        OptimizerKind::Lars { momentum: 0.5, trust: 0.5 },
    ] {
        jobs.push(Job { optimizer: Optimizer { kind, ..everything().optimizer }, ..everything() });
    }
    jobs.extend([&[][..], &["data.valid=valid.txt", "data.test=test.txt"]].map(text));
    let synthetic = Some(Synthetic { shape: [1, 2, 3], classes: 4, samples: 5 });
    jobs.push(Job { data: Data { synthetic, idx: None, ..everything().data }, ..everything() });
    jobs.push(accepted(MINIMAL, &["data.dataset=synthetic-text"]).job);
    jobs.push(accepted(MINIMAL, &TABLE).job);
    jobs.push(
        accepted(MINIMAL, &["data.dataset=folder", "data.dir=a", "data.size=[8, 8]", "data.on_error=skip"])
            .job,
    );
    let arrays =
        ["inputs", "targets", "validation_inputs", "validation_targets", "test_inputs", "test_targets"];
    let mut sets: Vec<String> = arrays.map(|key| format!("data.{key}=x.npy")).into();
    sets.extend(["data.dataset=npy".into(), "data.axes=NF".into()]);
    jobs.push(accepted(MINIMAL, &sets.iter().map(String::as_str).collect::<Vec<_>>()).job);
    jobs.push(accepted(MINIMAL, &["model.checkpoint=a.h5"]).job);
    jobs.push(accepted(MINIMAL, &["task.kind=regression", "task.loss=huber", "task.huber_delta=2"]).job);
    jobs.push(in_stages());
    let paths = jobs.iter().flat_map(|job| values(&job.to_toml()).into_keys());
    let paths = paths.map(|path| path.replace("sparsity.factors.conv1", "sparsity.factors"));
    let in_stage = |path: String| path.replace("stage[0]", "stage").replace("ranks.conv2", "ranks");
    // Keys of a stage that override the job's sections are described with those sections.
    let own = |path: &String| {
        let rest = path.strip_prefix("stage.").unwrap_or_default();
        !path.starts_with("stage[1]") && !INHERITED.iter().any(|section| rest.starts_with(section))
    };
    let paths = paths.map(in_stage).filter(own);
    let mut keys: BTreeSet<String> = paths.map(|path| path.split('[').next().unwrap().to_owned()).collect();
    keys.extend(["stage.shrink", "stage.low_rank", "sparsity.factors"].map(String::from));
    // It needs a registered dataset: see examples/own_data.
    keys.insert("data.options".into());
    assert_eq!(documented.into_keys().collect::<BTreeSet<_>>(), keys);
}

proptest! {
    /// If one place is damaged, the file is refused or gives another job.
    #[test]
    fn no_text_does_worse_than_being_refused(at in 0usize..500, cut in 0usize..4, patch in "[\\[\\]\\n\\.=\"#a0{},_ä-]{0,3}") {
        let text = accepted(MINIMAL, &[]).job.to_toml();
        let start = at.min(text.len());
        let damaged = format!("{}{patch}{}", &text[..start], &text[(start + cut).min(text.len())..]);
        match load_text(&damaged, &[]).0 {
            Ok(Loaded { job, .. }) => prop_assert_eq!(Job::from_toml(&job.to_toml()).unwrap(), job),
            Err(error) => prop_assert!(matches!(error, Error::Job { .. }), "{}", error),
        }
    }

    #[test]
    fn numbers_survive_the_text(rate in 0.0f64.., batch in 1usize.., seed in 0..=i64::MAX as u64, mean: f32) {
        prop_assume!(rate > 0.0 && rate.is_finite() && mean.is_finite());
        let mut job = everything();
        job.optimizer.learning_rate = rate;
        job.train.global_batch = batch.min(i64::MAX as usize);
        job.train.seed = seed;
        job.data.mean = Some(vec![mean, 0.1]);
        prop_assert_eq!(Job::from_toml(&job.to_toml()).unwrap(), job);
    }
}
