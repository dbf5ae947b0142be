//! `train --resume` with each file of a run directory damaged in each way.

use std::fs;
use std::path::Path;

use crate::damage::Damage::{Directory, Empty, Fifo, Half, LinkNowhere, LinkOutside, LinkToItself, Random};
use crate::damage::{ALL, Damage, LINKS, content};
use crate::state::{NEWEST, has_no_partials, is_the_same, killed};

/// The outcome for a run.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It resumes and produces the same network.
    Same,
    /// The same, and it reports why the file was not used.
    Said,
    /// It is refused with this exit code and a message that names the file.
    Refused(i32),
}

use Outcome::{Refused, Said, Same};

/// Resumes a run whose file `name` is damaged in each way. `outcome` gives the expected outcome.
#[track_caller]
fn resume(name: &str, outcome: impl Fn(Damage) -> Outcome) {
    for damage in ALL {
        let place = killed();
        let (path, outside) = (place.path(&format!("run/{name}")), place.path("outside"));
        damage.put(&path, &outside);
        let before = content(&outside);
        let resumed = place.run("train --resume run");
        let all = format!("{name}, {damage:?}: {:?} {}", resumed.code, resumed.err);
        let names_it = resumed.err.contains(path.file_name().unwrap().to_str().unwrap());
        match outcome(damage) {
            Refused(code) => {
                assert!(resumed.code == Some(code) && names_it, "{all}");
                assert!(resumed.out.is_empty() && !resumed.err.contains("panicked"), "{all}");
            }
            said => {
                assert!(resumed.code == Some(0), "{all}");
                assert!(names_it || matches!(said, Same), "{all}");
                is_the_same(&place, resumed);
                has_no_partials(&place.path("run"));
                has_no_partials(&place.path("run/checkpoints"));
            }
        }
        // A link to a directory of checkpoints is followed; see below.
        if name != "checkpoints" {
            assert_eq!(content(&outside), before, "{all}");
        }
        let is_link = path.symlink_metadata().is_ok_and(|there| there.is_symlink());
        assert!(!outside.join("nowhere").exists(), "{all}");
        if matches!(outcome(damage), Refused(_)) && LINKS.contains(&damage) {
            assert!(is_link, "a refused link stays: {all}");
        }
    }
}

#[test]
fn the_job() {
    resume("job.toml", |damage| match damage {
        LinkOutside => Same,
        // The program sees no such file.
        LinkNowhere | LinkToItself => Refused(5),
        Fifo | Directory | Empty | Half | Random => Refused(2),
    });
}

#[test]
fn the_record() {
    resume("run.toml", |damage| if damage == LinkOutside { Same } else { Refused(5) });
}

#[test]
fn the_events() {
    resume("metrics.jsonl", |damage| match damage {
        Empty | Half | Random => Same,
        _ => Refused(5),
    });
}

#[test]
fn the_lock() {
    resume(".lock", |damage| match damage {
        Empty | Half | Random => Same,
        _ => Refused(5),
    });
}

#[test]
fn the_directory_of_checkpoints() {
    resume("checkpoints", |damage| match damage {
        // An empty directory: the run starts again.
        Directory | LinkOutside => Same,
        _ => Refused(4),
    });
}

/// Checkpoints may be on another disk.
#[test]
fn checkpoints_are_written_where_a_link_of_the_users_own_leads() {
    let place = killed();
    LinkOutside.put(&place.path("run/checkpoints"), &place.path("outside"));
    is_the_same(&place, place.run("train --resume run"));
    assert!(place.path("outside/target/step-0000000020.h5").is_file());
    assert!(place.path("run/checkpoints").symlink_metadata().unwrap().is_symlink());
}

/// The directory of a run and its parents may be links.
#[test]
fn a_run_is_resumed_through_a_link_to_its_directory() {
    let place = killed();
    fs::create_dir(place.path("scratch")).unwrap();
    fs::rename(place.path("run"), place.path("scratch/run")).unwrap();
    std::os::unix::fs::symlink("scratch/run", place.path("run")).unwrap();
    is_the_same(&place, place.run("train --resume run"));
    assert!(place.path("run").symlink_metadata().unwrap().is_symlink());
}

/// A link from somebody else may lead to files of this user.
#[test]
fn checkpoints_are_not_written_where_a_link_of_another_user_leads() {
    let place = killed();
    let (path, outside) = (place.path("run/checkpoints"), place.path("outside"));
    LinkOutside.put(&path, &outside);
    if std::os::unix::fs::lchown(&path, Some(12_345), None).is_err() {
        // Bypasses the test harness, which captures the output of a passing test.
        let word = b"skipped: links cannot be given away here; run as root to test links of other users\n";
        return std::io::Write::write_all(&mut std::io::stderr(), word).unwrap();
    }
    let before = content(&outside);
    let parts = ["run/checkpoints: is a symbolic link of another user and is not followed"];
    place.run("train --resume run").refused(4, &parts);
    assert_eq!(content(&outside), before);
}

#[test]
fn the_newest_checkpoint() {
    resume(NEWEST, |_| Said);
}

#[test]
fn an_earlier_checkpoint() {
    resume("checkpoints/step-0000000005.h5", |_| Same);
}

#[test]
fn the_best_checkpoint() {
    resume("checkpoints/best.h5", |_| Same);
}

/// Leftovers of a killed run, or entries that somebody else created.
#[test]
fn temporary_files() {
    for name in
        [".job.toml.partial-7", ".metrics.jsonl.partial-7", "checkpoints/.step-0000000015.h5.partial-7"]
    {
        resume(name, |_| Same);
    }
}

/// A directory with the name of a future checkpoint, and one with the name of a checkpoint that rotation would remove.
#[test]
fn directories_are_not_in_the_way_of_checkpoints() {
    let place = killed();
    for step in [3, 15, 20] {
        place.write(&format!("run/checkpoints/step-{step:010}.h5/mine"), "mine");
    }
    let words = "train --resume run --allow-changes --set checkpoint.keep=1";
    let resumed = is_the_same(&place, place.run(words));
    for step in [3, 15, 20] {
        let name = format!("run/checkpoints/step-{step:010}.h5");
        let note =
            format!("{name}: is a directory that blocks a checkpoint; it was renamed to {name}.not-a-file");
        assert!(resumed.err.contains(&note), "{}", resumed.err);
        assert_eq!(place.read(&format!("{name}.not-a-file/mine")), "mine");
    }
}

/// A file whose name is that of another step's checkpoint, or almost one, is not the newest checkpoint.
#[test]
fn checkpoints_are_of_the_step_that_their_names_say() {
    let place = killed();
    let wrong = ["step-9999999999.h5", "step-007.h5", "step--1.h5", "step-1.5.h5", "step-+5.h5", "step-x.h5"];
    for name in wrong {
        fs::copy(place.path(&format!("run/{NEWEST}")), place.path(&format!("run/checkpoints/{name}")))
            .unwrap();
    }
    let resumed = is_the_same(&place, place.run("train --resume run"));
    for name in wrong {
        let reason = match name {
            "step-9999999999.h5" => "is a checkpoint of step 10, not of the step in its name",
            _ => "does not have the name of a step checkpoint",
        };
        let note = format!("run/checkpoints/{name}: {reason}");
        assert!(resumed.err.contains(&note), "{note}: {}", resumed.err);
        assert!(place.path(&format!("run/checkpoints/{name}")).is_file());
    }
}

/// Entries whose names are not UTF-8 do not belong to this program.
#[test]
fn names_of_any_bytes_are_left_alone() {
    use std::os::unix::ffi::OsStrExt;
    let place = killed();
    for directory in ["run", "run/checkpoints"] {
        let name = std::ffi::OsStr::from_bytes(b"\xff\xfe.h5");
        fs::write(place.path(directory).join(Path::new(name)), "mine").unwrap();
    }
    is_the_same(&place, place.run("train --resume run"));
}

/// If a run does not keep the best network any more, no best network is shown.
#[test]
fn a_best_network_from_before_is_not_named_at_the_end() {
    let place = killed();
    let resumed = place.run("train --resume run --allow-changes --set checkpoint.best=false").ended(0);
    assert!(!resumed.out.contains("best.h5"), "{}", resumed.out);
}
