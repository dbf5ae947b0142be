//! `train --resume`: which run it resumes, and with which job.

use support::program::Place;

use crate::PROGRAM;

const STARTED: &str = "--set train.steps=30 --set exchange.gradients=float32";

/// Cuts the run to 20 of its 30 steps, as if the rest had been lost.
fn cut(place: &Place, run: &str) {
    let path = format!("{run}/checkpoints/step-0000000030.h5");
    std::fs::remove_file(place.path(&path)).unwrap();
    assert_eq!(place.names(&format!("{run}/checkpoints")), ["best.h5", "step-0000000020.h5"]);
}

/// A run of 30 steps, of which 20 are kept.
fn started(place: &Place) {
    place.run(&format!("train tiny.toml {STARTED} --set checkpoint.every=20")).ended(0);
    cut(place, "runs/tiny");
}

/// The job file has 20 steps and ternary gradients. The run continues to 30 with float32, however it is named.
#[test]
fn a_run_goes_on_with_its_own_job() {
    let place = Place::new(PROGRAM);
    started(&place);
    let job = place.read("runs/tiny/job.toml");
    for words in [
        "train tiny.toml --resume",
        "train --resume tiny.toml",
        "train --resume runs/tiny",
        "train --resume=runs/tiny/",
        "train tiny.toml --resume runs/tiny",
        "train --run-dir runs/tiny --resume",
        "train tiny.toml --resume --run-dir runs/tiny",
        "train tiny.toml --resume --set train.steps=30 --set exchange.gradients=float32",
        "train --resume runs/tiny --set train.steps=30",
    ] {
        let resumed = place.run(words).ended(0);
        assert!(resumed.err.contains("steps 20 to 30; writing to runs/tiny"), "{words}: {}", resumed.err);
        assert!(!resumed.err.contains("differs"), "{words}: {}", resumed.err);
        assert_eq!(place.read("runs/tiny/job.toml"), job, "{words}");
        let stored =
            ternflock::checkpoint::load(place.path("runs/tiny/checkpoints/step-0000000030.h5")).unwrap();
        assert_eq!(stored.progress.gradients, Some(ternflock::job::Gradients::Float32));
        assert_eq!(stored.job, job);
        cut(&place, "runs/tiny");
    }
    assert_eq!(place.names("runs"), ["tiny"]);
}

/// Job files that are incomplete by themselves, and overrides that need those of the start.
#[test]
fn the_overrides_of_the_start_make_up_for_what_the_file_lacks() {
    let place = Place::new(PROGRAM);
    place.write("bare.toml", place.read("tiny.toml").replace("steps = 20\n", ""));
    place.run("train bare.toml --resume").refused(2, &["missing key: [train] needs"]);
    let sets = ["train.steps=30", "schedule.kind=multistep", "schedule.milestones=[4]", "schedule.gamma=0.5"];
    let sets: Vec<String> = sets.iter().map(|set| format!("--set {set}")).collect();
    place.run(&format!("train bare.toml --set checkpoint.every=20 {}", sets.join(" "))).ended(0);
    for words in ["", " --set train.steps=30", " --set schedule.kind=multistep", " --resume=runs/bare"] {
        std::fs::remove_file(place.path("runs/bare/checkpoints/step-0000000030.h5")).unwrap();
        let more = if words.contains("--resume") { words.to_owned() } else { format!(" --resume{words}") };
        let resumed = place.run(&format!("train bare.toml{more}")).ended(0);
        assert!(resumed.err.contains("steps 20 to 30"), "{words}: {}", resumed.err);
    }
    let parts = ["schedule.milestones: [4] in the run, not set requested", "(--set schedule.kind=fixed)"];
    place.run("train bare.toml --resume --set schedule.kind=fixed").refused(2, &parts);
    place
        .run("train bare.toml --resume --set train.stepps=3")
        .refused(2, &["--set train.stepps=3: unknown key"]);
}

/// An allowed change acts like an edit of the job file: it replaces the earlier value, and the run resumes as
/// before.
#[test]
fn a_kind_that_was_changed_takes_the_keys_of_the_old_one_with_it() {
    let place = Place::new(PROGRAM);
    let multistep = "--set schedule.kind=multistep --set schedule.milestones=[4] --set schedule.gamma=0.5";
    place.run(&format!("train tiny.toml {STARTED} --set checkpoint.every=20 {multistep}")).ended(0);
    cut(&place, "runs/tiny");
    let changed =
        place.run("train tiny.toml --resume --allow-changes --set schedule.kind=fixed --set train.steps=35");
    assert!(changed.ended(0).err.contains("steps 20 to 35"));
    let job = place.read("runs/tiny/job.toml");
    assert!(job.contains("kind = \"fixed\"") && !job.contains("milestones"), "{job}");
    for words in ["train tiny.toml --resume", "train tiny.toml --resume --set train.steps=35"] {
        let again = place.run(words).ended(0);
        assert!(again.err.contains("the run is complete already: all of its 35 steps"), "{}", again.err);
    }
    let message =
        "schedule.kind: \"fixed\" in the run, \"multistep\" requested (--set schedule.kind=multistep)";
    place.run(&format!("train tiny.toml --resume {multistep}")).refused(2, &[message]);
    place.run(&format!("train tiny.toml --resume --allow-changes {multistep}")).ended(0);
    place.run("train tiny.toml --resume").ended(0);
    assert!(place.read("runs/tiny/job.toml").contains("milestones = [4]"));
}

/// However its path is written, and not only the newest run of its name.
#[test]
fn the_job_file_of_a_run_means_that_run() {
    let place = Place::new(PROGRAM);
    started(&place);
    place.run("train tiny.toml").ended(0);
    let newer = place.read("runs/tiny-2/metrics.jsonl");
    let absolute = place.path("runs/tiny/job.toml").display().to_string();
    for words in [
        "train --resume runs/tiny/job.toml",
        "train runs/tiny/job.toml --resume",
        "train ./runs/tiny/job.toml --resume",
        "train ./runs/tiny/job.toml --resume runs/tiny",
        "train runs/../runs/tiny/job.toml --resume ./runs/tiny/",
        "train tiny.toml --resume runs/tiny/job.toml",
        &format!("train {absolute} --resume runs/tiny"),
        &format!("train --resume {absolute}"),
    ] {
        let resumed = place.run(words).ended(0);
        assert!(resumed.err.contains("steps 20 to 30; writing to "), "{words}: {}", resumed.err);
        assert!(!resumed.err.contains("differs"), "{words}: {}", resumed.err);
        cut(&place, "runs/tiny");
    }
    assert_eq!(place.read("runs/tiny-2/metrics.jsonl"), newer);
    place
        .run("train --resume runs/tiny/job.toml --run-dir runs/tiny-2")
        .refused(2, &["are different directories: use one of them"]);
    // It contains all of its overrides, including those that were allowed later: no override of the start
    // takes precedence over it.
    let changed = "--allow-changes --set exchange.gradients=ternary --set train.steps=40";
    place.run(&format!("train ./runs/tiny/job.toml --resume runs/tiny {changed}")).ended(0);
    for words in ["train ./runs/tiny/job.toml --resume runs/tiny", "train tiny.toml --resume runs/tiny"] {
        let again = place.run(words).ended(0);
        assert!(again.err.contains("all of its 40 steps are done"), "{words}: {}", again.err);
    }
    // A job file of this name in the user's working directory is a job like any other.
    place.write("job.toml", place.read("tiny.toml"));
    place.run("train job.toml").ended(0);
    let resumed = place.run("train --resume job.toml").ended(0);
    assert!(resumed.err.contains("writing to runs/job\n"), "{}", resumed.err);
}

#[test]
fn what_contradicts_the_run_is_listed() {
    let place = Place::new(PROGRAM);
    started(&place);
    let advice =
        "`ternflock train --resume runs/tiny` resumes it unchanged; --allow-changes accepts the changes";
    let (steps, gradients) = ("--set train.steps=20", "--set exchange.gradients=ternary");
    for words in ["train tiny.toml --resume", "train --resume runs/tiny"] {
        place.run(&format!("{words} {steps} {gradients}")).refused(2, &[
            "runs/tiny: this run cannot continue as it began",
            "\n  exchange.gradients: \"float32\" in the run, \"ternary\" requested (--set exchange.gradients=ternary)\n",
            "\n  train.steps: 30 in the run, 20 requested (--set train.steps=20)\n",
            advice,
        ]);
    }
    place.write("tiny.toml", place.read("tiny.toml").replace("eval_every = 0", "eval_every = 7"));
    place
        .run("train tiny.toml --resume")
        .refused(2, &["train.eval_every: 0 in the run, 7 requested (tiny.toml:7)"]);
    let resumed = place.run(&format!("train tiny.toml --resume --allow-changes {gradients}")).ended(0);
    let said = "the job differs from the checkpoint's: exchange.gradients: \"float32\" -> \"ternary\"; \
                train.eval_every: 0 -> 7";
    assert!(resumed.err.contains(said) && resumed.err.contains("steps 20 to 30"), "{}", resumed.err);
    // This is then the run's own job.
    let again = place.run("train tiny.toml --resume").ended(0);
    assert!(again.err.contains("the run is complete already: all of its 30 steps are done"), "{}", again.err);
}

/// The directory of one run looks like that of the other job's second run.
#[test]
fn jobs_do_not_take_each_others_runs() {
    let place = Place::new(PROGRAM);
    for name in ["a", "a-2"] {
        place.write(&format!("{name}.toml"), place.read("tiny.toml"));
    }
    place.run("train a-2.toml").ended(0);
    let other = place.read("runs/a-2/metrics.jsonl");
    place.run("train a.toml --resume").refused(5, &["runs/a: holds no run to resume"]);
    place.run("train a.toml").ended(0);
    let again = place.run("train a.toml").ended(0);
    assert!(again.err.contains("writing to runs/a-3"), "{}", again.err);
    let resumed = place.run("train a.toml --resume").ended(0);
    assert!(
        resumed.err.contains("writing to runs/a-3") && resumed.err.contains("(the others: runs/a;"),
        "{}",
        resumed.err
    );
    assert_eq!(place.read("runs/a-2/metrics.jsonl"), other);
    let resumed = place.run("train a-2.toml --resume").ended(0);
    assert!(
        resumed.err.contains("writing to runs/a-2\n") && !resumed.err.contains("the others"),
        "{}",
        resumed.err
    );
    let before = place.read("runs/a-3/job.toml");
    place.run("train a-2.toml --resume runs/a-3").refused(2, &["name: \"a\" in the run, \"a-2\" requested"]);
    assert_eq!(place.read("runs/a-3/job.toml"), before);

    // A gap in the numbers, and a newer run that fills it.
    std::fs::remove_dir_all(place.path("runs/a")).unwrap();
    let resumed = place.run("train a.toml --resume").ended(0);
    assert!(resumed.err.contains("writing to runs/a-3"), "{}", resumed.err);
    place.run("train a.toml").ended(0);
    let resumed = place.run("train a.toml --resume").ended(0);
    assert!(resumed.err.contains("writing to runs/a\n"), "{}", resumed.err);
}

#[test]
fn what_cannot_be_resumed_is_said() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml").ended(0);
    for (words, code, said) in [
        ("train --resume", 2, "--resume without a job file needs the directory of the run"),
        ("train --resume runs/none", 5, "runs/none: holds no run to resume"),
        ("train tiny.toml --resume runs/none", 5, "runs/none: holds no run to resume"),
        ("train --resume runs/tiny --run-dir runs/other", 2, "are different directories: use one of them"),
        ("train --resume runs/tiny/checkpoints/best.h5", 2, "best.h5: a run directory with job.toml"),
        ("train tiny.toml --resume tiny.toml", 2, "tiny.toml: a run directory with job.toml"),
        ("train tiny.toml --allow-changes", 2, "--resume"),
        ("train tiny.toml --same-ranks", 2, "--resume"),
        ("train --resume tiny.toml --set train.stepps=1", 2, "--set train.stepps=1: unknown key"),
    ] {
        place.run(words).refused(code, &[said]);
    }
    assert_eq!(place.names("runs"), ["tiny"]);
    // An override of the run that no longer fits the job file.
    let stages = "\n[[stage]]\nname = \"one\"\ntrain.steps = 3\n";
    let staged = place.read("tiny.toml").replace("steps = 20\n", "");
    place.write("staged.toml", format!("{staged}{stages}"));
    place.run("train staged.toml --set stage.one.train.steps=4").ended(0);
    place.write("staged.toml", format!("{staged}{}", stages.replace("one", "two")));
    let parts = [
        "--set stage.one.train.steps=4: there is no stage `one`",
        "the overrides of the run in runs/staged apply: stage.one.train.steps=4; `ternflock train --resume runs/staged`",
    ];
    place.run("train staged.toml --resume").refused(2, &parts);
    place.run("train --resume runs/staged").ended(0);
}

/// A named pipe without a writer, in another directory under `runs/` or in the run's own: nothing waits for it.
#[test]
fn a_pipe_among_the_files_of_runs_is_not_waited_for() {
    let place = Place::new(PROGRAM);
    let pipe = |name: &str| {
        std::fs::create_dir_all(place.path(name).parent().unwrap()).unwrap();
        let made = std::process::Command::new("mkfifo").arg(place.path(name)).status().unwrap();
        assert!(made.success());
    };
    place.run("train tiny.toml").ended(0);
    pipe("runs/other/job.toml");
    pipe("runs/other/run.toml");
    place.run("train tiny.toml --resume").ended(0);
    std::fs::remove_file(place.path("runs/tiny/run.toml")).unwrap();
    pipe("runs/tiny/run.toml");
    place.run("train --resume runs/tiny").refused(5, &["runs/tiny/run.toml: cannot be read: ", "named pipe"]);
}
