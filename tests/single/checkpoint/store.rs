//! The directory of a run: which files stay, which are removed, and what a killed run leaves behind.

use std::fs;
use std::num::NonZeroUsize;

use ternflock::checkpoint::{Saved, Store, load};

use crate::{assert_same, names, sample};

fn open(run: &tempfile::TempDir, keep: usize) -> Store {
    Store::open(run.path(), NonZeroUsize::new(keep).unwrap()).unwrap()
}

#[test]
fn the_last_few_and_the_best_stay() {
    let run = tempfile::tempdir().unwrap();
    let store = open(&run, 2);
    assert_eq!((store.latest().unwrap(), store.best(), store.list().unwrap()), (None, None, vec![]));
    assert!(store.load_newest().unwrap().is_none());
    let directory = run.path().join("checkpoints");
    let best = sample(2);
    for (snapshot, is_best, stay) in [
        (sample(1), true, &["best.h5", "step-0000000001.h5"][..]),
        (best.clone(), true, &["best.h5", "step-0000000001.h5", "step-0000000002.h5"]),
        (sample(30), false, &["best.h5", "step-0000000002.h5", "step-0000000030.h5"]),
        (sample(12_345_678_901), false, &["best.h5", "step-0000000030.h5", "step-12345678901.h5"]),
    ] {
        let path = store.save(&snapshot, is_best).unwrap();
        assert_same(&load(path).unwrap(), &snapshot);
        assert_eq!(names(&directory), stay);
    }
    // By number, not by name.
    let latest = directory.join("step-12345678901.h5");
    assert_eq!(store.latest().unwrap(), Some(latest.clone()));
    let list = [(30, directory.join("step-0000000030.h5")), (12_345_678_901, latest)];
    assert_eq!(store.list().unwrap(), list.map(|(step, path)| Saved { step, path }));
    assert_same(&load(store.best().unwrap()).unwrap(), &best);
    assert_eq!(store.load_newest().unwrap().unwrap().snapshot.progress.step, 12_345_678_901);
}

#[test]
fn saving_a_step_again_replaces_it_and_its_best() {
    let run = tempfile::tempdir().unwrap();
    let store = open(&run, 1);
    store.save(&sample(5), true).unwrap();
    let mut again = sample(5);
    again.job = "again".into();
    let path = store.save(&again, true).unwrap();
    assert_same(&load(path).unwrap(), &again);
    assert_same(&load(store.best().unwrap()).unwrap(), &again);
    assert_eq!(names(&run.path().join("checkpoints")), ["best.h5", "step-0000000005.h5"]);
}

/// A hard link to the same file would be damaged with it.
#[test]
fn what_happens_to_one_checkpoint_does_not_happen_to_its_copies() {
    let (run, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = open(&run, 1);
    let path = store.save(&sample(5), true).unwrap();
    store.keep_stage(&path, "tune").unwrap();
    open(&other, 1).keep_start(&path).unwrap();
    let copies = [store.best().unwrap(), store.stage_path("tune"), Store::start_path(other.path())];
    // In place, as a program that edits the file would do it, not by a new file of the same name.
    let damaged = fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&damaged, b"damage", 2000).unwrap();
    assert!(load(&path).is_err());
    for copy in &copies {
        assert_same(&load(copy).unwrap(), &sample(5));
    }
    // And the other way round.
    let path = store.save(&sample(6), true).unwrap();
    fs::File::options().write(true).open(store.best().unwrap()).unwrap().set_len(1000).unwrap();
    assert!(load(store.best().unwrap()).is_err());
    assert_eq!(load(&path).unwrap().progress.step, 6);
}

#[test]
fn an_earlier_step_never_removes_itself_or_later_ones() {
    let run = tempfile::tempdir().unwrap();
    let store = open(&run, 1);
    store.save(&sample(100), false).unwrap();
    store.save(&sample(3), false).unwrap();
    store.save(&sample(4), false).unwrap();
    let steps: Vec<_> = store.list().unwrap().iter().map(|saved| saved.step).collect();
    assert_eq!(steps, [4, 100]);
}

#[test]
fn what_a_killed_run_left_is_cleaned_and_nothing_else() {
    let run = tempfile::tempdir().unwrap();
    open(&run, 1).save(&sample(1), true).unwrap();
    let directory = run.path().join("checkpoints");
    let foreign = [".hidden", "notes.partial-7", "step-2.h5.bak", "step-x.h5"];
    for name in foreign.into_iter().chain([".step-0000000002.h5.partial-7", ".best.h5.partial-123"]) {
        fs::write(directory.join(name), "left").unwrap();
    }
    let store = open(&run, 1);
    let mut stay = [&foreign[..], &["best.h5", "step-0000000001.h5"]].concat();
    stay.sort();
    assert_eq!(names(&directory), stay);
    assert_eq!(store.list().unwrap().len(), 1);
}

#[test]
fn a_left_temporary_file_of_the_same_process_number_is_overwritten() {
    let run = tempfile::tempdir().unwrap();
    let store = open(&run, 1);
    let directory = run.path().join("checkpoints");
    for name in ["step-0000000001.h5", "best.h5"] {
        fs::write(directory.join(format!(".{name}.partial-{}", std::process::id())), "left").unwrap();
    }
    let first = sample(1);
    store.save(&first, true).unwrap();
    assert_same(&load(store.best().unwrap()).unwrap(), &first);
    assert_eq!(names(&directory), ["best.h5", "step-0000000001.h5"]);
}

#[test]
fn damaged_newest_checkpoints_are_passed_over_by_name() {
    let run = tempfile::tempdir().unwrap();
    let store = open(&run, 3);
    let paths = [1, 2, 3].map(|step| store.save(&sample(step), false).unwrap());
    let cut = |path| fs::File::options().write(true).open(path).unwrap().set_len(1000).unwrap();
    assert!(store.load_newest().unwrap().unwrap().passed_over.is_empty());
    cut(&paths[2]);
    cut(&paths[1]);
    let newest = store.load_newest().unwrap().unwrap();
    assert_eq!(newest.path, paths[0]);
    assert_same(&newest.snapshot, &sample(1));
    let named = [&paths[2], &paths[1]].map(|path| format!("{}: is truncated", path.display()));
    assert_eq!(newest.passed_over.len(), 2);
    for (said, named) in newest.passed_over.iter().zip(&named) {
        assert!(said.starts_with(named) && said.ends_with("the checkpoint of step 1 instead"), "{said}");
    }
    cut(&paths[0]);
    let message = store.load_newest().map(drop).unwrap_err().to_string();
    assert!(message.starts_with(&named[0]), "{message}");
    assert!(message.ends_with("no earlier checkpoint here is intact"), "{message}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let run = tempfile::tempdir().unwrap();
    fs::write(run.path().join("checkpoints"), "a file").unwrap();
    let message = Store::open(run.path(), NonZeroUsize::MIN).unwrap_err().to_string();
    assert!(message.contains("checkpoints: cannot be created"), "{message}");
}
