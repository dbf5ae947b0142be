//! `--set`: the values that it may set, replace and drop.

use super::{MINIMAL, accepted, minimal, refused};
use crate::{Gradients, OptimizerKind, ScheduleKind};

/// Earlier overrides act as if they were in the file: later ones of another kind drop them, and repeating them
/// changes nothing.
#[test]
fn overrides_hold_when_a_run_is_taken_up() {
    let own = |sets: &[&str]| [sets.iter().map(ToString::to_string).collect::<Vec<_>>()];
    let started =
        ["train.steps=7", "schedule.kind=multistep", "schedule.milestones=[4]", "schedule.gamma=0.5"];
    let whole = accepted(MINIMAL, &started).job;
    for again in [&[][..], &started, &started[..1]] {
        assert_eq!(accepted(MINIMAL, again).after(&own(&started)).unwrap().job, whole, "{again:?}");
    }
    let other = accepted(MINIMAL, &["schedule.kind=fixed", "train.epochs=3"]).after(&own(&started)).unwrap();
    assert_eq!(other.job, accepted(MINIMAL, &["schedule.kind=fixed", "train.epochs=3"]).job);
    assert_eq!(other.sets(), ["schedule.kind=fixed", "train.epochs=3"]);
    let message = accepted(MINIMAL, &[]).after(&own(&["train.stepps=7"])).unwrap_err().to_string();
    assert!(
        message.starts_with("--set train.stepps=7, which the run was started with: unknown key"),
        "{message}"
    );
    let later = accepted(MINIMAL, &["train.epochs=3"]).after(&own(&["optimizer.momentum=0.5"])).unwrap();
    let places = ["train.epochs", "optimizer.momentum"].map(|key| later.source.at(key));
    assert_eq!(
        places,
        ["--set train.epochs=3", "--set optimizer.momentum=0.5, which the run was started with"]
    );
}

/// A change that was allowed counts as a separate start: it drops earlier settings for another kind, as it
/// drops those of the file.
#[test]
fn each_start_drops_what_those_before_it_say_of_another_kind() {
    let starts = |starts: &[&[&str]]| -> Vec<Vec<String>> {
        starts.iter().map(|sets| sets.iter().map(ToString::to_string).collect()).collect()
    };
    let multistep = &["schedule.kind=multistep", "schedule.milestones=[4]", "schedule.gamma=0.5"][..];
    let (fixed, steps) = (&["schedule.kind=fixed"][..], &["train.steps=7"][..]);
    let after = |earlier: &[&[&str]]| accepted(MINIMAL, &[]).after(&starts(earlier));
    assert_eq!(after(&[multistep, fixed]).unwrap().job, accepted(MINIMAL, &[]).job);
    let again = after(&[multistep, fixed, steps, multistep]).unwrap();
    assert_eq!(again.job, accepted(MINIMAL, &[multistep, steps].concat()).job);
    let at_once = after(&[&[multistep, fixed].concat()]).unwrap_err().to_string();
    assert!(at_once.contains("schedule.milestones belongs to kind = \"multistep\""), "{at_once}");
}

#[test]
fn an_override_wins_over_the_file_and_over_earlier_ones() {
    let sets =
        ["optimizer.learning_rate=0.5", "exchange.gradients=float32", "optimizer.learning_rate = 1e-3"];
    let job = accepted(MINIMAL, &sets).job;
    assert_eq!(job.optimizer.learning_rate, 0.001);
    assert_eq!(job.exchange.gradients, Gradients::Float32);
}

#[test]
fn a_value_is_toml_where_it_can_be_and_a_string_where_not() {
    let keep = "exchange.keep_float=[\"logits\", 'conv1']";
    let job = accepted(MINIMAL, &[keep, "data.dataset=mnist", "data.dir=/some where/a=b"]).job;
    assert_eq!(job.exchange.keep_float, ["logits", "conv1"]);
    assert_eq!(job.data.dir.unwrap().to_str(), Some("/some where/a=b"));
    assert_eq!(
        refused(MINIMAL, &["train.epochs=1 2"]),
        [
            "--set train.epochs=1 2: train.epochs must be a whole number of at least 0, found the string \"1 2\""
        ]
    );
}

#[test]
fn bad_overrides_are_blamed_themselves() {
    assert_eq!(
        refused(
            MINIMAL.replace("epochs", "epoch"),
            &[
                "train.sead=3",
                "trian.seed=3",
                "epochs=3",
                "train.log_every=-1",
                "nothing",
                "a.b.c=1",
                ".x=1",
                "train={ steps = 1 }",
                "exchange.timeout=1e999",
            ]
        ),
        [
            "job.toml:6: unknown key `epoch` in [train]; did you mean `epochs`?",
            "--set train.sead=3: unknown key `sead` in [train]; did you mean `seed`?",
            "--set trian.seed=3: unknown section [trian]; did you mean [train]?",
            "--set epochs=3: unknown key `epochs` at the top of the file; it belongs in [train]",
            "--set train.log_every=-1: train.log_every must be a whole number of at least 0, \
             found the integer -1",
            "--set nothing: expected section.key=value, such as `train.steps=100`",
            "--set a.b.c=1: expected section.key=value, one key at a time, found `a.b.c`",
            "--set .x=1: expected section.key=value, one key at a time, found `.x`",
            "--set train={ steps = 1 }: expected section.key=value, one key at a time, found `train`",
            "--set exchange.timeout=1e999: exchange.timeout must be a finite number, found 1e999",
        ]
    );
}

#[test]
fn of_two_keys_that_exclude_each_other_the_last_said_holds() {
    let train = accepted(MINIMAL, &["train.steps=100"]).job.train;
    assert_eq!((train.epochs, train.steps), (None, Some(100)));
    let train = accepted(MINIMAL, &["train.steps=100", "train.epochs=2"]).job.train;
    assert_eq!((train.epochs, train.steps), (Some(2), None));
    let model = accepted(MINIMAL, &["model.layers=[{ type = 'linear', units = 10 }]"]).job.model;
    assert_eq!((model.preset, model.layers.map(|layers| layers.len())), (None, Some(1)));
}

#[test]
fn a_schedule_of_another_kind_starts_afresh() {
    let text = minimal("[schedule]\nkind = \"step\"\ngamma = 0.5\nevery = 10\n");
    let schedule = |sets: &[&str]| accepted(&text, sets).job.schedule.kind;
    assert_eq!(schedule(&["schedule.kind=fixed"]), ScheduleKind::Fixed);
    assert_eq!(schedule(&["schedule.kind=inv"]), ScheduleKind::Inv { gamma: 0.0001, power: 0.75 });
    assert_eq!(
        schedule(&["schedule.power=2", "schedule.kind=polynomial"]),
        ScheduleKind::Polynomial { power: 2.0 },
        "what --set itself gives stays"
    );
    assert_eq!(
        schedule(&["schedule.kind=step"]),
        ScheduleKind::Step { gamma: 0.5, every: 10 },
        "the same kind"
    );
    assert_eq!(
        refused(&text, &["schedule.kind=fixed", "schedule.every=3"]),
        ["--set schedule.every=3: schedule.every belongs to kind = \"step\"; this schedule is \"fixed\""]
    );
}

#[test]
fn an_optimizer_of_another_kind_keeps_what_every_kind_has() {
    let text = minimal("momentum = 0.5\nweight_decay = 0.25\n");
    let job = accepted(&text, &["optimizer.kind=adam", "optimizer.beta1=0.5"]).job.optimizer;
    let adam = OptimizerKind::Adam { beta1: 0.5, beta2: 0.999, epsilon: 1e-8, decoupled_decay: false };
    assert_eq!((job.kind, job.learning_rate, job.weight_decay), (adam, 0.1, 0.25));
    assert_eq!(
        refused(&text, &["optimizer.kind=adam", "optimizer.momentum=0.5"]),
        [
            "--set optimizer.momentum=0.5: optimizer.momentum belongs to kind = \"sgd\", \"nesterov\", \"lars\"; \
          this optimizer is \"adam\""
        ]
    );
}
