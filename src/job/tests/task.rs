//! `[task]`: which values fit together.

use super::{MINIMAL, accepted, refused};
use crate::*;

fn problems(sets: &[&str]) -> Vec<String> {
    let sets: Vec<_> = sets.iter().map(|set| format!("task.{set}")).collect();
    refused(MINIMAL, &sets.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_job_that_sets_no_task_says_nothing_about_it() {
    let job = accepted(MINIMAL, &[]).job;
    assert_eq!(job.task, Task::default());
    assert!(!job.to_toml().contains("task"), "{}", job.to_toml());
}

#[test]
fn what_is_set_is_written_and_read_back() {
    for sets in [
        &["kind=regression", "loss=huber", "huber_delta=0.5", "metric=r2"][..],
        &["kind=multi-label", "class_weights=[1, 2.5]", "metric=accuracy"],
        &["class_weights=balanced", "label_smoothing=0.1", "metric=macro_f1"],
        &["kind=language-model", "label_smoothing=0"],
        &["kind=forecast", "loss=mae"],
    ] {
        let sets: Vec<_> = sets.iter().map(|set| format!("task.{set}")).collect();
        let job = accepted(MINIMAL, &sets.iter().map(String::as_str).collect::<Vec<_>>()).job;
        assert_eq!(Job::from_toml(&job.to_toml()).unwrap(), job);
        assert_eq!(job.to_toml().matches("[task]").count(), 1);
    }
}

#[test]
fn values_that_do_not_fit_the_kind_are_refused() {
    for (sets, message) in [
        (
            &["kind=regression", "loss=cross-entropy"][..],
            "task.loss = \"cross-entropy\": a task of kind \"regression\" has \"mse\", \"mae\", \"huber\"",
        ),
        (
            &["kind=classification", "metric=rmse"],
            "task.metric = \"rmse\": a task of kind \"classification\" has \"accuracy\", \"top_5\", \"macro_f1\"",
        ),
        (
            &["kind=regression", "huber_delta=2"],
            "task.huber_delta belongs to loss = \"huber\"; this loss is \"mse\"",
        ),
        (
            &["kind=multi-label", "label_smoothing=0.1"],
            "task.label_smoothing belongs to loss = \"cross-entropy\"; this loss is \"binary-cross-entropy\"",
        ),
        (
            &["kind=forecast", "class_weights=balanced"],
            "task.class_weights is for classes and labels; the task is \"forecast\"",
        ),
        (
            &["kind=multi-label", "class_weights=balanced"],
            "task.class_weights = \"balanced\" is for classes; give one number per label for \"multi-label\"",
        ),
        (&["label_smoothing=1"], "task.label_smoothing must be at least 0 and below 1, found the integer 1"),
        (&["huber_delta=0"], "task.huber_delta must be above 0 and within single precision, found"),
        (
            &["class_weights=[]"],
            "task.class_weights must be \"balanced\", or one number per class, at least 0",
        ),
        (&["class_weights=[0, 0]"], "task.class_weights must be \"balanced\""),
        (&["class_weights=[1, -1]"], "task.class_weights must be \"balanced\""),
        (&["kind=regresion"], "did you mean \"regression\"?"),
        (&["loss=mes"], "task.loss must be one of"),
    ] {
        let found = problems(sets);
        assert!(found.len() == 1 && found[0].contains(message), "{found:?}\n{message}");
    }
}

#[test]
fn a_loss_can_say_what_the_kind_is() {
    for (sets, kind) in [
        (&[][..], None),
        (&["task.loss=cross-entropy"], None),
        (&["task.loss=binary-cross-entropy"], Some(TaskKind::MultiLabel)),
        (&["task.loss=huber"], Some(TaskKind::Regression)),
        (&["task.kind=classification"], Some(TaskKind::Classification)),
        (&["task.kind=forecast", "task.loss=mae"], Some(TaskKind::Forecast)),
    ] {
        assert_eq!(accepted(MINIMAL, sets).job.task.asked_kind(), kind);
    }
}
