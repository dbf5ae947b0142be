//! The output of `ternflock train`, and the files it leaves behind.

use serde_json::Value;
use support::program::{Finished, Place, TINY};

use crate::PROGRAM;

#[test]
fn a_run_ends_with_a_table_and_what_to_do_next() {
    let place = Place::new(PROGRAM);
    let run = place.run("train tiny.toml --run-dir run --set train.log_every=5").ended(0);
    let last = "run/checkpoints/step-0000000020.h5";
    let best = "run/checkpoints/best.h5";
    let accuracy = place.inspect(last)["metrics"]["validation_accuracy"].as_f64().unwrap();
    let row = |name: &str| {
        let row = run.out.lines().find_map(|line| line.trim_start().strip_prefix(name));
        row.unwrap_or_else(|| panic!("no `{name}` in\n{}", run.out)).trim_start()
    };
    let validation = row("validation accuracy ");
    assert!(validation.starts_with(&format!("{:.2} % (loss ", 100.0 * accuracy)), "{}", run.out);
    assert!(validation.ends_with("), after the last step"), "{validation}");
    let tested = place.run(&format!("eval {best} --json")).json()["accuracy"].as_f64().unwrap();
    assert!(row("test accuracy ").starts_with(&format!("{:.2} % (loss ", 100.0 * tested)), "{}", run.out);
    assert!(row("test accuracy ").ends_with("), of the same network"), "{}", run.out);
    assert!(row("time ").contains(" s, training at ") && row("time ").ends_with(" samples/s"), "{}", run.out);
    assert_eq!(row("bytes on the wire "), "none: there is only one rank");
    assert_eq!((row("checkpoint "), row("best checkpoint ")), (last, best));
    // With the name that the program was called by.
    let next = format!("  {PROGRAM} eval {best}\n  {PROGRAM} inspect {best}\n  h5dump -H {best}\n");
    assert_eq!(run.out.split_once("\nnext:\n").unwrap().1, next);
    // The advice works.
    place.run(&format!("eval {best}")).ended(0);
    place.run(&format!("inspect {best}")).ended(0);
}

/// Plain lines without a bar or escape sequences: standard error is not a terminal here.
#[test]
fn the_log_goes_to_standard_error_in_plain_lines() {
    let place = Place::new(PROGRAM);
    let run = place.run("train tiny.toml --run-dir run --set train.log_every=5").ended(0);
    let lines: Vec<&str> = run.err.lines().collect();
    assert!(lines[0].starts_with("tiny: 1 rank on 1 host, 1 compute thread per rank ("), "{}", run.err);
    assert!(lines[1].ends_with("steps 0 to 20; writing to run"), "{}", run.err);
    let starts = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!([starts("step      5  epoch"), starts("step     20  epoch")], [1, 1], "{}", run.err);
    // Progress, elapsed time and time left, as in a progress bar.
    let progress = |step: &str| {
        let line = lines.iter().find(|line| line.starts_with(&format!("step {step}  epoch"))).unwrap();
        line.split_once(" samples/s  ").unwrap_or_else(|| panic!("{line}")).1
    };
    assert!(
        progress("     5").starts_with("25 %, 0:0") && progress("     5").ends_with(" left"),
        "{}",
        run.err
    );
    assert!(
        progress("    20").starts_with("100 %, 0:0") && progress("    20").ends_with(" elapsed, 0:00 left"),
        "{}",
        run.err
    );
    assert_eq!(
        [
            starts("step     20  validation accuracy"),
            starts("step     20  test accuracy"),
            starts("step     20  checkpoint run/"),
        ],
        [1, 1, 1],
        "{}",
        run.err
    );
    for text in [&run.out, &run.err] {
        assert!(!text.contains(['\x1b', '\r']), "{text:?}");
    }
    assert!(!run.out.contains("step "), "{}", run.out);
}

#[test]
fn the_run_directory_holds_the_job_and_the_metrics() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set train.log_every=5 --set train.seed=7").ended(0);
    let events: Vec<Value> =
        place.read("run/metrics.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&str> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names, ["start", "train", "train", "train", "train", "evaluate", "checkpoint", "test", "end"]);
    for key in ["loss", "accuracy", "learning_rate", "samples_per_s", "bytes_sent", "epoch"] {
        assert!(events[1][key].is_number(), "{key}: {}", events[1]);
    }
    for phase in ["compute", "encode", "wait", "exchange", "decode", "update"] {
        assert!(
            events[1]["phases"][phase].as_f64().is_some_and(|seconds| seconds >= 0.0),
            "{phase}: {}",
            events[1]
        );
    }
    // The effective job is a job file that does the same.
    assert!(place.read("run/job.toml").contains("seed = 7"));
    place.run("train run/job.toml --run-dir again").ended(0);
    let [first, again] =
        ["run", "again"].map(|dir| place.inspect(&format!("{dir}/checkpoints/step-0000000020.h5")));
    assert_eq!((&first["hash"], &first["job"]), (&again["hash"], &again["job"]));
}

#[test]
fn a_run_that_diverges_stops_with_the_step_and_the_tensor() {
    let place = Place::new(PROGRAM);
    let run = place.run("train tiny.toml --run-dir run --set optimizer.learning_rate=1e30").ended(6);
    let said = run.err.lines().last().unwrap();
    assert!(said.starts_with("ternflock: step 1, rank 0: the loss is "), "{said}");
    assert!(
        said.contains("the output of layer `logits` holds ") && said.contains("a smaller one may help"),
        "{said}"
    );
    assert_eq!(run.out, "");
    // No checkpoint of a broken network.
    assert_eq!(place.names("run/checkpoints"), [""; 0]);
}

#[test]
fn a_validation_split_is_what_is_evaluated() {
    let place = Place::new(PROGRAM);
    place.write("held.toml", TINY.replace("dataset = \"digits\"", "dataset = \"digits\"\nvalidation = 100"));
    let run = place.run("train held.toml --run-dir run").ended(0);
    assert!(
        run.out.contains("validation accuracy") && run.err.contains("1,338 samples"),
        "{}{}",
        run.out,
        run.err
    );
    assert!(run.err.contains("of 100 samples"), "{}", run.err);
    place.run("train held.toml --set data.validation=1438").refused(
        2,
        &["--set data.validation=1438: ", "cannot take 1438 of 1438 training samples for validation"],
    );
}

/// The loss of a step is measured before its update. Parameters that the last update breaks must be detected
/// all the same, and no checkpoint of them may replace an intact one.
#[test]
fn parameters_that_the_last_update_breaks_are_neither_evaluated_nor_saved() {
    let place = Place::new(PROGRAM);
    let run =
        place.run("train tiny.toml --run-dir one --set train.steps=1 --set optimizer.learning_rate=1e300");
    let run = run.refused(6, &["step 1, rank 0: parameter `conv1/weight` became ", "a smaller one may help"]);
    assert!(!run.err.contains("the best so far"), "{}", run.err);
    let jump = "--set schedule.kind=multistep --set schedule.milestones=[4] --set schedule.gamma=1e300";
    let keep = "--set checkpoint.every=1 --set checkpoint.keep=1";
    place.run(&format!("train tiny.toml --run-dir two {jump} {keep}")).ended(6);
    assert_eq!(place.names("two/checkpoints"), ["step-0000000004.h5"]);
    let words = format!("train tiny.toml --run-dir two --resume {keep}");
    place.run(&words).refused(
        5,
        &["two: this run has diverged", "--allow-changes", "start a new run", "--resume RUN_DIR"],
    );
    let resumed = place.run(&format!("{words} --allow-changes --set schedule.kind=fixed")).ended(0);
    assert!(resumed.out.contains("test accuracy"));
}

/// Each stage has its own best network, which need not be the best of the run.
#[test]
fn the_best_of_a_stage_is_said_to_be_that() {
    let place = Place::new(PROGRAM);
    let best = |run: Finished| -> Vec<String> {
        let lines = run.ended(0).err;
        let lines = lines.lines().filter_map(|line| line.split_once(", the best so far"));
        lines.map(|(_, rest)| rest.to_owned()).collect()
    };
    assert_eq!(best(place.run("train tiny.toml --run-dir plain")), [""]);
    let stages = TINY.replace("steps = 20\n", "")
        + "[[stage]]\nname = \"a\"\ntrain.steps = 5\n[[stage]]\nname = \"b\"\ntrain.steps = 5\n";
    place.write("stages.toml", stages);
    assert_eq!(best(place.run("train stages.toml --run-dir staged")), [" in stage a", " in stage b"]);
}
