//! Stages: the settings that they inherit from the job, and those that are refused.

use super::{MINIMAL, accepted, refused};
use crate::*;

/// A job with three stages.
const STAGED: &str = "\
[data]
dataset = \"digits\"
[model]
preset = \"lenet\"
[optimizer]
learning_rate = 0.1
momentum = 0.5
[schedule]
kind = \"step\"
every = 10
[[stage]]
name = \"base\"
train.epochs = 2
[[stage]]
name = \"cut\"
shrink = { round_to = 4, columns = false }
low_rank = { energy = 0.9 }
[[stage]]
name = \"tune\"
freeze_zeros = true
train.steps = 7
train.log_every = 1
optimizer = { kind = \"adam\", learning_rate = 0.001 }
schedule.kind = \"fixed\"
sparsity.filters = 0.5
force = { kind = \"l1\", strength = -1 }
";

#[test]
fn a_stage_lies_over_the_job_key_by_key() {
    let job = accepted(STAGED, &[]).job;
    let [base, cut, tune] = &job.stages[..] else { panic!("{:?}", job.stages) };
    assert_eq!((job.train.epochs, job.train.steps), (None, None));
    assert_eq!((base.name.as_str(), base.train.epochs, base.train.log_every), ("base", Some(2), 100));
    assert_eq!((&base.optimizer, &base.schedule), (&job.optimizer, &job.schedule));
    assert_eq!((&base.shrink, &base.low_rank, base.freeze_zeros), (&None, &None, false));
    assert_eq!(cut.shrink, Some(Shrink { round_to: 4, columns: false }));
    assert_eq!(cut.low_rank, Some(LowRank::energy(0.9)));
    assert_eq!((cut.train.epochs, cut.train.steps), (None, None));
    assert_eq!((tune.train.steps, tune.train.log_every, tune.freeze_zeros), (Some(7), 1, true));
    assert!(matches!(tune.optimizer.kind, OptimizerKind::Adam { .. }));
    assert_eq!(tune.schedule, Schedule::default());
    assert_eq!(tune.sparsity.strengths.filters, 0.5);
    assert_eq!((tune.force.kind, tune.force.strength), (ForceKind::L1, -1.0));
    let settings = tune.settings(&job);
    assert_eq!(
        (settings.train, settings.force, settings.stages),
        (tune.train.clone(), tune.force.clone(), vec![])
    );
    assert_eq!(Job::from_toml(&job.to_toml()).unwrap(), job);
}

#[test]
fn overrides_reach_into_stages() {
    let sets = [
        "stage.base.train.steps=5",
        "stage.tune.sparsity.filters=2",
        "optimizer.learning_rate=0.5",
        "stage.tune.freeze_zeros=false",
    ];
    let job = accepted(STAGED, &sets).job;
    assert_eq!((job.stages[0].train.epochs, job.stages[0].train.steps), (None, Some(5)));
    assert_eq!((job.stages[0].optimizer.learning_rate, job.stages[2].optimizer.learning_rate), (0.5, 0.001));
    assert_eq!((job.stages[2].sparsity.strengths.filters, job.stages[2].freeze_zeros), (2.0, false));
    let job = accepted(STAGED, &["stage.tune.schedule.kind=cosine", "schedule.kind=cosine"]).job;
    assert!(job.stages.iter().all(|stage| stage.schedule.kind == ScheduleKind::Cosine));
    assert_eq!(
        refused(STAGED, &["stage.bse.train.steps=5", "stage.base.train.stps=5", "train.epochs=3"]),
        [
            "--set stage.bse.train.steps=5: there is no stage `bse`; did you mean `base`?",
            "--set stage.base.train.stps=5: unknown key `stps` in [train]; did you mean `steps`?",
            "--set train.epochs=3: each [[stage]] has its own length: set `train.epochs` there",
        ]
    );
    assert_eq!(
        refused(STAGED, &["stage.base=5"]),
        ["--set stage.base=5: expected stage.NAME.section.key=value, found `stage.base`"]
    );
    assert_eq!(
        refused(MINIMAL, &["stage.base.train.steps=5"]),
        ["--set stage.base.train.steps=5: there is no stage `base`: the job has no [[stage]]"]
    );
}

#[test]
fn what_a_stage_cannot_say_is_refused_at_its_line() {
    let with = |stage: &str| format!("{STAGED}[[stage]]\n{stage}");
    let line = STAGED.lines().count() + 2;
    for (stage, message) in [
        ("name = \"x\"", "missing key: [train] needs `epochs` or `steps`"),
        ("name = \"base\"\ntrain.steps = 1", "two stages are called `base`"),
        (
            "name = \"a b\"\ntrain.steps = 1",
            "name must be 1 to 40 letters, digits, `_` or `-`, the first a letter or digit, found the string \"a b\"",
        ),
        ("nme = \"x\"\ntrain.steps = 1", "unknown key `nme` in a [[stage]]; did you mean `name`?"),
        ("train.steps = 0\nname = \"x\"", "train.steps must be at least 1, found the integer 0"),
        (
            "train.global_batch = 3\ntrain.steps = 1\nname = \"x\"",
            "train.global_batch applies to the entire job; a stage cannot change it",
        ),
        (
            "train.precision = \"bf16\"\ntrain.steps = 1\nname = \"x\"",
            "train.precision applies to the entire job; a stage cannot change it",
        ),
        (
            "exchange.overlap = \"never\"\ntrain.steps = 1\nname = \"x\"",
            "unknown section [exchange]; the sections are [shrink], [low_rank], [train], [optimizer], [schedule], [sparsity], [force], [smoothout]",
        ),
        (
            "shrink = true\ntrain.steps = 1\nname = \"x\"",
            "shrink must be a section, [shrink], found the boolean true",
        ),
        ("shrink.round_to = 0\nname = \"x\"", "shrink.round_to must be at least 1, found the integer 0"),
        (
            "low_rank.energy = 1.5\nname = \"x\"",
            "low_rank.energy must be above 0 and at most 1, found the float 1.5",
        ),
        (
            "low_rank.ranks = { conv1 = 0 }\nname = \"x\"",
            "low_rank.ranks must be a table of layers and ranks of at least 1, as in { conv2 = 10 }, found a table",
        ),
        (
            "force.strength = \"a\"\nname = \"x\"\ntrain.steps = 1",
            "force.strength must be a number, found the string \"a\"",
        ),
        (
            "optimizer.beta1 = 0.5\nname = \"x\"\ntrain.steps = 1",
            "optimizer.beta1 belongs to kind = \"adam\"; this optimizer is \"sgd\"",
        ),
    ] {
        let found = refused(with(stage), &[]);
        assert_eq!(found.len(), 1, "{stage}: {found:?}");
        let (place, text) = found[0].split_once(": ").unwrap();
        assert_eq!(text, message, "{stage}");
        let at: usize = place.strip_prefix("job.toml:").unwrap().parse().unwrap();
        assert!((line - 1..=line).contains(&at), "{stage}: {place}");
    }
    let wrong = STAGED.replace("learning_rate = 0.1", "learning_rate = 0");
    assert_eq!(
        refused(wrong, &[]),
        ["job.toml:6: optimizer.learning_rate must be above 0, found the integer 0"]
    );
    for stage in ["[stage]\nname = \"a\"", "stage = 3", "stage = []"] {
        let found = refused(format!("{stage}\n{}", MINIMAL), &[]);
        assert!(found.iter().any(|line| line.contains("each under [[stage]]")), "{found:?}");
    }
}
