//! BLAS kernels that do not suit the processor, where BLAS computes (here with `--isa scalar`). Those that the user
//! asked for are kept with a warning; those that OpenBLAS chose by itself are replaced before `main`, and nothing else
//! about the process changes.

use std::io::Write;
use std::process::Command;

use libc::SIGTERM;
use serde_json::Value;
use support::program::{Finished, Place, TINY, Watched, finish};

use crate::PROGRAM;

/// The kernels that OpenBLAS uses for an unknown processor.
const POOR: &str = "Prescott";

/// Whether OpenBLAS has better kernels than [`POOR`] for this processor. If not, there is nothing to test.
fn can_do_better() -> bool {
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(all(target_arch = "x86_64", target_env = "gnu")))]
    false
}

/// The program with OpenBLAS's poor kernels, as if the user had asked for them.
fn by_user(place: &Place, arguments: &str) -> Command {
    let mut command = place.command(&arguments.split_whitespace().collect::<Vec<_>>());
    command.env("OPENBLAS_CORETYPE", POOR);
    command
}

/// The same, as if OpenBLAS had chosen them by itself for an unknown processor. This also happens on a node to which a
/// launcher has passed on the choice that this program made on another one.
fn by_blas(place: &Place, arguments: &str) -> Command {
    let mut command = by_user(place, arguments);
    command.env("TERNFLOCK_OPENBLAS_CORETYPE", POOR);
    command
}

fn blas(event: &Value) -> &str {
    event["blas"].as_str().unwrap()
}

fn start_event(place: &Place, run: &str) -> Value {
    let metrics = place.read(&format!("{run}/metrics.jsonl"));
    serde_json::from_str(metrics.lines().next().unwrap()).unwrap()
}

const STEP: &str = "bench step --model lenet --batch 4 --seconds 0 --isa scalar";

#[test]
fn kernels_that_a_user_asks_for_are_kept_and_warned_of() {
    if !can_do_better() {
        return println!("skipped: {POOR} kernels are as good as any here");
    }
    let place = Place::new(PROGRAM);
    let bench = finish(&mut by_user(&place, STEP)).ended(0);
    assert!(bench.out.contains("OpenBLAS ") && bench.out.contains("Prescott kernels\n"), "{}", bench.out);
    for part in ["ternflock: warning: Prescott kernels of BLAS use at most SSE3", "unset OPENBLAS_CORETYPE"] {
        assert!(bench.err.contains(part), "no `{part}` in {}", bench.err);
    }
    let train = finish(&mut by_user(&place, "train tiny.toml --run-dir run --isa scalar")).ended(0);
    assert!(
        train.err.contains("Prescott kernels (OPENBLAS_CORETYPE is set)\nwarning: Prescott"),
        "{}",
        train.err
    );
    let start = start_event(&place, "run");
    assert!(blas(&start).ends_with(", Prescott kernels"), "{start}");
    assert_eq!(start["blas_warnings"].as_array().unwrap().len(), 1, "{start}");
}

#[test]
fn kernels_for_a_processor_that_openblas_does_not_know_are_replaced() {
    if !can_do_better() {
        return println!("skipped: {POOR} kernels are as good as any here");
    }
    let place = Place::new(PROGRAM);
    let bench = finish(&mut by_blas(&place, &format!("{STEP} --json")));
    assert!(!bench.err.contains("kernels"), "nothing is wrong with them any more: {}", bench.err);
    let bench = bench.json();
    assert!(blas(&bench).starts_with("OpenBLAS ") && !blas(&bench).contains(POOR), "{bench}");
    let train = finish(&mut by_blas(&place, "train tiny.toml --run-dir run --isa scalar")).ended(0);
    assert!(
        train.err.contains("(chosen by ternflock: OpenBLAS does not know this processor)\n"),
        "{}",
        train.err
    );
    let start = start_event(&place, "run");
    assert_eq!((blas(&start), start.get("blas_warnings")), (blas(&bench), None), "{start}");
    assert_eq!(place.inspect("run/checkpoints/best.h5")["blas"], start["blas"]);
}

/// Arguments with spaces, exit codes, and signals that arrive much later.
#[test]
fn the_rest_of_the_process_is_as_it_was() {
    let place = Place::new(PROGRAM);
    place.write("a name with spaces.toml", "nonsense");
    let mut command = by_blas(&place, "train");
    finish(command.arg("a name with spaces.toml")).refused(2, &["a name with spaces.toml"]);
    finish(&mut by_blas(&place, "eval nowhere.h5")).refused(4, &["nowhere.h5"]);
    let sets = "--set train.steps=100000 --set train.log_every=1";
    let run = Watched::start(by_blas(&place, &format!("train tiny.toml --run-dir run {sets}")));
    run.read_until("step     20  ");
    run.running.signal(SIGTERM);
    run.finish().ended(75);
}

/// A pipe can be read only once: neither the process before the restart nor the one that checks the kernels
/// consumes any of it.
#[test]
fn standard_input_arrives_whole_and_once() {
    if !can_do_better() {
        return println!("skipped: {POOR} kernels are as good as any here");
    }
    let place = Place::new(PROGRAM);
    // More than a pipe holds, so that the writer waits for the reader.
    let job = format!("name = \"begin\"\n{}{TINY}", "# In between.\n".repeat(20_000));
    let (reader, mut writer) = std::io::pipe().unwrap();
    let sent = job.clone();
    let written = std::thread::spawn(move || writer.write_all(sent.as_bytes()));
    let mut command = by_blas(&place, "train /dev/stdin --run-dir piped --isa scalar");
    let train = finish(command.stdin(reader)).ended(0);
    written.join().unwrap().unwrap();
    assert!(
        train.err.contains("(chosen by ternflock: OpenBLAS does not know this processor)\n"),
        "{}",
        train.err
    );
    place.write("long.toml", job);
    place.run("train long.toml --run-dir file").ended(0);
    assert!(place.read("file/job.toml").starts_with("name = \"begin\"\n"));
    assert_eq!(place.read("piped/job.toml"), place.read("file/job.toml"));
}

/// Some launchers and daemons ignore the end of their children, and the processes that they start inherit
/// this.
#[test]
fn kernels_are_replaced_where_the_ends_of_children_are_ignored() {
    if !can_do_better() {
        return println!("skipped: {POOR} kernels are as good as any here");
    }
    let place = Place::new(PROGRAM);
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("trap '' CHLD; exec {PROGRAM} {STEP} --json")]).current_dir(place.path("."));
    shell.env("OPENBLAS_CORETYPE", POOR).env("TERNFLOCK_OPENBLAS_CORETYPE", POOR);
    // Left over from the check of a process that is not the parent of this one.
    shell.env("TERNFLOCK_CHECK_OPENBLAS", format!("{POOR}:1"));
    let bench = finish(&mut shell).json();
    assert!(blas(&bench).starts_with("OpenBLAS ") && !blas(&bench).contains(POOR), "{bench}");
}

/// Other kernels sum in another order, so the bits are no longer those of the uninterrupted run.
#[test]
fn a_run_that_resumes_with_other_kernels_says_so() {
    if !can_do_better() {
        return println!("skipped: there are no other kernels than {POOR}");
    }
    let place = Place::new(PROGRAM);
    let first = finish(&mut by_user(&place, "train tiny.toml --run-dir run --isa scalar")).ended(0);
    assert!(!first.err.contains("until now"), "{}", first.err);
    let resume = |mut command: Command| -> Finished { finish(command.arg("--resume")).ended(0) };
    let same = resume(by_user(&place, "train tiny.toml --run-dir run --isa scalar"));
    assert!(!same.err.contains("until now"), "{}", same.err);
    let other = resume(by_blas(&place, "train tiny.toml --run-dir run --isa scalar"));
    for part in ["BLAS of rank 0 was OpenBLAS ", ", Prescott kernels until now and is OpenBLAS "] {
        assert!(other.err.contains(part), "no `{part}` in {}", other.err);
    }
}

/// With AVX-512, BLAS computes nothing: its kernels are no reason for a warning, whatever they are.
#[test]
fn where_blas_does_not_compute_nothing_is_said_of_its_kernels() {
    if ternflock::tensor::vector_instructions() != "AVX-512" {
        return println!("skipped: BLAS computes here");
    }
    let place = Place::new(PROGRAM);
    let bench = finish(&mut by_user(&place, "bench step --model lenet --batch 4 --seconds 0")).ended(0);
    assert!(!bench.err.contains("kernels"), "{}", bench.err);
    let train = finish(&mut by_user(&place, "train tiny.toml --run-dir run")).ended(0);
    assert!(!train.err.contains("BLAS:") && !train.err.contains("warning"), "{}", train.err);
    let other = finish(
        place
            .command(&["train", "tiny.toml", "--run-dir", "run", "--resume"])
            .env("OPENBLAS_NUM_THREADS", "2"),
    );
    assert!(!other.ended(0).err.contains("until now"));
}
