//! `ternflock sweep`: runs in one table, each executed once, and continued after an interruption.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use libc::SIGTERM;
use serde_json::{Value, json};
use support::program::{Place, Watched, finish, wait_for};

use crate::PROGRAM;

const WORDS: &str = "sweep tiny.toml --vary smoothout.a=0,0.05 --seeds 1,2,3 --into sweep";

fn report(place: &Place, words: &str) -> Vec<Value> {
    place.run(&format!("{words} --report --json")).json()["settings"].as_array().unwrap().clone()
}

#[test]
fn values_and_seeds_come_to_a_table() {
    let place = Place::new(PROGRAM);
    let done = place.run(WORDS).ended(0);
    for part in [
        "job",
        "smoothout.a",
        "runs",
        "validation accuracy (%)",
        "validation loss",
        "test accuracy (%)",
        " ± ",
    ] {
        assert!(done.out.contains(part), "{}", done.out);
    }
    assert!(
        done.err.contains("[6/6] sweep/tiny/smoothout.a=0.05,seed=3: validation accuracy 0."),
        "{}",
        done.err
    );
    let settings = report(&place, WORDS);
    assert_eq!(settings.len(), 2);
    for (setting, a) in settings.iter().zip(["0", "0.05"]) {
        assert_eq!((&setting["job"], &setting["values"]), (&json!("tiny"), &json!({"smoothout.a": a})));
        assert_eq!((&setting["runs"], &setting["seeds"]), (&json!(3), &json!([1, 2, 3])));
        let scores: Vec<f64> = setting["outcomes"]
            .as_array()
            .unwrap()
            .iter()
            .zip(1..)
            .map(|(outcome, seed)| {
                let metrics = place.read(&format!("sweep/tiny/smoothout.a={a},seed={seed}/metrics.jsonl"));
                let end: Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
                let chosen = &end["chosen"];
                assert_eq!((&outcome["score"], &outcome["loss"]), (&chosen["accuracy"], &chosen["loss"]));
                assert_eq!(outcome["test"], end["test"]["accuracy"]);
                assert_ne!(outcome["score"], outcome["test"]);
                chosen["accuracy"].as_f64().unwrap()
            })
            .collect();
        let mean = scores.iter().sum::<f64>() / 3.0;
        let deviation = (scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / 2.0).sqrt();
        let near = |value: &Value, exact: f64| (value.as_f64().unwrap() - exact).abs() < 1e-12;
        assert!(near(&setting["score"]["mean"], mean) && near(&setting["score"]["deviation"], deviation));
    }
    assert_ne!(settings[0]["score"], settings[1]["score"]);
    // No run is executed twice; new ones are executed.
    let log = "sweep/tiny/smoothout.a=0,seed=1.log";
    let before = place.read(log);
    place.write(log, "untouched");
    let more = WORDS.replace("1,2,3", "1,2,3,4");
    let again = place.run(&more).ended(0);
    assert_eq!(place.read(log), "untouched");
    assert!(
        before.contains("accuracy") && again.err.contains("smoothout.a=0,seed=4 begins"),
        "{}",
        again.err
    );
    assert!(!again.err.contains("seed=1 begins"), "{}", again.err);
    assert_eq!(report(&place, &more)[0]["runs"], 4);
}

/// Like the tasks of a job array.
#[test]
fn runs_are_done_by_their_numbers() {
    let place = Place::new(PROGRAM);
    let listed = place.run(&format!("{WORDS} --list")).ended(0).out;
    let lines: Vec<&str> = listed.lines().collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[4], "4 sweep/tiny/smoothout.a=0.05,seed=2");
    let part = place.run(&format!("{WORDS} --only 4,0-1")).ended(0);
    assert!(part.out.contains("2 of 3") && part.out.contains("1 of 3"), "{}", part.out);
    assert_eq!(place.names("sweep/tiny").len(), 6, "three directories, three logs");
    for wrong in ["6", "0-6", "2-1", "", "x", "1,,2"] {
        let words = [&WORDS.split(' ').collect::<Vec<_>>()[..], &["--only", wrong]].concat();
        let finished = finish(&mut place.command(&words));
        finished.refused(2, &["numbers from 0 to 5"]);
    }
}

/// `slurm/sweep.sbatch`, started as Slurm would start a task of an array of one rank, and of two with a launcher that counts.
#[test]
fn the_batch_script_does_the_run_of_its_task() {
    let place = Place::new(PROGRAM);
    place.write("launcher", "#!/bin/sh\nprintf '%s\\n' \"$*\" >> launched\nshift 2\nexec \"$@\"\n");
    fs::set_permissions(place.path("launcher"), fs::Permissions::from_mode(0o755)).unwrap();
    let slurm = concat!(env!("CARGO_MANIFEST_DIR"), "/slurm");
    symlink(slurm, place.path("slurm")).unwrap();
    let program = place.command(&[]).get_program().to_str().unwrap().to_owned();
    let site = format!(
        "SITE_MODULES=''\nSITE_LAUNCHER=./launcher\nSITE_INTERFACE=''\nSITE_PROGRAM='{program}'\nSITE_DATA=''\n"
    );
    place.write("site.env", site);
    let task = |number: Option<&str>, ranks: &str| {
        let mut command = std::process::Command::new("bash");
        command
            .arg(format!("{slurm}/sweep.sbatch"))
            .args(WORDS.split(' ').skip(1))
            .current_dir(place.path("."));
        command.env("TERNFLOCK_SITE", "site.env").env("OPENBLAS_NUM_THREADS", "1");
        command.env("SLURM_SUBMIT_DIR", place.path(".")).env("SLURM_NTASKS", ranks).env("SLURM_PROCID", "0");
        if let Some(number) = number {
            command.env("SLURM_ARRAY_TASK_ID", number);
        }
        finish(&mut command)
    };
    task(Some("1"), "1").ended(0);
    assert!(place.path("sweep/tiny/smoothout.a=0,seed=2").exists());
    assert!(!place.path("launched").exists());
    task(Some("5"), "2").ended(0);
    let launched = place.read("launched");
    for words in ["-n 2 ", "train tiny.toml --set smoothout.a=0.05 --set train.seed=3"] {
        assert!(launched.contains(words), "{launched}");
    }
    assert_eq!(place.names("sweep/tiny").len(), 4, "two directories, two logs");
    task(None, "1").refused(1, &["start this with sbatch --array=0-N"]);
}

#[test]
fn checkpoints_are_evaluated_on_request() {
    let place = Place::new(PROGRAM);
    let words = ["sweep", "tiny.toml", "--seeds", "1,2", "--set", "data.validation=300", "--into", "sweep"];
    let eval = "--eval=--sharpness --samples 50 --repeats 1 --iterations 1 --slices 0";
    let done = finish(&mut place.command(&[&words[..], &[eval]].concat())).ended(0);
    for part in ["validation accuracy (%)", "test accuracy (%)", "sharpness (%)"] {
        assert!(done.out.contains(part), "{}", done.out);
    }
    let settings = report(&place, &words.join(" "));
    let outcome = &settings[0]["outcomes"][1];
    let evaluated: Value = serde_json::from_str(&place.read("sweep/tiny/seed=2/eval.json")).unwrap();
    assert_eq!((&outcome["set"], &outcome["test"]), (&json!("validation"), &evaluated["accuracy"]));
    assert_eq!(outcome["sharpness"], evaluated["sharpness"]["sharpness"]);
    assert_ne!(outcome["score"], outcome["test"]);
    // A damaged or incomplete evaluation is repeated; a complete one is not.
    place.write("sweep/tiny/seed=1/eval.json", "{\"accur");
    let plain: Vec<&str> = [&words[..], &["--eval"]].concat();
    finish(&mut place.command(&plain)).ended(0);
    let again: Value = serde_json::from_str(&place.read("sweep/tiny/seed=1/eval.json")).unwrap();
    assert!(again["accuracy"].is_number() && again.get("sharpness").is_none());
    let kept: Value = serde_json::from_str(&place.read("sweep/tiny/seed=2/eval.json")).unwrap();
    assert_eq!(kept, evaluated);
    finish(&mut place.command(&[&words[..], &[eval]].concat())).ended(0);
    let again: Value = serde_json::from_str(&place.read("sweep/tiny/seed=1/eval.json")).unwrap();
    assert!(again["sharpness"].is_object());
    // Arguments that `eval` does not know.
    let wrong = finish(&mut place.command(&[&words[..], &["--eval=--nonsense", "--seeds", "3"]].concat()));
    let wrong = wrong.ended(2);
    assert!(wrong.err.contains("eval.log has the reason"), "{}", wrong.err);
}

/// A run that fails does not stop the others; the table and the exit code show the failure.
#[test]
fn a_run_that_fails_leaves_the_others_alone() {
    let place = Place::new(PROGRAM);
    let words = "sweep tiny.toml --vary train.micro_batch=7,32 --into sweep";
    for _ in 0..2 {
        let done = place.run(words).ended(2);
        assert!(done.err.contains("exit code 2") && done.err.contains(".log has the reason"), "{}", done.err);
        assert!(done.out.contains("0 of 1") && done.out.contains('-'), "{}", done.out);
        assert_eq!(done.out.lines().count(), 3);
    }
}

/// A value at which training diverges is a result: it gets a row of its own among the others and is not tried again.
#[test]
fn a_value_that_diverges_is_a_row() {
    let place = Place::new(PROGRAM);
    let words = "sweep tiny.toml --vary optimizer.learning_rate=1e30,0.05 --seeds 1,2 --into sweep";
    let done = place.run(words).ended(0);
    assert!(done.err.contains("learning_rate=1e30,seed=1: diverged at step 1\n"), "{}", done.err);
    assert!(
        done.err.contains("[4/4] sweep/tiny/optimizer.learning_rate=0.05,seed=2: validation"),
        "{}",
        done.err
    );
    let rows: Vec<&str> = done.out.lines().collect();
    assert!(rows[1].contains("0 of 2") && rows[1].ends_with("2 diverged, at steps 1, 1"), "{}", done.out);
    assert!(rows[2].contains(" ± ") && rows.len() == 3, "{}", done.out);
    let again = place.run(words).ended(0);
    assert!(!again.err.contains("begins") && !again.err.contains("continues"), "{}", again.err);
    assert_eq!(again.out, done.out);
    let settings = report(&place, words);
    assert_eq!(settings[0]["diverged"], json!([{"seed": 1, "step": 1}, {"seed": 2, "step": 1}]));
    assert_eq!((&settings[0]["score"], &settings[1]["diverged"]), (&Value::Null, &json!([])));
    let one = place.run("sweep tiny.toml --set optimizer.learning_rate=1e30 --into one").ended(0);
    assert!(one.out.contains("diverged at step 1"), "{}", one.out);
    // A run that is resumed by hand at a stable learning rate is complete.
    let resume = "train tiny.toml --run-dir kept --set train.steps=4 --set checkpoint.every=1";
    let jump = "--set schedule.kind=multistep --set schedule.milestones=[2] --set schedule.gamma=1e300";
    place.run(&format!("{resume} {jump}")).ended(6);
    place.run(&format!("{resume} --resume --allow-changes --set schedule.gamma=0.5")).ended(0);
    let last = place.read("kept/metrics.jsonl").lines().last().unwrap().to_owned();
    assert!(last.contains("\"event\":\"end\"") && last.contains("\"complete\":true"), "{last}");
}

/// A score that the test set chose must not stand under the name of another set.
#[test]
fn rows_that_different_sets_chose_name_them() {
    let place = Place::new(PROGRAM);
    let words = "sweep tiny.toml --vary data.validation=0,auto --set train.steps=4 --into sweep";
    let done = place.run(words).ended(0);
    let rows: Vec<Vec<&str>> = done
        .out
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    assert_eq!(
        rows[0][2..],
        ["runs", "chosen on", "accuracy (%)", "loss", "test accuracy (%)"],
        "{}",
        done.out
    );
    assert_eq!((rows[1][3], rows[2][3]), ("test", "validation"), "{}", done.out);
    assert_eq!(rows[1][4], rows[1][6], "where the test set chose, its score is both: {}", done.out);
}

/// Perplexity overflows long before the loss does. It is written as infinity, and all readers accept that.
#[test]
fn an_infinite_perplexity_is_a_number_like_any_other() {
    let place = Place::new(PROGRAM);
    place.write(
        "words.toml",
        "[data]\ndataset = \"synthetic-text\"\ntokens = 2000\nvocabulary = 20\nsequence_length = 5\n\
         [train]\nsteps = 3\nglobal_batch = 8\n[optimizer]\nlearning_rate = 100000.0\nmomentum = 0.0\n\
         [exchange]\ngradients = \"float32\"\n\
         [model]\nlayers = [{ type = \"embedding\", features = 4 }, { type = \"linear\", units = 20 }]\n",
    );
    let words = "sweep words.toml --vary optimizer.learning_rate=1,100000 --into sweep";
    let done = place.run(words).ended(0);
    let rows: Vec<&str> = done.out.lines().collect();
    assert!(rows.len() == 3 && rows[2].contains("inf") && !rows[1].contains("inf"), "{}", done.out);
    let run = "sweep/words/optimizer.learning_rate=100000,seed=1";
    let end: Value =
        serde_json::from_str(place.read(&format!("{run}/metrics.jsonl")).lines().last().unwrap()).unwrap();
    assert_eq!((&end["perplexity"], &end["test"]["perplexity"]), (&json!("Infinity"), &json!("Infinity")));
    assert!(end["loss"].as_f64().unwrap() > 709.0, "{end}");
    let again = place.run(words).ended(0);
    assert!(again.out == done.out && !again.err.contains("begins"), "{}", again.err);
    let settings = report(&place, words);
    assert_eq!(settings[1]["outcomes"][0]["score"], "Infinity");
    assert_eq!(settings[1]["score"], json!({"mean": "Infinity", "deviation": null}));
    let best = format!("{run}/checkpoints/best.h5");
    let measured = place.run(&format!("eval {best} --json")).json();
    assert_eq!((&measured["perplexity"], measured["loss"].is_f64()), (&json!("Infinity"), true));
    let shown = place.inspect(&best);
    assert_eq!(shown["metrics"]["validation_perplexity"], "Infinity");
    assert_eq!(shown["best"]["value"], "Infinity");
}

#[test]
fn what_is_wrong_is_said_before_anything_runs() {
    let place = Place::new(PROGRAM);
    place.write("tiny2/tiny.toml", place.read("tiny.toml"));
    for (words, said) in [
        ("sweep", "<JOBS>"),
        ("sweep tiny.toml --vary smoothout.a", "KEY=VALUE,... is needed"),
        ("sweep tiny.toml --vary smoothout.a=0.1,-1", "smoothout.a must be at least 0"),
        ("sweep tiny.toml --vary smooth.a=0.1", "unknown section [smooth]"),
        ("sweep tiny.toml --vary train.seed=1,2", "--vary train.seed: use --seeds"),
        (
            "sweep tiny.toml --vary smoothout.a=0.1,0.1",
            "two runs would both use the directory runs/sweep/tiny/smoothout.a=0.1,seed=1",
        ),
        ("sweep tiny.toml --seeds 1,1", "two runs would both use"),
        ("sweep tiny.toml tiny2/tiny.toml", "two runs would both use the directory runs/sweep/tiny/seed=1"),
        ("sweep absent.toml", "cannot read the job file"),
        ("sweep tiny.toml --launcher nowhere", "nowhere cannot be started"),
        ("sweep tiny.toml --report --only 1", "cannot be used with"),
    ] {
        place.run(words).refused(2, &[said]);
    }
    place.run("sweep tiny.toml --into sweep").ended(0);
    place
        .run("sweep tiny.toml --into sweep --set train.steps=21")
        .refused(5, &["holds a run of another job (train.steps: 20 -> 21)", "--into"]);
    let mut command = place.command(&["sweep", "tiny.toml"]);
    command.env("OMPI_COMM_WORLD_SIZE", "2");
    finish(&mut command).refused(2, &["--launcher 'mpirun -n 2'"]);
}

#[test]
fn a_signal_stops_the_sweep_and_the_same_line_goes_on() {
    let place = Place::new(PROGRAM);
    let words = ["sweep", "tiny.toml", "--seeds", "1,2", "--into", "sweep", "--set", "train.steps=100000"];
    let run = Watched::start(place.command(&words));
    run.read_until("[1/2] sweep/tiny/seed=1 begins");
    wait_for("the first steps", || {
        std::fs::read_to_string(place.path("sweep/tiny/seed=1/metrics.jsonl"))
            .ok()
            .filter(|text| text.contains("\"train\""))
    });
    run.running.signal(SIGTERM);
    let ended = run.finish().ended(75);
    assert!(ended.err.contains("the same command continues it"), "{}", ended.err);
    assert!(!place.path("sweep/tiny/seed=2").exists());
    let resumed = finish(&mut place.command(&words)).ended(0);
    assert!(resumed.err.contains("[1/2] sweep/tiny/seed=1 continues"), "{}", resumed.err);
    assert!(resumed.out.contains(" ± "), "{}", resumed.out);
}
