//! The run directory: a run never overwrites another, and refuses a directory that cannot be written (exit
//! code 5).

use std::process::Command;

use support::program::{Place, Watched, finish};

use crate::PROGRAM;

/// Every file below `name` with its content.
fn content(place: &Place, name: &str) -> Vec<(String, Vec<u8>)> {
    place
        .names(name)
        .into_iter()
        .flat_map(|entry| {
            let path = format!("{name}/{entry}");
            match place.path(&path).is_dir() {
                true => content(place, &path),
                false => vec![(path.clone(), std::fs::read(place.path(&path)).unwrap())],
            }
        })
        .collect()
}

#[test]
fn a_run_without_a_directory_takes_the_next_free_one() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml").ended(0);
    let first = content(&place, "runs/tiny");
    assert_eq!(place.names("runs/tiny"), [".lock", "checkpoints", "job.toml", "metrics.jsonl", "run.toml"]);
    let second = place.run("train tiny.toml").ended(0);
    assert!(second.err.contains("writing to runs/tiny-2"), "{}", second.err);
    assert!(second.out.contains("runs/tiny-2/checkpoints/step-0000000020.h5"), "{}", second.out);
    assert_eq!(place.names("runs"), ["tiny", "tiny-2"]);
    assert_eq!(content(&place, "runs/tiny"), first);

    // The last of them is the one to resume.
    let third = place.run("train tiny.toml --resume --allow-changes --set train.steps=25").ended(0);
    let picked = "of 2 runs named `tiny`, the one started last is resumed: runs/tiny-2 of 20";
    assert!(third.err.contains(picked) && third.err.contains("(the others: runs/tiny; "), "{}", third.err);
    assert!(third.err.contains("steps 20 to 25; writing to runs/tiny-2"), "{}", third.err);
    assert_eq!(content(&place, "runs/tiny"), first);
}

#[test]
fn a_used_directory_is_refused_and_stays_as_it_is() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let before = content(&place, "run");
    let advice = "run: already holds a run; continue it with --resume, or use another --run-dir";
    place.run("train tiny.toml --run-dir run --set train.steps=3").refused(5, &[advice]);
    assert_eq!(content(&place, "run"), before);
}

/// Nothing is left to do: the run reports that, evaluates, and ends.
#[test]
fn a_complete_run_resumes_to_its_end() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let hash = |place: &Place| place.inspect("run/checkpoints/step-0000000020.h5")["hash"].clone();
    let before = hash(&place);
    let again = place.run("train tiny.toml --run-dir run --resume").ended(0);
    assert!(again.out.contains("test accuracy"), "{}", again.out);
    assert_eq!(hash(&place), before);
}

#[test]
fn there_must_be_something_to_resume() {
    let place = Place::new(PROGRAM);
    let advice = "holds no run to resume; start one without --resume";
    place.run("train tiny.toml --resume").refused(5, &["runs/tiny: ", advice]);
    place.run("train tiny.toml --resume --run-dir nowhere").refused(5, &["nowhere: ", advice]);
    assert_eq!(place.names("."), ["tiny.toml"]);
}

/// A run that ended before its first checkpoint can be restarted with --resume.
#[test]
fn a_run_without_a_checkpoint_resumes_from_its_start() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let hash = |dir: &str| place.inspect(&format!("{dir}/checkpoints/step-0000000020.h5"))["hash"].clone();
    place.write("cut/job.toml", place.read("run/job.toml"));
    let resumed = place.run("train tiny.toml --run-dir cut --resume").ended(0);
    assert!(
        resumed.err.contains("there is no checkpoint yet to resume from: starting at step 0"),
        "{}",
        resumed.err
    );
    assert_eq!(hash("cut"), hash("run"));
}

#[test]
fn another_network_does_not_resume() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    place.write("other.toml", place.read("tiny.toml").replace("filters = 4", "filters = 5"));
    let parts = [
        "run: this run cannot continue as it began",
        "\n  model.layers[0].filters: 4 in the run, 5 requested (other.toml:15)\n",
        "\n  name: \"tiny\" in the run, \"other\" requested (other.toml)\n",
    ];
    place.run("train other.toml --run-dir run --resume").refused(2, &parts);
    let parts = ["step-0000000020.h5: holds a network other than the one the job asks for"];
    place.run("train other.toml --run-dir run --resume --allow-changes").refused(4, &parts);
}

/// Root may write anywhere, but not below a file, nor on a disk mounted read-only.
#[test]
fn a_directory_that_cannot_be_written_is_refused() {
    let place = Place::new(PROGRAM);
    place.write("file", "mine");
    for directory in ["file", "file/below"] {
        place
            .run(&format!("train tiny.toml --run-dir {directory}"))
            .refused(5, &[&format!("{directory}: cannot be written: ")]);
    }
    assert_eq!(place.read("file"), "mine");

    place.write("disk/file", "");
    let Some(_disk) = ReadOnly::mount(&place) else { return };
    place
        .run("train tiny.toml --run-dir disk/run")
        .refused(5, &["disk/run: cannot be written: Read-only file system"]);
}

/// An empty file system over `disk`, which cannot be written.
struct ReadOnly(std::path::PathBuf);

impl ReadOnly {
    fn mount(place: &Place) -> Option<ReadOnly> {
        let path = place.path("disk");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "ro", "none"]).arg(&path).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(ReadOnly(path));
        }
        // Bypasses the test harness, which captures the output of a passing test.
        let word = "skipped: mounting a tmpfs is not permitted here; run as root to test read-only disks\n";
        std::io::Write::write_all(&mut std::io::stderr(), word.as_bytes()).unwrap();
        None
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()), "{} stays mounted", self.0.display());
    }
}

/// A run in progress is not disturbed by another that tries to continue it.
#[test]
fn a_directory_belongs_to_one_run_at_a_time() {
    let place = Place::new(PROGRAM);
    let run = Watched::start(place.command(&[
        "train",
        "tiny.toml",
        "--run-dir",
        "run",
        "--set",
        "train.steps=1500",
        "--set",
        "train.log_every=1",
        "--set",
        "checkpoint.every=5",
    ]));
    run.read_until("step     20  ");
    place.run("train tiny.toml --run-dir run --resume").refused(5, &["run: another run is writing there"]);
    run.finish().ended(0);
    assert_eq!(place.inspect("run/checkpoints/step-0000001500.h5")["step"], 1500);
}

/// Whichever comes first, one run continues and the other does not touch it.
#[test]
fn of_two_starts_at_once_one_is_refused() {
    let place = Place::new(PROGRAM);
    let words = ["train", "tiny.toml", "--run-dir", "run", "--set", "train.steps=300"];
    let mut last = None;
    for resume in [&[][..], &["--resume"], &["--resume"]] {
        let runs = [(); 2].map(|()| Watched::start(place.command(&[&words[..], resume].concat())));
        let mut ends = runs.map(Watched::finish);
        ends.sort_by_key(|end| end.code);
        let [one, other] = ends;
        let one = one.ended(0);
        // A run takes so little time that it may be complete before the second one starts.
        if !resume.is_empty() && other.code == Some(0) {
            continue;
        }
        let refusals = ["another run is writing there", "already holds a run"];
        assert_eq!(other.code, Some(5), "{}", other.err);
        assert!(refusals.iter().any(|part| other.err.contains(part)), "{}\n{}", one.err, other.err);
        let hash = place.inspect("run/checkpoints/step-0000000300.h5")["hash"].clone();
        assert_eq!(*last.get_or_insert(hash.clone()), hash);
    }
}

/// Keys that decide which samples a step sees cannot change in the middle; other changes are reported.
#[test]
fn a_run_resumes_with_its_own_order_of_samples() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set train.steps=5").ended(0);
    for set in ["train.seed=2", "train.global_batch=16", "data.validation=100"] {
        let words = format!("train tiny.toml --run-dir run --resume --set {set}");
        let (key, value) = set.split_once('=').unwrap();
        let line = format!(" in the run, {value} requested (--set {set})");
        place.run(&words).refused(2, &[key, &line, "--allow-changes accepts the changes"]);
        let resumed = place.run(&format!("{words} --allow-changes"));
        resumed.refused(4, &["another order of samples", key]);
    }
    let words = "train tiny.toml --run-dir run --resume --allow-changes --set optimizer.momentum=0.5";
    let resumed = place.run(words).ended(0);
    assert!(resumed.err.contains("optimizer.momentum: 0.9 -> 0.5"), "{}", resumed.err);
}

/// Where BLAS computes, another number of threads sums in another order: the run continues, and reports that it is no
/// longer bit-identical.
#[test]
fn another_number_of_threads_is_said() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run --set train.steps=5 --isa scalar").ended(0);
    let words = ["train", "tiny.toml", "--run-dir", "run", "--resume", "--isa", "scalar"];
    let mut command = place.command(&words);
    let resumed = finish(command.env("OPENBLAS_NUM_THREADS", "2")).ended(0);
    assert!(
        resumed.err.contains("compute threads of rank 0 were 1 until now and are 2 from here"),
        "{}",
        resumed.err
    );
}

/// Killed after it wrote its best checkpoint and before it copied it as the best: the resumed run does that.
#[test]
fn a_best_checkpoint_that_was_not_made_yet_is_made_on_resume() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    let last = place.inspect("run/checkpoints/step-0000000020.h5");
    assert_eq!(last["best"]["step"], 20);
    std::fs::remove_file(place.path("run/checkpoints/best.h5")).unwrap();
    place.run("train tiny.toml --run-dir run --resume").ended(0);
    assert_eq!(place.inspect("run/checkpoints/best.h5")["hash"], last["hash"]);
}

/// A fresh start would replace it.
#[test]
fn a_best_checkpoint_alone_is_nothing_to_resume_from() {
    let place = Place::new(PROGRAM);
    place.run("train tiny.toml --run-dir run").ended(0);
    std::fs::remove_file(place.path("run/checkpoints/step-0000000020.h5")).unwrap();
    let before = content(&place, "run");
    let words = "train tiny.toml --run-dir run --resume --allow-changes --set optimizer.momentum=0.5";
    let resumed = place.run(words);
    resumed.refused(4, &["best.h5: stands here without any checkpoint to resume from"]);
    assert_eq!(content(&place, "run"), before);
}
