//! Runs every command on crafted checkpoints (`craft.py`).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::program::{Finished, Place};

use crate::{CHECKPOINT, DOCUMENTED, reseal, run, trained};

/// The expected result of a command on the checkpoint at `path`.
type Try = fn(&Place, &Path) -> Finished;

const COMMANDS: [(&str, Try); 7] = [
    ("eval", |place, path| run(place, &["eval", text(path)])),
    ("inspect", |place, path| run(place, &["inspect", text(path)])),
    ("bench infer", |place, path| run(place, &["bench", "infer", text(path), "--seconds", "0.01"])),
    ("compress", |place, path| {
        run(place, &["compress", text(path), "--shrink", "-o", "small.h5", "--overwrite"])
    }),
    ("export", |place, path| run(place, &["export", text(path), "-o", "net.npz", "--overwrite"])),
    ("train", |place, path| {
        let set = format!("model.checkpoint=\"{}\"", text(path));
        remove(place, "started");
        run(place, &["train", "continued.toml", "--run-dir", "started", "--set", &set])
    }),
    ("train --resume", |place, path| {
        remove(place, "resumed");
        for name in ["job.toml", "run.toml", "metrics.jsonl"] {
            place.write(&format!("resumed/{name}"), place.read(&format!("run/{name}")));
        }
        fs::create_dir(place.path("resumed/checkpoints")).unwrap();
        fs::copy(path, place.path("resumed").join("checkpoints/step-0000000020.h5")).unwrap();
        run(place, &["train", "--resume", "resumed"])
    }),
];

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Removes the directory `name` of `place` if it exists.
fn remove(place: &Place, name: &str) {
    let _ = fs::remove_dir_all(place.path(name));
}

/// A directory with a finished run, the crafted files below `crafted/`, and the files that they must not reach.
fn crafted() -> Place {
    let place = trained();
    // The same job without a network of its own.
    let job = place.read("tiny.toml");
    let data = job.split("[[model.layers]]").next().unwrap();
    place.write("continued.toml", format!("{data}\n[model]\ncheckpoint = \"replaced\"\n"));
    place.write("crafted/outside.txt", "secret ".repeat(100));
    let made = Command::new("mkfifo").arg(place.path("crafted/fifo.h5")).status().unwrap();
    assert!(made.success());
    let python = ["python3", "/usr/bin/python3"].into_iter().find(|python| {
        Command::new(python).args(["-c", "import h5py"]).output().is_ok_and(|output| output.status.success())
    });
    let python = python.expect("no python3 here has h5py; install python3-h5py");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/craft.py");
    let crafted = Command::new(python)
        .arg(script)
        .args([place.path(CHECKPOINT), place.path("crafted")])
        .output()
        .unwrap();
    assert!(crafted.status.success(), "{}", String::from_utf8_lossy(&crafted.stderr));
    for kind in ["refused", "odd", "fine"] {
        files(&place, kind).iter().for_each(|path| reseal(path));
    }
    place
}

/// The checkpoints in `crafted/KIND`.
fn files(place: &Place, kind: &str) -> Vec<PathBuf> {
    let directory = place.path("crafted").join(kind);
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().unwrap() == "h5").collect();
    paths.sort();
    paths
}

/// Checks the result of each command on each checkpoint of `kind`, given the expected reason. `is_right` judges it. All
/// failures are reported together at the end.
fn each(kind: &str, is_right: impl Fn(&Finished, &str) -> bool) {
    let place = crafted();
    let mut wrong = Vec::new();
    for path in files(&place, kind) {
        let reason = fs::read_to_string(path.with_extension("txt")).unwrap();
        for (name, command) in COMMANDS {
            let finished = command(&place, &path);
            let is_clean = |text: &str| !text.contains("panicked") && !text.contains('\x1b');
            let is_quiet = is_clean(&finished.err) && is_clean(&finished.out);
            if !is_quiet || !is_right(&finished, &reason) {
                let Finished { code, out, err } = finished;
                wrong.push(format!("{name} {} ({reason}): {code:?}\n{out}{err}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(place.read("crafted/outside.txt"), "secret ".repeat(100));
    assert!(fs::read(place.path(CHECKPOINT)).is_ok());
}

#[test]
fn what_is_not_written_is_refused_by_name() {
    each("refused", |finished, reason| {
        let is_named = finished.err.contains(reason) && finished.err.contains(".h5");
        finished.code == Some(4) && is_named && finished.out.is_empty()
    });
}

#[test]
fn odd_values_are_refused_or_used_and_nothing_else() {
    each("odd", |finished, _| match finished.code {
        Some(0) => true,
        code => code.is_some_and(|code| DOCUMENTED.contains(&code)) && finished.err.contains("ternflock: "),
    });
}

#[test]
fn what_a_reader_ignores_does_no_harm() {
    each("fine", |finished, _| finished.code == Some(0));
}
