//! Which run `--resume` chooses.

use crate::state::{is_the_same, killed};

#[test]
fn a_run_that_was_renamed_is_shown() {
    let place = killed();
    std::fs::create_dir(place.path("runs")).unwrap();
    std::fs::rename(place.path("run"), place.path("runs/other")).unwrap();
    let job = place.read("runs/other/job.toml").replace("name = \"tiny\"", "name = \"other\"");
    place.write("runs/other/job.toml", job);
    let parts = ["runs/tiny: holds no run to resume", "runs/other (`other`)", "--resume RUN_DIR"];
    place.run("train tiny.toml --resume").refused(5, &parts);
}

#[test]
fn a_start_that_is_no_time_is_refused() {
    let place = killed();
    let record = place.read("run/run.toml");
    let started = record.lines().find(|line| line.starts_with("started = ")).unwrap();
    place.write("run/run.toml", record.replace(started, "started = \"banana\""));
    let parts =
        ["run/run.toml: is not what the program wrote: `started = \"banana\"` is not a time; remove it"];
    place.run("train --resume run").refused(5, &parts);
    std::fs::remove_file(place.path("run/run.toml")).unwrap();
    is_the_same(&place, place.run("train --resume run"));
}

/// The last checkpoint before a run diverges may contain weights that are finite but far too large.
#[test]
fn a_run_that_has_diverged_is_told_which_checkpoint_to_go_back_to() {
    let place = killed();
    let end = r#"{"event":"end","step":12,"complete":false,"status":"diverged","exit_code":6}"#;
    let metrics = place.read("run/metrics.jsonl");
    place.write("run/metrics.jsonl", format!("{metrics}{end}\n"));
    let parts = [
        "this run has diverged",
        "move run/checkpoints/step-0000000010.h5 away to resume from run/checkpoints/step-0000000005.h5",
    ];
    place.run("train --resume run").refused(5, &parts);
    std::fs::remove_file(place.path("run/checkpoints/step-0000000005.h5")).unwrap();
    let parts = ["in its only checkpoint, run/checkpoints/step-0000000010.h5, are too large already"];
    place.run("train --resume run").refused(5, &parts);
}
