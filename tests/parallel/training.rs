//! The program under `mpirun`: it produces the same bits as ranks that are threads of one process. Further
//! modules test every kind of failure (`faults`, `interrupted`, `refused`, `stalled`).

pub mod faults;
mod interrupted;
mod refused;
pub mod stalled;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use serde_json::Value;
use support::digits::{JOB, assert_same_state, at_step, load, shipped};
use support::ranks::on_ranks;
use ternflock::checkpoint::Snapshot;
use ternflock::train::{Options, run};

use crate::launch::Launcher;
use crate::running::Running;
pub use interrupted::{kill_and_resume, rank_killed, signal};
pub use refused::{bad_job, changed_job, diverges, full_disk};

/// The program with `arguments` under the launcher.
fn ternflock(launcher: &Launcher, ranks: usize, arguments: &[&str]) -> Running {
    let program = Path::new(env!("CARGO_BIN_EXE_ternflock"));
    launcher.start(ranks, program, arguments).expect("the launcher starts")
}

/// `ternflock train` of the digits with `sets`, into `run_dir`; with `more` arguments.
fn train(launcher: &Launcher, ranks: usize, sets: &[&str], run_dir: &Path, more: &[&str]) -> Running {
    let run_dir = run_dir.to_str().expect("a temporary directory is UTF-8");
    let mut arguments = vec!["train", JOB, "--run-dir", run_dir];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    arguments.extend(more);
    ternflock(launcher, ranks, &arguments)
}

/// The same with ranks as threads of this process.
fn train_threads(ranks: usize, sets: &[&str], run_dir: &Path) {
    let (loaded, options) = (shipped(sets), Options { run_dir: Some(run_dir.into()), ..Options::default() });
    for result in
        on_ranks(ranks, |mut world| run(&loaded, &options, &mut world, &AtomicBool::new(false), &mut |_| {}))
    {
        assert!(result.expect("the run goes well").complete);
    }
}

/// One bucket per layer, so that several are in flight at a time.
pub const BUCKETS: &str = "exchange.bucket_elements=500";

/// During the backward pass, although all ranks share a node here.
pub const BESIDE: &str = "exchange.overlap=always";

/// A batch that most numbers of ranks do not divide, verified at each step. Buckets are sent during the
/// backward pass, and after it.
pub fn same_bits(launcher: &Launcher, ranks: usize) {
    let (ternary, float32) = ("exchange.gradients=ternary", "exchange.gradients=float32");
    let (after, feedback) = ("exchange.overlap=never", "exchange.error_feedback=true");
    for more in [
        &[ternary][..],
        &[float32, BUCKETS, BESIDE],
        &[BUCKETS, BESIDE],
        &[BUCKETS, after],
        &[BUCKETS, BESIDE, feedback],
        &[BUCKETS, BESIDE, "exchange.every=5"],
        &[BUCKETS, BESIDE, "exchange.gradients=powersgd", "exchange.powersgd_start=4"],
        &[BUCKETS, BESIDE, "train.global_batch=240", "train.micro_batch=2", "smoothout.a=0.02"],
    ] {
        let sets = ["train.steps=12", "train.global_batch=37", "exchange.verify_every=1"];
        let sets = [&sets[..], more].concat();
        let (processes, threads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let end = train(launcher, ranks, &sets, processes.path(), &[]).finish().unwrap();
        assert_eq!(end.code, Some(0), "{}", end.output);
        assert_shows_progress(&end.output, ranks);
        train_threads(ranks, &sets, threads.path());
        assert_same_state(&load(processes.path(), 12), &load(threads.path(), 12));
    }
}

/// A launcher forwards the output of ranks through pipes, so there is no progress bar. Rank 0 alone reports the
/// progress of the run.
fn assert_shows_progress(output: &str, ranks: usize) {
    let shown: Vec<&str> = output.lines().filter(|line| line.contains("  epoch ")).collect();
    assert!(shown.iter().all(|line| line.contains(" elapsed, ") && line.ends_with(" left")), "{output}");
    let last = shown.last().unwrap_or_else(|| panic!("{output}"));
    assert!(last.starts_with("step     12  epoch") && last.contains("  100 %, 0:"), "{output}");
    assert!(last.ends_with(" elapsed, 0:00 left"), "{output}");
    assert_eq!(output.matches("step     12  epoch").count(), 1, "{output}");
    let plural = if ranks == 1 { "" } else { "s" };
    assert!(output.contains(&format!(": {ranks} rank{plural} on 1 host, ")), "{output}");
}

/// The shipped job in stages.
const STAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lenet-digits-small.toml");

/// Surgery between stages, computed by each process separately.
pub fn stages(launcher: &Launcher, ranks: usize) {
    let sets = [
        "stage.baseline.train.steps=6",
        "stage.sparsify.train.steps=10",
        "stage.sparsify.sparsity.filters=3",
        "stage.sparsify.sparsity.neurons=5",
        "stage.factorise.train.steps=6",
        "stage.factorise.low_rank.ranks={ conv2 = 3 }",
        "exchange.verify_every=1",
        "exchange.error_feedback=true",
    ];
    let (processes, threads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut arguments = vec!["train", STAGES, "--run-dir", processes.path().to_str().unwrap()];
    sets.iter().for_each(|set| arguments.extend(["--set", set]));
    let end = ternflock(launcher, ranks, &arguments).finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let loaded = ternflock::job::load(STAGES, &sets.map(String::from)).unwrap();
    let options = Options { run_dir: Some(threads.path().into()), ..Options::default() };
    for result in
        on_ranks(ranks, |mut world| run(&loaded, &options, &mut world, &AtomicBool::new(false), &mut |_| {}))
    {
        assert!(result.expect("the run goes well").complete);
    }
    let stage = |directory: &Path, name: &str| {
        ternflock::checkpoint::load(directory.join(format!("checkpoints/stage-{name}.h5"))).unwrap()
    };
    for name in ["baseline", "sparsify", "shrink", "factorise"] {
        assert_same_state(&stage(processes.path(), name), &stage(threads.path(), name));
    }
    let numbers = |name| -> usize {
        stage(processes.path(), name).parameters.iter().map(|tensor| tensor.values.len()).sum()
    };
    assert!(numbers("shrink") < numbers("sparsify") && numbers("factorise") < numbers("shrink"));
}

/// The shipped language model that needs no data.
const LANGUAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jobs/lstm-genesis.toml");

/// The shipped language model.
pub fn language(launcher: &Launcher, ranks: usize) {
    language_model(launcher, ranks, Path::new(LANGUAGE), 100);
}

/// A preset on a generated text.
pub fn made_up_text(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let job = directory.path().join("made-up.toml");
    let text = "[data]\ndataset = \"synthetic-text\"\ntokens = 1000\nvocabulary = 300\nsequence_length = 20\n\
                [model]\npreset = \"lstm-small\"\n[train]\nsteps = 1\n[optimizer]\nlearning_rate = 1.0\nclip_norm = 5\n";
    std::fs::write(&job, text).unwrap();
    language_model(launcher, ranks, &job, 200);
}

/// These ranks behave as if OpenBLAS did not know their processor. Each restarts with better kernels before
/// it joins the others.
pub fn poor_kernels(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    let run_dir = directory.path().to_str().expect("a temporary directory is UTF-8");
    let variables = ["OPENBLAS_CORETYPE=Prescott", "TERNFLOCK_OPENBLAS_CORETYPE=Prescott"];
    let program = env!("CARGO_BIN_EXE_ternflock");
    let arguments = [program, "train", JOB, "--run-dir", run_dir, "--set", "train.steps=3"];
    let arguments = [&variables[..], &arguments].concat();
    let end = launcher.start(ranks, Path::new("env"), &arguments).unwrap().finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    let metrics = std::fs::read_to_string(directory.path().join("metrics.jsonl")).unwrap();
    let start: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
    assert_eq!(start["ranks"], ranks);
    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        assert!(!start["blas"].as_str().unwrap().contains("Prescott"), "{start}");
        assert_eq!(start.get("blas_warnings"), None, "{start}");
    }
}

/// A language model under the launcher, stopped and resumed by a second run, and with ranks as threads in a
/// single run: parameters and recurrent states, the first of which has `units`, are the same.
fn language_model(launcher: &Launcher, ranks: usize, job: &Path, units: usize) {
    let sets = ["train.global_batch=10", "exchange.verify_every=1", "train.eval_every=3"];
    let job = job.to_str().expect("a temporary directory is UTF-8");
    let (processes, threads) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let run_dir = processes.path().to_str().expect("a temporary directory is UTF-8");
    for (steps, more) in [("train.steps=4", &[][..]), ("train.steps=8", &["--resume", "--allow-changes"])] {
        let mut arguments = vec!["train", job, "--run-dir", run_dir, "--set", steps];
        sets.iter().for_each(|set| arguments.extend(["--set", set]));
        arguments.extend(more);
        let end = ternflock(launcher, ranks, &arguments).finish().unwrap();
        assert_eq!(end.code, Some(0), "{}", end.output);
    }
    let sets: Vec<String> = sets.iter().chain(&["train.steps=8"]).map(ToString::to_string).collect();
    let loaded = ternflock::job::load(job, &sets).unwrap();
    let options = Options { run_dir: Some(threads.path().into()), ..Options::default() };
    let stop = AtomicBool::new(false);
    on_ranks(ranks, |mut world| run(&loaded, &options, &mut world, &stop, &mut |_| {}).map(drop))
        .into_iter()
        .for_each(|result| result.expect("the run goes well"));
    let (a, b) = (load(processes.path(), 8), load(threads.path(), 8));
    let tensors = |snapshot: &Snapshot| [&snapshot.parameters[..], &snapshot.recurrent_state].concat();
    assert_eq!(a.recurrent_state[0].shape, [10, units]);
    for (a, b) in tensors(&a).iter().zip(&tensors(&b)) {
        assert!(a.same_bits(b), "`{}` differs", a.name);
    }
}

/// Several ranks count exactly as many samples as one.
pub fn eval(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    train_threads(2, &["train.steps=60"], directory.path());
    let path = at_step(directory.path(), 60);
    let counts = |ranks| {
        let end = ternflock(launcher, ranks, &["eval", path.to_str().unwrap(), "--json"]).finish().unwrap();
        assert_eq!(end.code, Some(0), "{}", end.output);
        let line = end.output.lines().find(|line| line.starts_with('{')).expect("an object");
        let object: Value = serde_json::from_str(line).unwrap();
        ["samples", "correct", "accuracy"].map(|key| object[key].clone())
    };
    let [samples, correct, accuracy] = counts(ranks);
    assert_eq!([&samples, &correct, &accuracy].map(Clone::clone), counts(1));
    assert_eq!(samples, 359);
    assert_eq!(accuracy.as_f64().unwrap(), correct.as_u64().unwrap() as f64 / 359.0);
}

/// Several ranks predict the same bits as one, in the order of the samples.
pub fn predict(launcher: &Launcher, ranks: usize) {
    let directory = tempfile::tempdir().unwrap();
    train_threads(2, &["train.steps=60"], directory.path());
    let path = at_step(directory.path(), 60);
    let test = ternflock::data::open("digits", None).unwrap().test;
    let header = [0x0803, test.len() as u32, 8, 8].into_iter().flat_map(u32::to_be_bytes);
    let images = directory.path().join("digits.idx");
    std::fs::write(&images, header.chain(test.pixels.iter().copied()).collect::<Vec<_>>()).unwrap();
    let table = |ranks: usize| {
        let out = directory.path().join(format!("{ranks}.csv"));
        let words = ["predict", path.to_str().unwrap(), images.to_str().unwrap(), "--top", "2", "-o"];
        let words = [&words[..], &[out.to_str().unwrap()]].concat();
        let end = ternflock(launcher, ranks, &words).finish().unwrap();
        assert_eq!(end.code, Some(0), "{}", end.output);
        std::fs::read_to_string(out).unwrap()
    };
    let one = table(1);
    assert_eq!(one.lines().count(), 360);
    assert_eq!(table(ranks), one);
    // More ranks than samples.
    let header = [0x0803_u32, 1, 8, 8].into_iter().flat_map(u32::to_be_bytes);
    std::fs::write(&images, header.chain(test.pixels[..64].iter().copied()).collect::<Vec<_>>()).unwrap();
    let words = ["predict", path.to_str().unwrap(), images.to_str().unwrap()];
    let end = ternflock(launcher, ranks, &words).finish().unwrap();
    assert_eq!(end.code, Some(0), "{}", end.output);
    assert_eq!(end.output.lines().filter(|line| line.contains("digits.idx,0,")).count(), 1);
}
